package onion

import (
	"context"
	"net"
	"sync"
	"time"
)

// EarlyBytes is how much of a stream may leave before the service has
// answered: what a fresh circuit carries in its first round trip, and a
// little more.
const EarlyBytes = 64 << 10

// An EarlyDialer is a Network that lets the first bytes of a stream go with
// the question for it, which saves a round trip.
type EarlyDialer interface {
	Network

	// DialEarly is Dial for a stream whose near end is e, which nobody has
	// dialled before. What is written to e leaves right behind the question,
	// without waiting for the answer. An attempt that is repeated sends it
	// again, and a service may get it more than once, on streams that then
	// end: only what is harmless to repeat may be written to e before
	// DialEarly has returned. After an error the caller closes e.
	DialEarly(ctx context.Context, a Addr, lane Lane, e *Early) error
}

// DialEarly makes e a stream to a by nw; where nw is no EarlyDialer, what was
// written to e leaves when the service has answered.
func DialEarly(ctx context.Context, nw Network, a Addr, lane Lane, e *Early) error {
	if err := Require(nw); err != nil {
		return err
	}
	if d, ok := nw.(EarlyDialer); ok {
		return d.DialEarly(ctx, a, lane, e)
	}
	c, err := nw.Dial(ctx, a, lane)
	if err != nil {
		return err
	}
	return e.Join(ctx, c, 0)
}

// An Early is the near end of a stream that is being dialled, and then of the
// stream. Writes are kept until the network takes them, up to EarlyBytes;
// others, and reads, wait until the service has answered. Deadlines that are
// set before that are not kept: the dial's own end is theirs.
type Early struct {
	joined chan struct{} // closed when the stream stands or e was closed

	mu      sync.Mutex
	first   []byte        // guarded by mu; what was written so far, until joined
	changed chan struct{} // guarded by mu; closed and replaced when first grows
	conn    net.Conn      // guarded by mu; the stream, once it stands
	closed  bool          // guarded by mu
}

var _ net.Conn = (*Early)(nil)

// NewEarly returns an Early for one dial.
func NewEarly() *Early {
	return &Early{joined: make(chan struct{}), changed: make(chan struct{})}
}

// Next returns what was written from the byte from on, and waits while that
// is nothing. It returns nil when ctx ends or e is closed. For networks: each
// attempt reads from 0, and hands the stream to Join.
func (e *Early) Next(ctx context.Context, from int) []byte {
	for {
		e.mu.Lock()
		first, changed := e.first, e.changed
		e.mu.Unlock()
		if len(first) > from {
			return first[from:len(first):len(first)]
		}
		select {
		case <-changed:
		case <-e.joined:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// Join makes c the stream, on which the first sent bytes have left. It sends
// the rest of what was written; ctx ends that. After an error c is closed.
func (e *Early) Join(ctx context.Context, c net.Conn, sent int) error {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	err := e.join(c, sent)
	if !stop() {
		err = ctx.Err()
		e.Close()
	}
	if err != nil {
		c.Close()
	}
	return err
}

func (e *Early) join(c net.Conn, sent int) error {
	for {
		e.mu.Lock()
		if e.closed {
			e.mu.Unlock()
			return net.ErrClosed
		}
		if len(e.first) == sent {
			e.conn, e.first = c, nil
			close(e.joined)
			e.mu.Unlock()
			return nil
		}
		rest := e.first[sent:]
		e.mu.Unlock()
		n, err := c.Write(rest)
		if err != nil {
			return err
		}
		sent += n
	}
}

// stream waits for the stream.
func (e *Early) stream() (net.Conn, error) {
	<-e.joined
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conn == nil {
		return nil, net.ErrClosed
	}
	return e.conn, nil
}

// keep keeps what there is room for of p before the stream stands.
func (e *Early) keep(p []byte) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conn != nil || e.closed {
		return 0
	}
	n := min(len(p), EarlyBytes-len(e.first))
	if n > 0 {
		e.first = append(e.first, p[:n]...)
		close(e.changed)
		e.changed = make(chan struct{})
	}
	return n
}

// Write implements net.Conn.
func (e *Early) Write(p []byte) (int, error) {
	n := e.keep(p)
	if n == len(p) && n > 0 {
		return n, nil
	}
	c, err := e.stream()
	if err != nil {
		return n, err
	}
	m, err := c.Write(p[n:])
	return n + m, err
}

// Read implements net.Conn.
func (e *Early) Read(p []byte) (int, error) {
	c, err := e.stream()
	if err != nil {
		return 0, err
	}
	return c.Read(p)
}

// Close implements net.Conn. A dial under way then fails at its end, unless
// its context ends first.
func (e *Early) Close() error {
	e.mu.Lock()
	c := e.conn
	if !e.closed && c == nil {
		close(e.joined)
	}
	e.closed = true
	e.mu.Unlock()
	if c == nil {
		return nil
	}
	return c.Close()
}

// Stands reports whether the service has answered.
func (e *Early) Stands() bool { return e.standing() != nil }

// standing is the stream, nil if it does not stand.
func (e *Early) standing() net.Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.conn
}

// SetDeadline implements net.Conn.
func (e *Early) SetDeadline(t time.Time) error {
	if c := e.standing(); c != nil {
		return c.SetDeadline(t)
	}
	return nil
}

// SetReadDeadline implements net.Conn.
func (e *Early) SetReadDeadline(t time.Time) error {
	if c := e.standing(); c != nil {
		return c.SetReadDeadline(t)
	}
	return nil
}

// SetWriteDeadline implements net.Conn.
func (e *Early) SetWriteDeadline(t time.Time) error {
	if c := e.standing(); c != nil {
		return c.SetWriteDeadline(t)
	}
	return nil
}

// LocalAddr implements net.Conn.
func (e *Early) LocalAddr() net.Addr {
	if c := e.standing(); c != nil {
		return c.LocalAddr()
	}
	return somebody{}
}

// RemoteAddr implements net.Conn.
func (e *Early) RemoteAddr() net.Addr {
	if c := e.standing(); c != nil {
		return c.RemoteAddr()
	}
	return somebody{}
}

// somebody is an end of a stream that does not stand yet.
type somebody struct{}

func (somebody) Network() string { return "onion" }
func (somebody) String() string  { return "onion" }
