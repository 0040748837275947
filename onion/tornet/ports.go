package tornet

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports stay below those that Linux hands out to outgoing connections, so
// that none of these can sit on a relay's port.
const (
	minPort     = 10000
	maxPort     = 32767
	portsNeeded = 2*(1+Relays) + 1
)

var errPortTaken = errors.New("port taken")

// heldPorts are listening sockets that keep others off the network's ports
// until its tors bind them. The first is the DirPort, then one a server as
// it is advertised, then, with a delay line, one a server where it listens.
type heldPorts struct {
	base      int
	listeners []net.Listener
}

// holdPorts binds as many consecutive ports as are needed, from base, or
// from anywhere if base is 0.
func holdPorts(base int, delayed bool) (*heldPorts, error) {
	count := 1 + 1 + Relays
	if delayed {
		count = portsNeeded
	}
	if base != 0 {
		return bindRange(base, count)
	}
	var err error
	for range 50 {
		var h *heldPorts
		h, err = bindRange(minPort+rand.IntN(maxPort-minPort-count), count)
		if err == nil {
			return h, nil
		}
	}
	return nil, err
}

func bindRange(base, count int) (*heldPorts, error) {
	h := &heldPorts{base: base}
	for p := base; p < base+count; p++ {
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", p))
		if err != nil {
			h.release()
			return nil, fmt.Errorf("%w: 127.0.0.1:%d is in use by another program: %v", errPortTaken, p, err)
		}
		h.listeners = append(h.listeners, l)
	}
	return h, nil
}

func (h *heldPorts) dir() int             { return h.base }
func (h *heldPorts) advertised(i int) int { return h.base + 1 + i }
func (h *heldPorts) real(i int) int       { return h.base + 1 + 1 + Relays + i }

// takeAdvertised hands the advertised ports' listeners to the caller.
func (h *heldPorts) takeAdvertised() []net.Listener {
	out := make([]net.Listener, 1+Relays)
	copy(out, h.listeners[1:])
	for i := range out {
		h.listeners[1+i] = nil
	}
	return out
}

// release frees the ports still held. It may be called again.
func (h *heldPorts) release() {
	for _, l := range h.listeners {
		if l != nil {
			l.Close()
		}
	}
	h.listeners = nil
}
