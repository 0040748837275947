package mux

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/libp2p/go-yamux/v4"
)

// streamsPerSession bounds the streams that one session may have open; more
// are reset.
const streamsPerSession = 64

const (
	defaultMaxSessions = 256
	defaultMaxBuffer   = 256 << 20
	// headerTimeout is for the header of one request, through Tor.
	headerTimeout = time.Minute
	// maxRequestHeader bounds the header of a request, in bytes; net/http
	// adds 4 KiB to it.
	maxRequestHeader = 12 << 10
	// serverIdle is how long a session may have no stream. It is beyond what
	// our own clients keep one.
	serverIdle = idleMax + 5*time.Minute
	// strangerTime is how long a session that is not known keeps its place
	// when there are too many: time for one request through Tor.
	strangerTime = 30 * time.Second
	// acceptPause is the wait after a session was refused for want of room.
	acceptPause = 100 * time.Millisecond
)

// A ServerConfig sets Serve. The zero value is the product's default.
type ServerConfig struct {
	// MaxSessions bounds the sessions that stand at once; 0 means 256. When
	// there are as many, the one that has been without a request longest
	// makes room, a stranger before one that is known: a session is a
	// stranger until one of its requests got an answer that is no refusal
	// (a status below 400). If all have requests, a stranger of more than
	// half a minute makes room; if there is none, the new one is refused.
	MaxSessions int
	// MaxBuffer bounds, in bytes, what came on all sessions together and was
	// not read by a handler; 0 means 256 MiB. Beyond it the session whose
	// bytes are many and have not moved for long is cut. Strangers together
	// may hold a quarter; beyond that one of them is cut.
	MaxBuffer int64
	// Log gets what goes wrong, without addresses; nil discards.
	Log *slog.Logger
}

type server struct {
	http *http.Server
	log  *slog.Logger
	max  int
	wg   sync.WaitGroup
	buf  *budget

	mu       sync.Mutex
	sessions map[*served]struct{} // guarded by mu
}

// streamKey is where a request's context has its *serverStream.
type streamKey struct{}

// A served is one session that was accepted.
type served struct {
	srv      *server
	conn     net.Conn
	session  *yamux.Session
	holds    *holding
	accepted time.Time

	mu      sync.Mutex
	streams int         // guarded by mu; accepted and not closed
	since   time.Time   // guarded by mu; when streams became 0
	idle    *time.Timer // guarded by mu
}

// Serve accepts circuits from l and answers with h the requests that come on
// their sessions, until ctx ends (it then returns nil) or l fails. It closes
// l, cuts every session, and returns when the last handler has.
//
// h gets only requests with headers of the fixed list, and of its answers
// only such headers travel. Its request's context ends when the client gives
// up. A panic of h is logged by function names only.
func Serve(ctx context.Context, l net.Listener, h http.Handler, cfg ServerConfig) error {
	if l == nil || h == nil {
		return errors.New("mux: Serve needs a listener and a handler")
	}
	s := newServer(h, cfg)
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	err := s.accept(ctx, l)
	l.Close()
	s.closeAll()
	s.wg.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func newServer(h http.Handler, cfg ServerConfig) *server {
	if cfg.MaxSessions <= 0 {
		cfg.MaxSessions = defaultMaxSessions
	}
	if cfg.MaxBuffer <= 0 {
		cfg.MaxBuffer = defaultMaxBuffer
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	hs := &http.Server{
		Handler:                      &handler{h, cfg.Log},
		ReadHeaderTimeout:            headerTimeout,
		MaxHeaderBytes:               maxRequestHeader,
		DisableGeneralOptionsHandler: true,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, streamKey{}, c)
		},
		ErrorLog: log.New(logWriter{cfg.Log}, "", 0),
	}
	// A stream carries one exchange. So an answer waits for no rest of its
	// request, and a gate sees one answer.
	hs.SetKeepAlivesEnabled(false)
	return &server{
		http: hs,
		log:  cfg.Log, max: cfg.MaxSessions,
		buf:      newBudget(cfg.MaxBuffer),
		sessions: make(map[*served]struct{}),
	}
}

func (s *server) accept(ctx context.Context, l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		if !s.room() {
			c.Close()
			s.log.Warn("refuse a session: too many", "max", s.max)
			// A flood of circuits costs its sender more than us.
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
			continue
		}
		if err := s.serve(c); err != nil {
			c.Close()
			return err
		}
	}
}

// room reports whether one more session may stand, after closing an idle one
// if that helps.
func (s *server) room() bool {
	s.mu.Lock()
	if len(s.sessions) < s.max {
		s.mu.Unlock()
		return true
	}
	out := s.dispensableLocked()
	if out != nil {
		delete(s.sessions, out)
	}
	s.mu.Unlock()
	if out == nil {
		return false
	}
	out.cut()
	return true
}

// dispensableLocked returns the session that makes room, nil if none has to.
func (s *server) dispensableLocked() *served {
	var best *served
	var rank int
	var since time.Time
	for v := range s.sessions {
		t, idle := v.idleSince()
		r := 0
		switch known := v.holds.isKnown(); {
		case idle && !known:
			r = 3
		case idle:
			r = 2
		case !known && time.Since(v.accepted) > strangerTime:
			r, t = 1, v.accepted
		}
		if r > rank || r == rank && r > 0 && t.Before(since) {
			best, rank, since = v, r, t
		}
	}
	return best
}

func (s *server) serve(c net.Conn) error {
	v := &served{srv: s, conn: c, accepted: time.Now(), since: time.Now()}
	v.holds = s.buf.holder(v.cut)
	y, err := serverSession(newCircuit(c), s.log, v.holds)
	if err != nil {
		return err
	}
	v.session = y
	v.mu.Lock()
	v.idle = time.AfterFunc(serverIdle, v.closeIdle)
	v.mu.Unlock()
	s.mu.Lock()
	s.sessions[v] = struct{}{}
	s.mu.Unlock()
	s.wg.Go(func() {
		// It ends when the session does: nothing else makes Accept fail.
		s.http.Serve(v)
		v.end()
	})
	return nil
}

func (s *server) closeAll() {
	s.mu.Lock()
	for v := range s.sessions {
		v.cut()
	}
	s.mu.Unlock()
}

// cut ends the session without waiting: yamux sees its circuit fail.
func (v *served) cut() { v.conn.Close() }

// end frees what the session held.
func (v *served) end() {
	v.session.Close()
	v.mu.Lock()
	v.idle.Stop()
	v.mu.Unlock()
	v.holds.close()
	v.srv.mu.Lock()
	delete(v.srv.sessions, v)
	v.srv.mu.Unlock()
}

func (v *served) idleSince() (time.Time, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.since, v.streams == 0
}

func (v *served) closeIdle() {
	if _, idle := v.idleSince(); idle {
		v.cut()
	}
}

// Accept implements net.Listener for net/http: a connection is a stream.
func (v *served) Accept() (net.Conn, error) {
	y, err := v.session.AcceptStream()
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	v.streams++
	v.idle.Stop()
	v.mu.Unlock()
	v.srv.wg.Add(1)
	return &serverStream{Stream: y, session: v, account: v.holds.serves(y.StreamID())}, nil
}

func (v *served) streamEnded() {
	v.mu.Lock()
	if v.streams--; v.streams == 0 {
		v.since = time.Now()
		v.idle.Reset(serverIdle)
	}
	v.mu.Unlock()
	v.srv.wg.Done()
}

// Close implements net.Listener.
func (v *served) Close() error { v.cut(); return nil }

// Addr implements net.Listener.
func (v *served) Addr() net.Addr { return somebody{} }
