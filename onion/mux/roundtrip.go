package mux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

type roundTripper struct {
	peer  *Peer
	class Class
}

// RoundTrip implements http.RoundTripper.
func (rt *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	out, err := wireRequest(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	repeatable := repeatable(req)
	for attempt := 1; ; attempt++ {
		resp, again, err := rt.try(out, repeatable)
		if err == nil {
			return resp, nil
		}
		if ctxErr := req.Context().Err(); ctxErr != nil {
			closeBody(out)
			return nil, ctxErr
		}
		if attempt == maxAttempts || !again || !rewind(req, out) {
			closeBody(out)
			rt.peer.ended(err)
			return nil, err
		}
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// wireRequest returns the request as it goes on the wire of a session.
func wireRequest(req *http.Request) (*http.Request, error) {
	out, err := Outgoing(req, "http")
	if err == nil && out.Body != nil {
		out.Body = &upload{ReadCloser: out.Body}
	}
	return out, err
}

// An upload is a request body that knows whether anybody read from it.
type upload struct {
	io.ReadCloser
	mu      sync.Mutex
	touched bool // guarded by mu
}

func (u *upload) touch() {
	u.mu.Lock()
	u.touched = true
	u.mu.Unlock()
}

func (u *upload) Read(p []byte) (int, error) {
	u.touch()
	return u.ReadCloser.Read(p)
}

func (u *upload) Close() error {
	u.touch()
	return u.ReadCloser.Close()
}

func (u *upload) used() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.touched
}

// rewind makes out ready to go again, and reports whether it could.
func rewind(req, out *http.Request) bool {
	u, ok := out.Body.(*upload)
	if !ok || !u.used() {
		return true
	}
	if req.GetBody == nil {
		return false
	}
	body, err := req.GetBody()
	if err != nil {
		return false
	}
	out.Body = &upload{ReadCloser: body}
	return true
}

// repeatable reports whether a request that the peer may have acted on may
// go again.
func repeatable(req *http.Request) bool {
	_, marked := req.Header[idempotencyKey]
	return marked || req.Method == "" || req.Method == http.MethodGet || req.Method == http.MethodHead
}

// try sends req once. After an error it reports whether req may go again.
func (rt *roundTripper) try(req *http.Request, repeatable bool) (resp *http.Response, again bool, err error) {
	ctx, pe := req.Context(), rt.peer
	var t *ticket // of bulk
	var ln *lane
	var s *session
	if rt.class == Bulk {
		t = newTicket(req)
		if err := pe.acquire(ctx, t); err != nil {
			return nil, false, err
		}
		ln, s = t.lane, t.sess
	} else {
		ln = pe.pickSmall()
		if s, err = ln.session(ctx, repeatable); err != nil {
			ln.release(nil)
			return nil, false, err
		}
	}
	started, warm := time.Now(), s.standing(pe)
	release := func() {
		ln.release(s)
		if t != nil {
			pe.settle(t)
		}
	}
	y, err := s.OpenStream(ctx)
	if err != nil {
		if ctx.Err() == nil {
			ln.retire(s)
		}
		<-ln.slots
		release()
		return nil, s.circuit.refused() == nil, lost(s, err)
	}
	// The slot is free for the next stream once the end of this one is on its
	// way before it, so that the server never counts both.
	st := &clientStream{Stream: y, spawn: rt.peer.pool.spawn, free: func() { <-ln.slots }}
	if req.Body != nil {
		// net/http waits for the body's Read before it gives a request up.
		stop := context.AfterFunc(ctx, func() { req.Body.Close() })
		defer stop()
	}
	resp, err = transport(st, req.Body != nil).RoundTrip(req)
	if err != nil {
		st.Close()
		if ctx.Err() != nil {
			ln.suspect(s, started)
		}
		release()
		again = s.IsClosed() && s.circuit.refused() == nil && (repeatable || !st.wrote.Load())
		return nil, again, lost(s, err)
	}
	if warm {
		pe.noteTrip(rt.class, time.Since(started))
	}
	if t != nil {
		pe.sent(t)
	}
	resp.Header = only(resp.Header, answerHeaders)
	resp.Request = req
	resp.Body = &answer{ReadCloser: resp.Body, peer: pe, sess: s, stream: st, ctx: ctx, ticket: t, release: release}
	return resp, false, nil
}

// headOnly is the buffer of a request without a body, in bytes.
const headOnly = 1 << 10

// transport returns net/http's client side for one exchange on st. A negative
// MaxIdleConnsPerHost closes the stream after it without the header that
// DisableKeepAlives would send.
func transport(st *clientStream, body bool) *http.Transport {
	buffer := maxMessage
	if !body {
		buffer = headOnly
	}
	return &http.Transport{
		DialContext:            func(context.Context, string, string) (net.Conn, error) { return st, nil },
		DisableCompression:     true,
		MaxIdleConnsPerHost:    -1,
		MaxResponseHeaderBytes: maxAnswerHeader,
		WriteBufferSize:        buffer,
	}
}

// lost says in our words how a session failed a request.
func lost(s *session, err error) error {
	if refused := s.circuit.refused(); refused != nil {
		return refused
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

// An answer is the body of a response; its end frees the lane.
type answer struct {
	io.ReadCloser
	peer    *Peer
	sess    *session
	stream  *clientStream
	ctx     context.Context
	ticket  *ticket // nil if small
	release func()
	once    sync.Once
	err     error // what Read met, nil at the end; the reader's
}

func (a *answer) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if a.ticket != nil && n > 0 {
		a.peer.came(a.ticket, n)
	}
	if err != nil && err != io.EOF {
		if a.ctx.Err() == nil {
			err = lost(a.sess, err)
		}
		a.err = err
	}
	return n, err
}

func (a *answer) Close() error {
	err := a.ReadCloser.Close()
	a.once.Do(func() {
		a.stream.Close()
		a.release()
		a.peer.ended(a.err)
	})
	return err
}
