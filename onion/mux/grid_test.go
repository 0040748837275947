package mux_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lafs/onion"
	"lafs/onion/mux"
	"lafs/onion/oniontest"
)

const rtt = time.Second

// A world is one server and one client with a pool, a virtual second apart.
type world struct {
	t              *testing.T
	net            *oniontest.Net
	server, client *oniontest.Host
	key            *onion.Key
	addr           onion.Addr
	pool           *mux.Pool
	stop           func()
	lossy          bool // requests may fail
}

// inBubble runs f in virtual time, and checks that everything ends after it:
// a bubble waits for its goroutines.
func inBubble(t *testing.T, h http.Handler, cfg mux.ServerConfig, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := oniontest.New(oniontest.Options{RTT: rtt})
		w := &world{t: t, net: n, server: n.Host("server"), client: n.Host("client")}
		var err error
		if w.key, err = onion.GenerateKey(); err != nil {
			t.Fatal(err)
		}
		if w.addr, err = w.key.Addr(80); err != nil {
			t.Fatal(err)
		}
		w.serve(h, cfg)
		if w.pool, err = mux.NewPool(w.client, mux.Config{}); err != nil {
			t.Fatal(err)
		}
		f(w)
		w.pool.Close()
		w.stop()
		n.Close()
	})
}

func (w *world) serve(h http.Handler, cfg mux.ServerConfig) {
	w.t.Helper()
	ls, err := w.server.Listen(w.t.Context(), onion.Service{Key: w.key, Ports: []uint16{80}})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		mux.Serve(ctx, ls[0], h, cfg)
	}()
	w.stop = func() { cancel(); <-done }
}

func (w *world) do(c mux.Class, req *http.Request) (*http.Response, error) {
	return w.pool.Peer(w.addr, "").RoundTripper(c).RoundTrip(req)
}

// fetch does a request and returns the body of its answer.
func (w *world) fetch(ctx context.Context, c mux.Class, method, path, body string) (string, error) {
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://anything"+path, r)
	if err != nil {
		return "", err
	}
	resp, err := w.do(c, req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func (w *world) mustFetch(c mux.Class, method, path, body, want string) {
	w.t.Helper()
	if got, err := w.fetch(context.Background(), c, method, path, body); err != nil || got != want {
		w.t.Errorf("%s %s: got %d bytes, %v, want %d", method, path, len(got), err, len(want))
	}
}

// echo answers with the request's body, or its path if there is none.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if len(b) == 0 {
		b = []byte(r.URL.Path)
	}
	w.Write(b)
})
