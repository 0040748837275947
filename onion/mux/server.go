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
const streamsPerSession = 256

const (
	// headerTimeout is for the header of one request, through Tor.
	headerTimeout = time.Minute
	// maxRequestHeader bounds the header of a request, in bytes; net/http
	// adds 4 KiB to it.
	maxRequestHeader = 12 << 10
	// serverIdle is how long a session may have no stream. It is beyond what
	// our own clients keep one.
	serverIdle = idleMax + 5*time.Minute
	// acceptPause is the wait after a session was refused for want of room.
	acceptPause = 100 * time.Millisecond
)

// A ServerConfig sets Serve. The zero value is the product's default.
type ServerConfig struct {
	// Budget is shared with whatever else peers come by; nil means one of its
	// own. What came on a session and was not read by a handler counts as
	// bytes. Beyond them the session whose bytes are many and have not moved
	// for long is cut. Strangers together may hold a quarter; beyond that one
	// of them is cut.
	Budget *Budget
	// Log gets what goes wrong, without addresses; nil discards.
	Log *slog.Logger
}

// roomEvery is how often a session that waits for room for a stream looks
// whether others have left some.
const roomEvery = time.Second

type server struct {
	http *http.Server
	log  *slog.Logger
	wg   sync.WaitGroup
	all  *Budget
	// beat and patient are of all sessions.
	beat, patient *beat

	mu       sync.Mutex
	sessions map[*served]struct{} // guarded by mu
}

// streamKey is where a request's context has its *serverStream.
type streamKey struct{}

// A served is one session that was accepted.
type served struct {
	srv     *server
	conn    net.Conn
	session *yamux.Session
	holds   *holding
	place   *Place
	room    chan struct{} // one of its streams has ended

	mu      sync.Mutex
	streams int         // guarded by mu; accepted and not closed
	silent  int         // guarded by mu; of these, those that have no answer yet
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
	if cfg.Budget == nil {
		cfg.Budget = NewBudget(BudgetConfig{})
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
			if s, ok := c.(*serverStream); ok {
				ctx = WithPlace(ctx, s.session.place)
			}
			return context.WithValue(ctx, streamKey{}, c)
		},
		ErrorLog: log.New(logWriter{cfg.Log}, "", 0),
	}
	// A stream carries one exchange. So an answer waits for no rest of its
	// request, and a gate sees one answer.
	hs.SetKeepAlivesEnabled(false)
	return &server{
		http: hs,
		log:  cfg.Log, all: cfg.Budget, beat: &beat{gather: serverGather, apart: true}, patient: &beat{gather: othersGather, apart: true},
		sessions: make(map[*served]struct{}),
	}
}

func (s *server) accept(ctx context.Context, l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		place := s.all.Admit(func() { c.Close() })
		if place == nil {
			c.Close()
			s.log.Warn("refuse a session: too many", "max", s.all.sessions)
			// A flood of circuits costs its sender more than us.
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
			continue
		}
		if err := s.serve(c, place); err != nil {
			place.Leave()
			c.Close()
			return err
		}
	}
}

func (s *server) serve(c net.Conn, place *Place) error {
	v := &served{srv: s, conn: c, place: place, room: make(chan struct{}, 1)}
	v.holds = s.all.bytes.holder(v.cut)
	circuit := newCircuit(c, s.beat)
	circuit.patient, circuit.more = s.patient, v.busy
	y, err := serverSession(circuit, s.log, v.holds)
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
	v.place.Leave()
	v.srv.mu.Lock()
	delete(v.srv.sessions, v)
	v.srv.mu.Unlock()
}

// busy reports whether an answer has yet to begin.
func (v *served) busy() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.silent > 0
}

// begun notes that an answer begins, or that none will.
func (v *served) begun() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.silent--
}

func (v *served) closeIdle() {
	v.mu.Lock()
	idle := v.streams == 0
	v.mu.Unlock()
	if idle {
		v.cut()
	}
}

// Accept implements net.Listener for net/http: a connection is a stream.
func (v *served) Accept() (net.Conn, error) {
	for {
		y, err := v.session.AcceptStream()
		if err != nil {
			return nil, err
		}
		if !v.wait() {
			y.Reset()
			continue // the session has ended
		}
		v.mu.Lock()
		v.streams++
		v.silent++
		v.idle.Stop()
		v.mu.Unlock()
		v.srv.wg.Add(1)
		return &serverStream{Stream: y, session: v, account: v.holds.serves(y.StreamID())}, nil
	}
}

// wait takes a stream from the budget: at once if it has one to give, else
// when it has. Until then the session's streams wait in yamux, as many as it
// lets wait. It reports false when the session has ended.
func (v *served) wait() bool {
	if v.place.open() {
		return true
	}
	again := time.NewTicker(roomEvery)
	defer again.Stop()
	for {
		select {
		case <-v.room: // what was refused had streams of its own before it
		case <-again.C:
		case <-v.session.CloseChan():
			return false
		}
		if v.place.open() {
			return true
		}
	}
}

func (v *served) streamEnded() {
	v.mu.Lock()
	if v.streams--; v.streams == 0 {
		v.idle.Reset(serverIdle)
	}
	v.mu.Unlock()
	v.place.close()
	select {
	case v.room <- struct{}{}:
	default:
	}
	v.srv.wg.Done()
}

// Close implements net.Listener.
func (v *served) Close() error { v.cut(); return nil }

// Addr implements net.Listener.
func (v *served) Addr() net.Addr { return somebody{} }
