package mux

import "github.com/libp2p/go-yamux/v4"

// count counts what frames bring for each stream.
func (h *holding) count(f frame) {
	if f.kind != frameData && f.kind != frameWindow {
		return
	}
	if f.flags&flagOpen != 0 {
		h.opens(f.stream)
	}
	if f.kind == frameData {
		// A longer one than any window ends the session.
		h.arrives(f.stream, min(int64(f.length), serverMaxWindow))
	}
}

// opens notes that a stream begins, for which yamux is going to ask.
func (h *holding) opens(id uint32) {
	h.budget.mu.Lock()
	defer h.budget.mu.Unlock()
	a := &account{holding: h, id: id}
	h.open[id] = a
	h.opened = append(h.opened, a)
}

// arrives counts a frame's bytes for a stream, if it is open: others are
// thrown away.
func (h *holding) arrives(id uint32, n int64) {
	b := h.budget
	b.mu.Lock()
	a := h.open[id]
	if a == nil || n == 0 {
		b.mu.Unlock()
		return
	}
	a.bytes += n
	a.cost += frameCost
	b.countLocked(h, n+frameCost)
	worst := b.enforceLocked()
	b.mu.Unlock()
	if worst != nil {
		worst.cut()
	}
}

// span gives yamux the account of the stream that it is about to open. It
// asks in the order in which the streams' first frames came.
func (h *holding) span() (yamux.MemoryManager, error) {
	h.budget.mu.Lock()
	defer h.budget.mu.Unlock()
	if len(h.opened) == 0 {
		return nil, errFull
	}
	a := h.opened[0]
	h.opened = h.opened[1:]
	return a, nil
}

// serves returns the account of a stream that a handler gets, nil if the
// stream has ended meanwhile.
func (h *holding) serves(id uint32) *account {
	h.budget.mu.Lock()
	defer h.budget.mu.Unlock()
	a := h.open[id]
	if a != nil {
		a.served = true
	}
	return a
}
