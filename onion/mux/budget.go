package mux

import (
	"errors"
	"sync"

	"github.com/libp2p/go-yamux/v4"
)

// A budget bounds what peers can make the process buffer. Each session
// counts the windows of its streams, which are what it may be sent unread;
// when the sum passes the bound, the session that holds most is cut. One
// greedy peer thus pays for itself, and the others go on.
//
// yamux asks through its MemoryManager. Refusing there a new stream would
// leak its slot and end the session, so that new streams are never refused,
// only the growth of windows.
type budget struct {
	max int64

	mu      sync.Mutex
	total   int64                 // guarded by mu; of all that are not doomed
	holders map[*holding]struct{} // guarded by mu
}

// A holding is what one session counts.
type holding struct {
	budget *budget
	cut    func() // must not wait

	bytes  int64 // guarded by budget.mu
	doomed bool  // guarded by budget.mu; was cut, and is about to give all back
}

func newBudget(max int64) *budget {
	return &budget{max: max, holders: make(map[*holding]struct{})}
}

func (b *budget) holder(cut func()) *holding {
	h := &holding{budget: b, cut: cut}
	b.mu.Lock()
	b.holders[h] = struct{}{}
	b.mu.Unlock()
	return h
}

// close gives back all that the session still holds.
func (h *holding) close() {
	b := h.budget
	b.mu.Lock()
	delete(b.holders, h)
	b.mu.Unlock()
}

// span returns the account of one stream.
func (h *holding) span() (yamux.MemoryManager, error) { return &span{holding: h}, nil }

func (b *budget) countLocked(h *holding, n int64) {
	h.bytes += n
	if !h.doomed {
		b.total += n
	}
}

// add counts n bytes more and cuts whoever holds most if that is too much.
func (h *holding) add(n int64) {
	b := h.budget
	b.mu.Lock()
	b.countLocked(h, n)
	var most *holding
	if b.total > b.max {
		for o := range b.holders {
			if !o.doomed && (most == nil || o.bytes > most.bytes) {
				most = o
			}
		}
	}
	if most != nil {
		// Until it is gone, what it holds must not doom others.
		b.total -= most.bytes
		most.doomed = true
	}
	b.mu.Unlock()
	if most != nil {
		most.cut()
	}
}

// grow counts n bytes more if half the budget is still free for streams to
// come.
func (h *holding) grow(n int64) bool {
	b := h.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.total+n > b.max/2 {
		return false
	}
	b.countLocked(h, n)
	return true
}

// A span is what one stream counts; it implements yamux.MemoryManager.
type span struct {
	holding *holding

	mu    sync.Mutex
	bytes int64 // guarded by mu
	done  bool  // guarded by mu
}

// newStream is the priority with which yamux asks for a stream's first
// window.
const newStream = 255

// ReserveMemory implements yamux.MemoryManager.
func (s *span) ReserveMemory(size int, prio uint8) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := int64(size)
	if prio == newStream {
		// yamux asks for the protocol's 256 KiB and then grants our window.
		n = max(n, serverWindow)
		s.holding.add(n)
	} else if !s.holding.grow(n) {
		return errFull
	}
	s.bytes += n
	return nil
}

// ReleaseMemory implements yamux.MemoryManager.
func (s *span) ReleaseMemory(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(min(int64(size), s.bytes))
}

// Done implements yamux.MemoryManager. yamux may call it twice.
func (s *span) Done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.done {
		s.done = true
		s.release(s.bytes)
	}
}

func (s *span) release(n int64) {
	s.bytes -= n
	b := s.holding.budget
	b.mu.Lock()
	b.countLocked(s.holding, -n)
	b.mu.Unlock()
}

var errFull = errors.New("the buffers are full")
