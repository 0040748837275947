package oniontest

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// segmentBytes is the most that travels as one: what a bandwidth delivers
// piece by piece.
const segmentBytes = 16 << 10

// A conn is one end of a connection. It behaves as a Tor stream: writes are
// buffered up to a bound, an end that is closed is seen by the other after
// the delay, and there is no half-close.
type conn struct {
	host    *Host
	in, out *pipe
	peer    *conn
	once    sync.Once
}

// connect returns the two ends of a new connection: the dialler's, and the
// listener's.
func connect(dialler, server *Host) (near, far *conn) {
	id := uint64(dialler.net.number())
	there := newPipe(dialler, server, id, 2*id)
	back := newPipe(server, dialler, id, 2*id+1)
	near = &conn{host: dialler, in: back, out: there}
	far = &conn{host: server, in: there, out: back}
	near.peer, far.peer = far, near
	there.cut, back.cut = near.cut, far.cut
	dialler.add(near)
	server.add(far)
	return near, far
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	c.host.in.Add(int64(n))
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	c.host.out.Add(int64(n))
	return n, err
}

// Close sends what was written and then the end.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.host.remove(c)
		c.out.closeWrite()
		c.in.closeRead()
	})
	return nil
}

// cut ends both directions with a reset: for this end at near, for the other
// at far.
func (c *conn) cut(near, far time.Time) {
	c.in.fail(near, near)
	c.out.fail(near, far)
	// What the other end reads and writes fails when it hears of it.
	c.peer.out.failWrites(far)
	c.host.remove(c)
	c.peer.host.remove(c.peer)
}

func (c *conn) LocalAddr() net.Addr  { return place{} }
func (c *conn) RemoteAddr() net.Addr { return place{} }

func (c *conn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.readDeadline, t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.setDeadline(&c.out.writeDeadline, t)
	return nil
}

type segment struct {
	at   time.Time // when it can be read
	data []byte
}

// A pipe is one direction of a connection.
type pipe struct {
	from, to *Host
	conn     int64 // the connection's number
	// cut is the sending end's.
	cut func(near, far time.Time)

	mu            sync.Mutex
	rnd           *rand.Rand // guarded by mu, as all below
	segs          []segment  // on their way or unread
	size          int        // bytes in segs
	departed      time.Time  // when the last byte left the sender
	window        window     // with Options.Windows
	arrival       time.Time  // of the last segment
	holed         bool       // bytes were lost
	closedWrite   bool       // the sender closed
	endAt         time.Time  // when the reader sees that; zero: not yet, or lost
	closedRead    bool       // the reader closed: what comes is dropped
	readFail      time.Time  // when reads fail with a reset; zero: never
	writeFail     time.Time  // when writes fail with a reset; zero: never
	readDeadline  time.Time
	writeDeadline time.Time
	changed       chan struct{} // closed at the next change, if anybody waits
}

func newPipe(from, to *Host, conn, id uint64) *pipe {
	return &pipe{from: from, to: to, conn: int64(conn), rnd: rand.New(rand.NewPCG(uint64(from.net.opts.Seed), id))}
}

func (p *pipe) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broadcast()
}

func (p *pipe) broadcast() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// sleep gives up mu until something changes or the earliest of the times
// comes; zero times never come.
func (p *pipe) sleep(times ...time.Time) {
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	changed := p.changed
	p.mu.Unlock()
	defer p.mu.Lock()
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if first.IsZero() {
		<-changed
		return
	}
	t := time.NewTimer(time.Until(first))
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	}
}

func due(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.closedRead:
			return 0, net.ErrClosed
		case due(p.readDeadline):
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		}
		stalled := p.stalled()
		var next time.Time
		if !stalled && len(p.segs) > 0 {
			if next = p.segs[0].at; due(next) {
				return p.take(b), nil
			}
		}
		if due(p.readFail) {
			return 0, &net.OpError{Op: "read", Net: "onion", Err: syscall.ECONNRESET}
		}
		if !stalled && len(p.segs) == 0 {
			if next = p.endAt; due(next) {
				return 0, io.EOF
			}
		}
		p.sleep(next, p.readFail, p.readDeadline)
	}
}

func (p *pipe) stalled() bool {
	return p.from.faults.Load().StallOut || p.to.faults.Load().StallIn
}

// take moves to b what has arrived.
func (p *pipe) take(b []byte) int {
	n := 0
	for n < len(b) && len(p.segs) > 0 && due(p.segs[0].at) {
		k := copy(b[n:], p.segs[0].data)
		n += k
		if k == len(p.segs[0].data) {
			p.segs[0] = segment{}
			p.segs = p.segs[1:]
		} else {
			p.segs[0].data = p.segs[0].data[k:]
		}
	}
	p.size -= n
	p.broadcast()
	return n
}

