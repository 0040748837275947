package tor

import (
	"net"
	"sync"
	"time"

	"lafs/onion"
)

// A listener is one virtual port of a service: the local socket that Tor
// connects to when somebody reaches the port.
type listener struct {
	net.Listener
	addr    onion.Addr
	onClose func()

	mu   sync.Mutex
	open bool // guarded by mu
}

// target is what ADD_ONION calls the socket.
func (l *listener) target() string {
	if a := l.Listener.Addr(); a.Network() == "unix" {
		return "unix:" + a.String()
	} else {
		return a.String()
	}
}

func (l *listener) isOpen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// acceptPause is how long Accept rests when the process has no file left.
const acceptPause = 50 * time.Millisecond

// Accept returns the next stream that somebody opened through Tor. Who it
// is, nobody knows.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err == nil {
			return &stream{Conn: c, local: place{l.addr}, remote: place{}}, nil
		}
		if !l.isOpen() {
			return nil, errClosed
		}
		// Out of files or memory: that passes, and the service shall not.
		time.Sleep(acceptPause)
	}
}

// Close stops the listener; the service is withdrawn with its last one.
func (l *listener) Close() error {
	l.mu.Lock()
	was := l.open
	l.open = false
	l.mu.Unlock()
	if !was {
		return nil
	}
	err := l.Listener.Close()
	l.onClose()
	return err
}

// Addr returns the onion address, shortened when printed.
func (l *listener) Addr() net.Addr { return place{l.addr} }

// A stream is a connection whose ends are named by onion addresses, so that
// no path or port of this machine shows up in a log.
type stream struct {
	net.Conn
	local, remote place
}

func (s *stream) LocalAddr() net.Addr  { return s.local }
func (s *stream) RemoteAddr() net.Addr { return s.remote }

// A place is an onion address as a net.Addr. The zero place is somebody on
// the other side of Tor.
type place struct{ addr onion.Addr }

func (place) Network() string { return "onion" }

func (p place) String() string {
	if p.addr.IsZero() {
		return "onion"
	}
	return p.addr.Short()
}
