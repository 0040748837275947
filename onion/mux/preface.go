package mux

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A session starts, in both directions, with these bytes: a name, and the
// number of the format that follows. Neither side waits for the other's, so
// that they cost no round trip.
const (
	prefaceName   = "lafsmux"
	formatNumber  = 1
	prefaceLength = len(prefaceName) + 1
)

// A circuit is the connection below a yamux session. It sends the preface
// before the first byte and takes the peer's off before the first byte that
// yamux sees.
type circuit struct {
	net.Conn
	heard atomic.Int64 // when bytes last came, Unix nanoseconds
	read  bool         // the peer's preface was good; only the reader touches it
	meter *meter       // counts what comes after it; nil on the client's side

	writing sync.Mutex
	sent    bool // guarded by writing

	mu  sync.Mutex
	err error // guarded by mu; why the peer was refused, or not reached
}

func newCircuit(c net.Conn) *circuit {
	cc := &circuit{Conn: c}
	cc.heard.Store(time.Now().UnixNano())
	return cc
}

func (c *circuit) Read(p []byte) (int, error) {
	if !c.read {
		if err := c.readPreface(); err != nil {
			// The peer learns our format even so.
			c.Write(nil)
			return 0, err
		}
		c.read = true
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(time.Now().UnixNano())
		if c.meter != nil {
			c.meter.see(p[:n])
		}
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

// fail makes requests on the circuit fail with err.
func (c *circuit) fail(err error) {
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
}

func checkPreface(b [prefaceLength]byte) error {
	if !bytes.Equal(b[:len(prefaceName)], []byte(prefaceName)) {
		return fmt.Errorf("%w: it sent something else", ErrFormat)
	}
	if n := b[len(prefaceName)]; n != formatNumber {
		return fmt.Errorf("%w: it speaks number %d, we speak %d; the older side needs a newer lafs", ErrFormat, n, formatNumber)
	}
	return nil
}

// refused returns why the peer's preface was refused, or the peer not reached;
// nil if neither.
func (c *circuit) refused() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *circuit) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.sent {
		return c.Conn.Write(p)
	}
	c.sent = true
	n, err := c.Conn.Write(append(append([]byte(prefaceName), formatNumber), p...))
	return max(0, n-prefaceLength), err
}
