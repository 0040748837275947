package door_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lafs/onion"
	"lafs/onion/door"
	"lafs/onion/mux"
	"lafs/onion/oniontest"
)

// serveBoth is serve with a listener of onion/mux beside the door, on one
// budget. It returns the way to that.
func serveBoth(t *testing.T, h http.HandlerFunc, cfg mux.BudgetConfig) (w *world, budget *mux.Budget, peer func(host string) *mux.Peer) {
	t.Helper()
	budget = mux.NewBudget(cfg)
	w = serve(t, h, oniontest.Options{}, door.ServerConfig{Budget: budget})
	key, err := onion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	addr, err := key.Addr(80)
	if err != nil {
		t.Fatal(err)
	}
	ls, err := w.server.Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mux.Serve(ctx, ls[0], h, mux.ServerConfig{Budget: budget}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return w, budget, func(host string) *mux.Peer {
		pool, err := mux.NewPool(w.net.Host(host), mux.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { pool.Close() })
		return pool.Peer(addr, "grid")
	}
}

// guarded answers to who knows the secret, claims the bytes that the path
// asks for, and then waits for its client to go.
func guarded(budget func() *mux.Budget) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who := r.Header.Get("Authorization")
		if who == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.Vouch(r.Context(), who)
		if r.URL.Path != "/claim" {
			io.WriteString(w, "ok")
			return
		}
		c := budget().Claim(r.Context(), who)
		defer c.End()
		if !c.Take(256 << 10) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

// knock asks at the door and returns the status, and the connection.
func (w *world) knock(path, who string) (int, net.Conn) {
	w.Helper()
	c := w.dial(&tls.Config{})
	text := "GET " + path + " HTTP/1.1\r\nHost: x\r\n"
	if who != "" {
		text += "Authorization: " + who + "\r\n"
	}
	if _, err := io.WriteString(c, text+"\r\n"); err != nil {
		return 0, c
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, c
	}
	return resp.StatusCode, c
}

// TestFloodOfOneDoor: a flood of one door, by strangers or by one right to
// ask, leaves room at the other, within one bound for both.
func TestFloodOfOneDoor(t *testing.T) {
	const most = 16
	for _, tt := range []struct{ name, path, who string }{
		{"strangers", "/", ""},
		{"one right, idle", "/", "mallory"},
		{"one right, and all bytes", "/claim", "mallory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var budget *mux.Budget
				h := guarded(func() *mux.Budget { return budget })
				w, b, peer := serveBoth(t, h, mux.BudgetConfig{Sessions: most, Bytes: 4 << 20})
				budget = b
				ask := func(p *mux.Peer, path, who string) int {
					req := request(t.Context(), "GET", path, nil)
					if who != "" {
						req.Header.Set("Authorization", who)
					}
					resp, err := p.RoundTripper(mux.Small).RoundTrip(req)
					if err != nil {
						t.Errorf("%s by the first door: %v", who, err)
						return 0
					}
					t.Cleanup(func() { resp.Body.Close() })
					return resp.StatusCode
				}
				known := peer("known")
				for _, p := range []*mux.Peer{known, peer("too"), peer("and"), peer("more")} {
					if got := ask(p, "/", "known"); got != http.StatusOK {
						t.Fatalf("before the flood: status %d", got)
					}
				}
				var held, refused int
				for range 4 * most {
					status, _ := w.knock(tt.path, tt.who)
					switch status {
					case http.StatusServiceUnavailable:
						refused++
					case http.StatusOK:
						held++
					}
					time.Sleep(10 * time.Millisecond)
					if l, open := budget.Load(), w.server.Counters().Open; l.Sessions > most || open > most || l.Bytes > 3<<20 {
						t.Fatalf("under the flood: %d connections, %+v", open, l)
					}
				}
				if tt.path == "/claim" && (held < 4 || refused == 0) {
					t.Errorf("%d claims were granted and %d refused", held, refused)
				}
				if got := ask(known, "/", "known"); got != http.StatusOK || known.Status().LastError != "" {
					t.Errorf("who was known before: status %d, %+v", got, known.Status())
				}
				if got := ask(peer("new"), "/claim", "new"); got != http.StatusOK {
					t.Errorf("somebody new, by the first door: status %d", got)
				}
				if status, _ := w.knock("/", "other"); status != http.StatusOK {
					t.Errorf("somebody new, by the second: status %d", status)
				}
			})
		})
	}
}

// TestSlowAtTheDoor: a body that comes a byte at a time, and an answer that
// is taken so, hold their connection and nobody else's; one that stops is cut
// off, and its place given back.
func TestSlowAtTheDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := mux.NewBudget(mux.BudgetConfig{})
		w := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/sea" {
				for {
					if _, err := w.Write(make([]byte, 64<<10)); err != nil {
						return
					}
				}
			}
			nice(w, r)
		}, oniontest.Options{Buffer: 64 << 10}, door.ServerConfig{Budget: budget})
		slow := w.dial(&tls.Config{})
		io.WriteString(slow, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n")
		reader := w.dial(&tls.Config{})
		io.WriteString(reader, "GET /sea HTTP/1.1\r\nHost: x\r\n\r\n")
		for range 60 {
			time.Sleep(30 * time.Second)
			if _, err := io.WriteString(slow, "x"); err != nil {
				t.Fatalf("a slow body: %v", err)
			}
			if _, err := io.ReadFull(reader, make([]byte, 16<<10)); err != nil {
				t.Fatalf("a slow reader: %v", err)
			}
			if status, _, err := do(t, w.peer(), mux.Small, request(t.Context(), "GET", "/", nil)); err != nil || status != 200 {
				t.Fatalf("somebody else: status %d, %v", status, err)
			}
		}
		head := make([]byte, len("HTTP/1.1 200 OK"))
		if _, err := io.ReadFull(slow, head); err != nil || !strings.HasPrefix(string(head), "HTTP/1.1 200") {
			t.Errorf("the slow body's answer: %q, %v", head, err)
		}
		slow.NetConn().Close()
		time.Sleep(5 * time.Minute)
		if l := budget.Load(); l.Busy != 0 || l.Sessions != 0 {
			t.Errorf("five minutes after it stopped to read: %+v", l)
		}
	})
}