func (p *pipe) write(b []byte) (int, error) {
	n := 0
	for {
		k, cut, err := p.writeSome(b[n:])
		n += k
		if cut {
			p.mu.Lock()
			at := p.arrival
			p.mu.Unlock()
			p.cut(time.Now(), at)
			return n, &net.OpError{Op: "write", Net: "onion", Err: syscall.ECONNRESET}
		}
		if err != nil || n == len(b) {
			return n, err
		}
	}
}

// writeSome queues the next segment of b when there is room, and reports
// whether the connection is to be cut behind it.
func (p *pipe) writeSome(b []byte) (int, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.closedWrite:
			return 0, false, net.ErrClosed
		case due(p.writeDeadline):
			return 0, false, os.ErrDeadlineExceeded
		case due(p.writeFail):
			return 0, false, &net.OpError{Op: "write", Net: "onion", Err: syscall.ECONNRESET}
		case p.closedRead:
			return len(b), false, nil
		}
		room := p.from.net.opts.Buffer - p.size
		if room > 0 || len(b) == 0 {
			most := segmentBytes
			if p.from.net.opts.Windows {
				most = windowedSize
			}
			n, cut := p.send(b[:min(len(b), room, most)])
			return n, cut, nil
		}
		p.sleep(p.writeDeadline, p.writeFail)
	}
}

// send puts b on its way.
func (p *pipe) send(b []byte) (int, bool) {
	from, to := p.from.faults.Load(), p.to.faults.Load()
	n, cut := cutPoint(&from.out, from.CutOutAfter, len(b))
	m, cutIn := cutPoint(&to.in, to.CutInAfter, n)
	cut = cut || cutIn
	if len(b) == 0 {
		return 0, false
	}
	// What follows lost bytes is lost too: no stream has holes.
	p.holed = p.holed || m > 0 && (from.LoseOut || to.LoseIn)
	p.schedule(m, from, to)
	if m > 0 && !p.holed {
		p.segs = append(p.segs, segment{p.arrival, append([]byte(nil), b[:m]...)})
		p.size += m
		p.broadcast()
	}
	return m, cut
}

// schedule sets when the next n bytes leave and arrive.
func (p *pipe) schedule(n int, from, to *faultState) {
	now := time.Now()
	if p.departed.Before(now) {
		p.departed = now
	}
	windows := p.from.net.opts.Windows
	if windows {
		p.departed = p.window.wait(p.departed, n)
	}
	bandwidth := p.from.net.opts.Bandwidth
	for _, b := range []int64{from.Bandwidth, to.Bandwidth, p.from.net.throttled(p.conn)} {
		if b > 0 && (bandwidth == 0 || b < bandwidth) {
			bandwidth = b
		}
	}
	if bandwidth > 0 {
		p.departed = p.departed.Add(time.Duration(n) * time.Second / time.Duration(bandwidth))
	}
	at := p.departed.Add(p.from.net.opts.RTT/2 + from.Delay + to.Delay)
	if j := p.from.net.opts.Jitter; j > 0 {
		at = at.Add(time.Duration(p.rnd.Int64N(int64(j))))
	}
	if at.After(p.arrival) {
		p.arrival = at
	}
	if windows {
		p.window.leave(n, p.arrival.Add(p.from.net.opts.RTT/2))
	}
}

// closeWrite ends the direction behind what was sent.
func (p *pipe) closeWrite() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closedWrite = true
	from, to := p.from.faults.Load(), p.to.faults.Load()
	p.schedule(0, from, to)
	if !p.holed && !from.LoseOut && !to.LoseIn {
		p.endAt = p.arrival
	}
	p.broadcast()
}

// closeRead drops what is here and what comes. The sender hears of it after
// the way back: a Tor stream closes as a whole.
func (p *pipe) closeRead() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closedRead = true
	p.segs, p.size = nil, 0
	if to, from := p.to.faults.Load(), p.from.faults.Load(); !to.LoseOut && !from.LoseIn {
		p.setFail(&p.writeFail, time.Now().Add(p.from.net.opts.RTT/2+to.Delay+from.Delay))
	}
	p.broadcast()
}

// fail resets the direction: for its writer at write, for its reader at read.
func (p *pipe) fail(write, read time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.setFail(&p.writeFail, write)
	p.setFail(&p.readFail, read)
	p.broadcast()
}

func (p *pipe) failWrites(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.setFail(&p.writeFail, at)
	p.broadcast()
}

func (p *pipe) setFail(t *time.Time, at time.Time) {
	if t.IsZero() || at.Before(*t) {
		*t = at
	}
}

func (p *pipe) setDeadline(field *time.Time, t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*field = t
	p.broadcast()
}
