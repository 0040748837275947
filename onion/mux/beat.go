package mux

import (
	"sync"
	"time"
)

const (
	// clientGather is how long a client's frames gather. Operations send to
	// all servers at once, and what they send within that time comes to tor,
	// and leaves it, together.
	clientGather = time.Millisecond
	// serverGather is how long an answer's do: long enough for its end.
	// othersGather is how long it waits for answers to what else the client
	// asked, which often come a little later: after the disk.
	serverGather = 200 * time.Microsecond
	othersGather = 10 * time.Millisecond
)

// A beat lets frames gather on several circuits and then leave them at once:
// what tor finds at one time it sends in one segment, and none waits for
// another's to arrive.
type beat struct {
	gather time.Duration
	// apart lets each circuit leave by itself: a server's clients have nothing
	// to do with each other, and none may keep another back by a circuit that
	// is full.
	apart bool

	mu      sync.Mutex
	waiting []*circuit // guarded by mu
}

func (b *beat) add(c *circuit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting = append(b.waiting, c); len(b.waiting) == 1 {
		time.AfterFunc(b.gather, b.strike)
	}
}

func (b *beat) strike() {
	b.mu.Lock()
	all := b.waiting
	b.waiting = nil
	b.mu.Unlock()
	for _, c := range all {
		if c.stays(b) {
			continue
		}
		if b.apart || !c.leave(true) {
			go c.leave(false)
		}
	}
}
