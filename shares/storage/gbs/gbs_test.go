package gbs_test

import (
	"context"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lafs/node/store"
	"lafs/onion/mux"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
	"lafs/shares/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const swissnum = "mfqxgyttmvzxgmjsgm2dknrxha4q"

func authorize(s storage.Server) func([]byte) (storage.Server, bool) {
	return func(got []byte) (storage.Server, bool) {
		return s, subtle.ConstantTimeCompare(got, []byte(swissnum)) == 1
	}
}

func openStore(t *testing.T, now func() time.Time) *store.Store {
	t.Helper()
	s, err := store.Open(store.Config{Dir: t.TempDir(), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestContract(t *testing.T) {
	now, advance := movable()
	storagetest.Run(t, func(t *testing.T) storage.Server {
		h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, now))})
		return gbs.NewClient(answering{t, h}, storage.NewSwissnum(swissnum))
	}, storagetest.Clock(advance))
}

// movable returns a clock that is moved by hand.
func movable() (now func() time.Time, advance func(time.Duration)) {
	at := make(chan time.Time, 1)
	at <- time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	now = func() time.Time { t := <-at; at <- t; return t }
	return now, func(d time.Duration) { t := <-at; at <- t.Add(d) }
}

// answering is a peer whose requests all go to a handler here, each on a
// pipe of its own: what is wrong with an answer arrives as it would on a
// stream.
type answering struct {
	*testing.T
	http.Handler
}

func (a answering) RoundTripper(mux.Class) http.RoundTripper { return a }

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	near, far := net.Pipe()
	srv := &http.Server{Handler: a.Handler, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(&oneListener{conn: far})
	}()
	tr := &http.Transport{DisableKeepAlives: true, DisableCompression: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return near, nil }}
	a.Cleanup(func() {
		near.Close()
		srv.Close()
		<-done
	})
	return tr.RoundTrip(r)
}

// oneListener accepts one connection.
type oneListener struct{ conn net.Conn }

func (l *oneListener) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l *oneListener) Close() error   { return nil }
func (l *oneListener) Addr() net.Addr { return &net.UnixAddr{} }
