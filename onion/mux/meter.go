package mux

import (
	"encoding/binary"

	"github.com/libp2p/go-yamux/v4"
)

// The frame header of yamux, as far as counting needs it: version (1 byte),
// type (1), flags (2), stream (4), length (4), big endian.
const (
	frameHeader   = 12
	frameData     = 0
	frameWindow   = 1
	frameOpenFlag = 1
)

// A meter follows the frames that come on a circuit and counts what they
// bring for each stream. It sees the bytes before yamux does, and judges
// nothing: what is not allowed, yamux ends the session for. Only the
// circuit's reader calls it.
type meter struct {
	holding *holding
	header  [frameHeader]byte
	have    int    // bytes of header
	body    uint32 // bytes of a frame's body still to come
}

// see counts the bytes of p.
func (m *meter) see(p []byte) {
	for len(p) > 0 {
		if m.body > 0 {
			n := min(uint64(m.body), uint64(len(p)))
			m.body -= uint32(n)
			p = p[n:]
			continue
		}
		n := copy(m.header[m.have:], p)
		m.have += n
		p = p[n:]
		if m.have == frameHeader {
			m.have = 0
			m.frame()
		}
	}
}

func (m *meter) frame() {
	kind, flags := m.header[1], binary.BigEndian.Uint16(m.header[2:])
	id, length := binary.BigEndian.Uint32(m.header[4:]), binary.BigEndian.Uint32(m.header[8:])
	if kind != frameData && kind != frameWindow {
		return
	}
	if flags&frameOpenFlag != 0 {
		m.holding.opens(id)
	}
	if kind == frameData {
		m.body = length
		// A longer one than any window ends the session.
		m.holding.arrives(id, min(int64(length), serverMaxWindow))
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
