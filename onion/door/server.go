package door

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"lafs/onion/mux"
)

const (
	// headerTimeout is for the handshake and the header of one request,
	// through Tor.
	headerTimeout = time.Minute
	// idleTimeout is beyond the four minutes that Tahoe-LAFS's client keeps
	// an idle connection, so that no request meets one that we close.
	idleTimeout = 6 * time.Minute
	// maxHeader bounds the header of a request, in bytes; net/http adds 4 KiB.
	maxHeader = 12 << 10
	// writeStall is how long a client may take no byte of an answer.
	writeStall = 2 * time.Minute
	// maxWrite is how much is written with one such wait.
	maxWrite = 16 << 10
	// acceptPause is the wait after a connection was refused for want of room.
	acceptPause = 100 * time.Millisecond
)

// A ServerConfig sets Serve. The zero value is the product's default.
type ServerConfig struct {
	// Budget is shared with whatever else peers come by; nil means one of its
	// own. A connection has a place of its own, as if it were a circuit.
	Budget *mux.Budget
	// Log gets what goes wrong, without addresses; nil discards.
	Log *slog.Logger
}

type server struct {
	http *http.Server
	tls  *tls.Config
	log  *slog.Logger
	all  *mux.Budget

	mu    sync.Mutex
	conns map[*conn]struct{} // guarded by mu

	running sync.WaitGroup // connections that net/http serves
}

// Serve accepts connections from l, shows id on them, and answers with h the
// requests that come, until ctx ends (it then returns nil) or l fails. It
// closes l, cuts every connection, and returns when the last handler has.
//
// h gets only requests with headers of onion/mux's list, and of its answers
// only such headers travel. Its request's context ends when the client gives
// up. A panic of h is logged by function names only.
func Serve(ctx context.Context, l net.Listener, id *Identity, h http.Handler, cfg ServerConfig) error {
	if l == nil || id == nil || h == nil {
		return errors.New("door: Serve needs a listener, a key and a handler")
	}
	s := newServer(id, h, cfg)
	accepted := &listener{Listener: l, server: s, ctx: ctx}
	stop := context.AfterFunc(ctx, func() { s.http.Close(); s.cutAll() })
	defer stop()
	err := s.http.Serve(accepted)
	s.http.Close()
	s.cutAll()
	s.running.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func newServer(id *Identity, h http.Handler, cfg ServerConfig) *server {
	if cfg.Budget == nil {
		cfg.Budget = mux.NewBudget(mux.BudgetConfig{})
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &server{tls: serverSettings(id), log: cfg.Log, all: cfg.Budget, conns: make(map[*conn]struct{})}
	s.http = &http.Server{
		Handler:                      answers(mux.Guard(h, cfg.Log)),
		ReadHeaderTimeout:            headerTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true,
		ConnContext:                  func(ctx context.Context, nc net.Conn) context.Context { return nc.(*conn).begin(ctx) },
		ConnState:                    s.changed,
		ErrorLog:                     log.New(logWriter{cfg.Log}, "", 0),
	}
	return s
}

// A listener gives net/http connections that speak TLS, as many as may be.
type listener struct {
	net.Listener
	server *server
	ctx    context.Context
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.server.admit(raw); c != nil {
			return c, nil
		}
		raw.Close()
		l.server.log.Warn("refuse a connection of a Tahoe-LAFS client: too many", "max", l.server.all.Load().MaxSessions)
		// A flood of circuits costs its sender more than us.
		select {
		case <-time.After(acceptPause):
		case <-l.ctx.Done():
		}
	}
}

// admit takes in a connection, nil if there is no room. The handshake is made
// by whoever reads first.
func (s *server) admit(raw net.Conn) *conn {
	// A client that takes no byte of the handshake; later writes have their own.
	raw.SetWriteDeadline(time.Now().Add(writeStall))
	c := &conn{Conn: tls.Server(raw, s.tls)}
	if c.place = s.all.Admit(c.cut); c.place == nil {
		return nil
	}
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.running.Add(1)
	s.mu.Unlock()
	return c
}

// cutAll ends what still stands.
func (s *server) cutAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.cut()
	}
}

// changed is told by net/http what a connection does.
func (s *server) changed(nc net.Conn, state http.ConnState) {
	c, ok := nc.(*conn)
	if !ok {
		return
	}
	if state == http.StateIdle {
		c.handled = false // Its answer is out.
	}
	if state != http.StateClosed {
		return
	}
	c.cut()
	c.place.Leave()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.running.Done()
}

// A logWriter turns lines of net/http into debug records. They are about
// peers, who must not be able to fill a log.
type logWriter struct{ log *slog.Logger }

const maxLogLine = 200

func (w logWriter) Write(p []byte) (int, error) {
	line := bytes.TrimSpace(p)
	if len(line) > maxLogLine {
		line = line[:maxLogLine]
	}
	w.log.Debug("connection of a Tahoe-LAFS client", "said", string(line))
	return len(p), nil
}
