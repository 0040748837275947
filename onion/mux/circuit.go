package mux

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"lafs/onion"
)

const (
	// lateAfter is how long a frame that nobody waits for stays behind at the
	// least, and twice as long at most, for want of another to go with.
	lateAfter = time.Second
	// briefly bounds a write that others wait behind.
	briefly = 5 * time.Millisecond
	// keptRoom is how much of what gathered frames took is kept for the next.
	keptRoom = 2 << 10
)

// A circuit is the connection below a yamux session. It sends the preface
// before the first byte and takes the peer's off before the first byte that
// yamux sees.
//
// yamux writes each frame by itself: a request is three, and an answer too, of
// which four are 12 bytes in all. Tor makes a cell of what it finds in a
// stream, and between relays TCP holds a small segment back while the one
// before it is on its way: each write may cost a trip a link's delay. So
// frames gather and leave in one, and what says nothing does not leave.
type circuit struct {
	net.Conn
	heard atomic.Int64 // when bytes last came, Unix nanoseconds
	read  bool         // the peer's preface was good; only the reader touches it
	in    frames       // looks at what comes after it; only the reader touches it
	ended *endings     // on the client's side, else nil
	beat  *beat        // when frames leave
	// more reports whether other answers are soon to come, for which patient
	// lets frames wait; nil on the client's side.
	more    func() bool
	patient *beat

	writing  chan struct{} // holds a value while free: a write may wait long
	sent     bool          // guarded by writing, as all below: the preface
	held     []byte        // frames that have gathered
	leaving  *beat         // that sends them, nil if none does yet
	late     *time.Timer   // sends those that nobody waits for, nil if there are none
	deadline time.Time     // of writes
	broken   error         // of a write that nobody waited for

	mu  sync.Mutex
	err error // guarded by mu; why the peer was refused, or not reached
}

func newCircuit(c net.Conn, b *beat) *circuit {
	cc := &circuit{Conn: c, beat: b, writing: make(chan struct{}, 1)}
	cc.unlock()
	cc.heard.Store(time.Now().UnixNano())
	return cc
}

func (c *circuit) lock()   { <-c.writing }
func (c *circuit) unlock() { c.writing <- struct{}{} }

func (c *circuit) tryLock() bool {
	select {
	case <-c.writing:
		return true
	default:
		return false
	}
}

// Read implements net.Conn.
func (c *circuit) Read(p []byte) (int, error) {
	if !c.read {
		if err := c.readPreface(); err != nil {
			c.greet()
			return 0, err
		}
		c.read = true
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(time.Now().UnixNano())
		c.in.see(p[:n])
	}
	return n, err
}

func (c *circuit) readPreface() error {
	var b [prefaceLength]byte
	if _, err := io.ReadFull(c.Conn, b[:]); err != nil {
		return err
	}
	err := checkPreface(b)
	c.fail(err)
	return err
}

// greet sends the preface now, if it has not left: a peer that is refused
// learns our format even so.
func (c *circuit) greet() {
	c.lock()
	defer c.unlock()
	if !c.sent {
		c.sendLocked(nil)
	}
}

// fail makes requests on the circuit fail with err.
func (c *circuit) fail(err error) {
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
}

// refused returns why the peer's preface was refused, or the peer not reached;
// nil if neither.
func (c *circuit) refused() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Write takes one frame. It waits while an earlier one does not get through;
// an error may be that of an earlier one.
func (c *circuit) Write(p []byte) (int, error) {
	c.lock()
	defer c.unlock()
	if c.broken != nil {
		return 0, c.broken
	}
	f := frameOf(p)
	if c.ended.idle(f) {
		return len(p), nil
	}
	if len(c.held)+len(p) >= maxMessage {
		if err := c.sendLocked(p); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	c.held = append(c.held, p...)
	switch {
	case !f.late() && c.more != nil && c.more():
		c.addLocked(c.patient)
	case !f.late():
		c.addLocked(c.beat)
	case c.leaving == nil && c.late == nil:
		c.late = time.AfterFunc(lateAfter+rand.N(lateAfter), c.hasten)
	}
	return len(p), nil
}

// hasten makes frames leave that have stayed behind.
func (c *circuit) hasten() {
	c.lock()
	defer c.unlock()
	if len(c.held) > 0 {
		c.addLocked(c.beat)
	}
}

func (c *circuit) addLocked(b *beat) {
	if c.leaving == nil || c.leaving == c.patient && b == c.beat {
		c.leaving = b
		b.add(c)
	}
}

// stays reports whether what has gathered is not to leave with beat b: there are
// other answers to come after all, for which it waits.
func (c *circuit) stays(b *beat) bool {
	if c.more == nil || b == c.patient || !c.more() || !c.tryLock() {
		return false
	}
	defer c.unlock()
	if c.leaving == b {
		c.leaving = c.patient
		c.patient.add(c)
	}
	return true
}

// leave sends what has gathered. Where brief, it gives up after a moment and
// reports false, and the rest is still to be sent.
func (c *circuit) leave(brief bool) bool {
	if !brief {
		c.lock()
	} else if !c.tryLock() {
		return false
	}
	defer c.unlock()
	if len(c.held) == 0 {
		return true
	}
	if !brief {
		c.sendLocked(nil)
		return true
	}
	if e, ok := c.Conn.(*onion.Early); ok && !e.Stands() {
		return false
	}
	c.Conn.SetWriteDeadline(time.Now().Add(briefly))
	err := c.sendLocked(nil)
	c.Conn.SetWriteDeadline(c.deadline)
	return !os.IsTimeout(err)
}

// sendLocked writes what has gathered and then p. If time runs out, the rest
// of what has gathered is kept; after another error the circuit is of no use.
func (c *circuit) sendLocked(p []byte) error {
	out := p
	if !c.sent {
		c.held = append(append([]byte(prefaceName), formatNumber), c.held...)
		c.sent = true
	}
	if len(c.held) > 0 {
		out = append(c.held, p...)
	}
	n, err := c.Conn.Write(out)
	if os.IsTimeout(err) && len(p) == 0 && (c.deadline.IsZero() || time.Now().Before(c.deadline)) {
		c.held = out[n:]
		return err
	}
	if err != nil {
		c.broken = err
		c.Conn.Close()
	}
	c.held, c.leaving = c.held[:0], nil
	if cap(c.held) > keptRoom {
		c.held = nil
	}
	if c.late != nil {
		c.late.Stop()
		c.late = nil
	}
	return err
}

// SetWriteDeadline implements net.Conn.
func (c *circuit) SetWriteDeadline(t time.Time) error {
	c.lock()
	defer c.unlock()
	c.deadline = t
	return c.Conn.SetWriteDeadline(t)
}
