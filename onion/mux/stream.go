package mux

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-yamux/v4"
)

// A clientStream is one request's connection.
type clientStream struct {
	*yamux.Stream
	wrote atomic.Bool // a byte of the request may have left
	once  sync.Once
	spawn func(func()) bool // the pool's
	free  func()            // called when the peer has been told of the end
}

func (s *clientStream) Write(p []byte) (int, error) {
	s.wrote.Store(true)
	return s.Stream.Write(p)
}

// Close resets the stream, so that a peer that still writes stops at once:
// yamux's own Close would leave it blocked. It does not wait for a circuit
// that is full.
func (s *clientStream) Close() error {
	s.once.Do(func() {
		reset := func() { s.Stream.Reset(); s.free() }
		if !s.spawn(reset) {
			reset()
		}
	})
	return nil
}

// writeStall is how long a client may take no byte of an answer.
const writeStall = 2 * time.Minute

// A serverStream is one accepted stream. A write that makes no progress
// fails after a while.
type serverStream struct {
	*yamux.Stream
	gate    gate      // net/http writes from one goroutine at a time
	begun   sync.Once // the answer
	once    sync.Once
	session *served
	account *account // nil if the stream ended before it was accepted
}

func (s *serverStream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	s.account.took(n)
	return n, err
}

func (s *serverStream) Write(p []byte) (int, error) {
	if s.gate.open && !s.gate.shut {
		return s.write(p)
	}
	out, err := s.gate.pass(p)
	if err == nil {
		_, err = s.write(out)
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *serverStream) write(p []byte) (int, error) {
	s.begun.Do(s.session.begun)
	n := 0
	for n < len(p) {
		s.Stream.SetWriteDeadline(time.Now().Add(writeStall))
		k, err := s.Stream.Write(p[n:min(len(p), n+maxMessage)])
		n += k
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Close ends the stream behind what was written. net/http calls it once the
// exchange is over, and again when the server closes.
func (s *serverStream) Close() error {
	s.begun.Do(s.session.begun)
	err := s.Stream.Close()
	s.once.Do(func() {
		s.account.leave()
		s.session.streamEnded()
	})
	return err
}

func (s *serverStream) RemoteAddr() net.Addr { return somebody{} }
func (s *serverStream) LocalAddr() net.Addr  { return somebody{} }

// somebody is the address of every peer, so that none can reach a log.
type somebody struct{}

func (somebody) Network() string { return "onion" }
func (somebody) String() string  { return "onion" }
