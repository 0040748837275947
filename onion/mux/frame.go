package mux

import (
	"encoding/binary"
	"sync"
)

// The frame header of yamux: version (1 byte), type (1), flags (2), stream
// (4), length (4), big endian.
const (
	frameHeader = 12
	frameData   = 0
	frameWindow = 1
)

// A frame's flags.
const (
	flagOpen = 1 << iota
	flagOpened
	flagEnd
	flagReset
)

// A frame is what a header says.
type frame struct {
	kind   byte
	flags  uint16
	stream uint32
	length uint32
}

// frameOf reads the header that p begins with; without one it is no frame.
func frameOf(p []byte) frame {
	if len(p) < frameHeader {
		return frame{kind: 0xff}
	}
	return frame{p[1], binary.BigEndian.Uint16(p[2:]), binary.BigEndian.Uint32(p[4:]), binary.BigEndian.Uint32(p[8:])}
}

// late reports whether nobody waits for a frame: it says that a stream begins,
// which its first data follow, or that it began, which an answer shows as well.
func (f frame) late() bool {
	return f.kind == frameWindow && f.flags&(flagOpen|flagOpened) != 0 && f.flags&(flagEnd|flagReset) == 0
}

// A frames follows the frames that come on a circuit, before yamux sees them,
// and judges nothing: what is not allowed, yamux ends the session for.
type frames struct {
	each   func(frame)
	header [frameHeader]byte
	have   int    // bytes of header
	body   uint32 // bytes of a frame's body still to come
}

// see calls each for every header that p completes.
func (fs *frames) see(p []byte) {
	for len(p) > 0 {
		if fs.body > 0 {
			n := min(uint64(fs.body), uint64(len(p)))
			fs.body -= uint32(n)
			p = p[n:]
			continue
		}
		n := copy(fs.header[fs.have:], p)
		fs.have += n
		p = p[n:]
		if fs.have == frameHeader {
			fs.have = 0
			f := frameOf(fs.header[:])
			if f.kind == frameData {
				fs.body = f.length
			}
			fs.each(f)
		}
	}
}

// An endings knows the streams that a client opened and the server has ended.
// To tell the server that they have ended too, as yamux does, says nothing.
type endings struct {
	mu   sync.Mutex
	open map[uint32]bool // guarded by mu; true: the server has ended it
}

// came notes what a frame of the server's says.
func (e *endings) came(f frame) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch _, ours := e.open[f.stream]; {
	case !ours || f.kind != frameData && f.kind != frameWindow:
	case f.flags&flagReset != 0:
		delete(e.open, f.stream)
	case f.flags&flagEnd != 0:
		e.open[f.stream] = true
	}
}

// idle notes what a frame to the server says, and reports whether it need not
// be sent.
func (e *endings) idle(f frame) bool {
	if e == nil || f.kind != frameData && f.kind != frameWindow {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if f.flags&flagOpen != 0 {
		e.open[f.stream] = false
	}
	if f.flags&flagReset == 0 {
		return false
	}
	ended := e.open[f.stream]
	delete(e.open, f.stream)
	return ended
}
