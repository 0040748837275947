package oniontest

import (
	"net"
	"sync"

	"lafs/onion"
)

// A listener is one virtual port of a service.
type listener struct {
	host  *Host
	addr  onion.Addr
	queue chan *conn
	done  chan struct{}

	mu     sync.Mutex
	closed bool // guarded by mu
}

func newListener(h *Host, a onion.Addr) *listener {
	return &listener{host: h, addr: a, queue: make(chan *conn, backlog), done: make(chan struct{})}
}

// offer queues c for Accept, or reports that nobody takes it.
func (l *listener) offer(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	select {
	case l.queue <- c:
		l.host.accepted.Add(1)
		return true
	default:
		return false
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.host.net.withdraw(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.done)
	for {
		select {
		case c := <-l.queue:
			c.Close()
		default:
			return nil
		}
	}
}

func (l *listener) Addr() net.Addr { return place{} }

// place is the net.Addr of everything here: it names nobody.
type place struct{}

func (place) Network() string { return "onion" }
func (place) String() string  { return "onion" }
