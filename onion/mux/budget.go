package mux

import (
	"errors"
	"sync"
	"time"
)

// A budget bounds what peers make the process buffer, and says who pays when
// that is too much.
//
// Counted are the bytes that came for a stream and that its handler has not
// read, and nothing else: not the windows, which say only what might come,
// so that a stranger who opens streams and sends nothing takes no room from
// anybody. A frame counts from its header on, since yamux makes room for the
// whole of it then, and costs frameCost more, since bytes that come one by
// one take more room than they are.
//
// A session is a stranger until one of its requests got an answer that is no
// refusal, which without a secret none does. All strangers together may hold
// the budget divided by strangersPart; beyond it one of them is cut, and so
// they can't cost anybody else his session. When all sessions together hold
// more than the budget, one of all is cut. It is the one for which the bytes
// times how long none of them moved is the most: large and slow. What a busy
// client has here moves on as fast as its handlers read.
type budget struct {
	max int64

	mu        sync.Mutex
	total     int64                 // guarded by mu; of all that are not doomed
	cuts      int64                 // guarded by mu; how many were doomed
	claimed   int64                 // guarded by mu; by handlers, see Claim
	refused   int64                 // guarded by mu; claims
	bySession map[any]int64         // guarded by mu; parts of claimed
	byGroup   map[any]int64         // guarded by mu; parts of claimed
	strangers int64                 // guarded by mu; the part of total that strangers hold
	holders   map[*holding]struct{} // guarded by mu
}

const (
	// strangersPart is the part of the budget for strangers: one of so many.
	strangersPart = 4
	// frameCost is what a frame takes in memory beside its bytes.
	frameCost = 64
)

func newBudget(max int64) *budget {
	return &budget{max: max, holders: make(map[*holding]struct{}), bySession: make(map[any]int64), byGroup: make(map[any]int64)}
}

// A holding is what one session holds. Its fields are guarded by budget.mu.
type holding struct {
	budget *budget
	cut    func() // must not wait; not guarded

	bytes  int64
	moved  time.Time // when a handler last took bytes, or the first came
	known  bool      // no stranger
	doomed bool      // was cut, and is about to give all back

	open   map[uint32]*account // the streams that yamux has, by id
	opened []*account          // those of open that yamux has not asked for yet
}

func (b *budget) holder(cut func()) *holding {
	h := &holding{budget: b, cut: cut, open: make(map[uint32]*account)}
	b.mu.Lock()
	b.holders[h] = struct{}{}
	b.mu.Unlock()
	return h
}

// countLocked counts n bytes more, or less.
func (b *budget) countLocked(h *holding, n int64) {
	if h.bytes == 0 {
		h.moved = time.Now()
	}
	h.bytes += n
	if h.doomed {
		return
	}
	b.total += n
	if !h.known {
		b.strangers += n
	}
}

// enforceLocked picks who is cut, nil if nobody need be. The caller cuts it
// without the lock.
func (b *budget) enforceLocked() *holding {
	strangersOnly := b.strangers > b.max/strangersPart
	if !strangersOnly && b.total <= max(b.max/buffersPart, b.max-b.claimed) {
		return nil
	}
	var worst *holding
	var most float64
	now := time.Now()
	for h := range b.holders {
		if h.doomed || h.bytes == 0 || strangersOnly && h.known {
			continue
		}
		if w := float64(h.bytes) * (now.Sub(h.moved) + time.Second).Seconds(); worst == nil || w > most {
			worst, most = h, w
		}
	}
	if worst != nil {
		// Until it is gone, what it holds must not doom others.
		held := worst.bytes
		b.countLocked(worst, -held)
		worst.doomed = true
		b.cuts++
		b.countLocked(worst, held)
	}
	return worst
}

// know makes the session one that is no stranger.
func (h *holding) know() {
	b := h.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if !h.known && !h.doomed {
		b.strangers -= h.bytes
	}
	h.known = true
}

// close forgets the session once yamux is through with it. What handlers
// still keep counts until they end.
func (h *holding) close() {
	b := h.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range h.opened {
		a.endLocked() // yamux never asked for it
	}
	h.opened = nil
	delete(b.holders, h)
}

// An account is what one stream holds. It implements yamux.MemoryManager.
// Its fields are guarded by the budget's mu.
type account struct {
	holding *holding
	id      uint32
	bytes   int64 // that came and were not read
	cost    int64 // of the frames that they came in
	served  bool  // a handler has it
	ended   bool  // yamux has it no more
}

// takeLocked counts n bytes as read.
func (a *account) takeLocked(n int64) {
	if n = min(n, a.bytes); n == 0 {
		return
	}
	cost := a.cost * n / a.bytes
	a.bytes -= n
	a.cost -= cost
	a.holding.budget.countLocked(a.holding, -n-cost)
}

func (a *account) endLocked() {
	h := a.holding
	a.ended = true
	if h.open[a.id] == a {
		delete(h.open, a.id)
	}
	if !a.served {
		a.takeLocked(a.bytes)
	}
}

// took counts n bytes that a handler has read.
func (a *account) took(n int) {
	if a == nil || n == 0 {
		return
	}
	b := a.holding.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	a.takeLocked(int64(n))
	a.holding.moved = time.Now()
}

// leave is the handler's end.
func (a *account) leave() {
	if a == nil {
		return
	}
	b := a.holding.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	a.served = false
	if a.ended {
		a.takeLocked(a.bytes)
	}
}

// newStream is the priority with which yamux asks for a stream's first
// window.
const newStream = 255

// ReserveMemory implements yamux.MemoryManager. A new stream is never
// refused, since that would end the session; a window may grow while half
// the budget is free.
func (a *account) ReserveMemory(size int, prio uint8) error {
	if prio == newStream {
		return nil
	}
	b := a.holding.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.total+b.claimed+int64(size) > b.max/2 {
		return errFull
	}
	return nil
}

// ReleaseMemory implements yamux.MemoryManager.
func (a *account) ReleaseMemory(int) {}

// Done implements yamux.MemoryManager. yamux may call it twice.
func (a *account) Done() {
	b := a.holding.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if !a.ended {
		a.endLocked()
	}
}

var errFull = errors.New("the buffers are full")
