package tornet

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	delayChunk = 16 << 10 // bytes read at once
	delayQueue = 512      // chunks held in one direction: 8 MiB, more than the fastest link fills in 100 ms
)

// A delayLine is a TCP proxy that holds every byte for a fixed time, each way,
// without narrowing the connection: bytes are stamped as they come and sent
// on when due, so that many can be under way at once.
type delayLine struct {
	delay time.Duration
	wg    sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[io.Closer]struct{}
}

func newDelayLine(delay time.Duration) *delayLine {
	return &delayLine{delay: delay, open: map[io.Closer]struct{}{}}
}

// serve passes connections of l on to a port on 127.0.0.1 until close. It
// takes l over and returns at once.
func (d *delayLine) serve(l net.Listener, port int) {
	if !d.track(l) {
		return
	}
	d.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			if d.track(in) {
				d.wg.Go(func() { d.carry(in.(duplex), port) })
			}
		}
	})
}

func (d *delayLine) carry(in duplex, port int) {
	defer d.drop(in)
	out, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil || !d.track(out) {
		return
	}
	defer d.drop(out)
	var both sync.WaitGroup
	both.Go(func() { d.hold(in, out.(duplex)) })
	both.Go(func() { d.hold(out.(duplex), in) })
	both.Wait()
}

// A duplex can end one direction and go on with the other, as TCP can.
type duplex interface {
	net.Conn
	CloseWrite() error
}

// held is what was read at one instant; empty means the end.
type held struct {
	due  time.Time
	data []byte
}

// hold copies from one side to the other, late. The end of the stream is
// passed on late too; an error cuts both sides.
func (d *delayLine) hold(from, to duplex) {
	queue := make(chan held, delayQueue)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(queue)
		for {
			buf := make([]byte, delayChunk)
			n, err := from.Read(buf)
			if n > 0 {
				queue <- held{time.Now().Add(d.delay), buf[:n]}
			}
			if errors.Is(err, io.EOF) {
				queue <- held{due: time.Now().Add(d.delay)}
				return
			}
			if err != nil {
				to.Close()
				return
			}
		}
	})
	failed := false
	for h := range queue {
		if failed {
			continue // so that the reader is not left waiting
		}
		time.Sleep(time.Until(h.due))
		var err error
		if len(h.data) == 0 {
			err = to.CloseWrite()
		} else {
			_, err = to.Write(h.data)
		}
		if err != nil {
			failed = true
			from.Close()
		}
	}
	reader.Wait()
}

// track remembers c for close. It closes c and says no after close.
func (d *delayLine) track(c io.Closer) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		c.Close()
		return false
	}
	d.open[c] = struct{}{}
	return true
}

func (d *delayLine) drop(c io.Closer) {
	c.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, c)
}

// close cuts everything and waits.
func (d *delayLine) close() {
	d.mu.Lock()
	d.closed = true
	for c := range d.open {
		c.Close()
	}
	d.mu.Unlock()
	d.wg.Wait()
}
