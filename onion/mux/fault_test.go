package mux_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lafs/onion"
	"lafs/onion/mux"
	"lafs/onion/oniontest"
)

func TestStallThatRecoversOnlyDelays(t *testing.T) {
	inBubble(t, echo, mux.ServerConfig{}, func(w *world) {
		w.mustFetch(mux.Small, "GET", "/x", "", "/x")
		w.server.Faults(oniontest.Faults{StallOut: true})
		time.AfterFunc(40*time.Second, func() { w.server.Faults(oniontest.Faults{}) })
		w.mustFetch(mux.Small, "GET", "/x", "", "/x")
		if got := w.client.Counters().Dials; got != 1 {
			t.Errorf("dials: got %d, want 1", got)
		}
	})
}

func TestStallThatLastsIsLeftBehind(t *testing.T) {
	inBubble(t, echo, mux.ServerConfig{}, func(w *world) {
		w.mustFetch(mux.Small, "GET", "/x", "", "/x")
		w.server.Faults(oniontest.Faults{LoseOut: true})
		ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
		defer cancel()
		if _, err := w.fetch(ctx, mux.Small, "GET", "/x", ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("GET while the answer is lost: got %v, want a deadline", err)
		}
		w.server.Faults(oniontest.Faults{})
		w.mustFetch(mux.Small, "GET", "/x", "", "/x")
		if got := w.client.Counters().Dials; got != 2 {
			t.Errorf("dials: got %d, want a second circuit", got)
		}
	})
}

func TestCutInMidBody(t *testing.T) {
	big := strings.Repeat("a", 1<<20)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, big) })
	inBubble(t, h, mux.ServerConfig{}, func(w *world) {
		w.server.Faults(oniontest.Faults{CutOutAfter: 100_000, Bandwidth: 50_000})
		start := time.Now()
		got, err := w.fetch(w.t.Context(), mux.Bulk, "GET", "/", "")
		if !errors.Is(err, mux.ErrLost) || !errors.Is(err, onion.ErrUnreachable) {
			t.Errorf("GET: got %d bytes, %v, want ErrLost", len(got), err)
		}
		if strings.Contains(err.Error(), ".onion") {
			t.Errorf("the error holds an address: %v", err)
		}
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("the error took %v", took)
		}
		w.mustFetch(mux.Bulk, "GET", "/", "", big)
	})
}

func TestDeadSessionIsReplaced(t *testing.T) {
	var calls atomic.Int32
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		echo(w, r)
	})
	inBubble(t, h, mux.ServerConfig{}, func(w *world) {
		w.mustFetch(mux.Small, "POST", "/", "one", "one")
		w.server.CutAll()
		time.Sleep(5 * time.Second)
		w.mustFetch(mux.Small, "POST", "/", "two", "two")
		if got := calls.Load(); got != 2 {
			t.Errorf("calls: got %d, want 2", got)
		}
	})
}

// The session dies with the request on it: only what may be repeated is.
func TestRetryRule(t *testing.T) {
	for _, tt := range []struct {
		name, method, mark string
		stream             bool
		calls              int32
		ok                 bool
	}{
		{"GET", "GET", "", false, 2, true},
		{"POST", "POST", "", false, 1, false},
		{"marked POST", "POST", "Idempotency-Key", false, 2, true},
		{"marked POST that cannot be read again", "POST", "Idempotency-Key", true, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var calls atomic.Int32
			var w *world
			h := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				if _, ok := r.Header["Idempotency-Key"]; ok {
					t.Error("Idempotency-Key travelled")
				}
				if calls.Add(1) == 1 {
					w.server.CutAll()
					return
				}
				io.WriteString(rw, "done")
			})
			inBubble(t, h, mux.ServerConfig{}, func(world *world) {
				w = world
				var body io.Reader
				if tt.method == "POST" {
					body = strings.NewReader("body")
				}
				if tt.stream {
					body = io.MultiReader(body)
				}
				req, _ := http.NewRequest(tt.method, "http://lafs/", body)
				if tt.mark != "" {
					req.Header[tt.mark] = nil
				}
				resp, err := w.do(mux.Small, req)
				if err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				if (err == nil) != tt.ok || calls.Load() != tt.calls {
					t.Errorf("got %v after %d calls, want success %t after %d", err, calls.Load(), tt.ok, tt.calls)
				}
				if err != nil && !errors.Is(err, mux.ErrLost) {
					t.Errorf("got %v, want ErrLost", err)
				}
			})
		})
	}
}

func TestFailedDialsBackOff(t *testing.T) {
	inBubble(t, echo, mux.ServerConfig{}, func(w *world) {
		w.net.Block(w.addr, onion.ErrUnreachable)
		for range 600 {
			if _, err := w.fetch(w.t.Context(), mux.Small, "GET", "/", ""); !errors.Is(err, onion.ErrUnreachable) {
				t.Fatalf("GET: got %v, want ErrUnreachable", err)
			}
			time.Sleep(rtt)
		}
		if got := w.client.Counters().Dials; got < 10 || got > 50 {
			t.Errorf("dials in 10 minutes of a request a second: got %d", got)
		}
		if st := w.pool.Peer(w.addr, "").Status(); st.LastError == "" || strings.Contains(st.LastError, ".onion") {
			t.Errorf("LastError: got %q", st.LastError)
		}
		w.net.Block(w.addr, nil)
		time.Sleep(2 * time.Minute)
		w.mustFetch(mux.Small, "GET", "/x", "", "/x")
	})
}

func TestEachWaiterHasItsOwnContext(t *testing.T) {
	inBubble(t, echo, mux.ServerConfig{}, func(w *world) {
		ctx, cancel := context.WithTimeout(w.t.Context(), rtt/4)
		defer cancel()
		go w.fetch(ctx, mux.Small, "GET", "/", "")
		w.mustFetch(mux.Small, "GET", "/x", "", "/x")
		if got := w.client.Counters().Dials; got != 1 {
			t.Errorf("dials: got %d, want 1", got)
		}
	})
}

func TestCancelFreesBothEnds(t *testing.T) {
	freed := make(chan string, 10)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/write": // blocked as the client reads nothing
			for {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					freed <- "write"
					return
				}
			}
		case "/wait":
			<-r.Context().Done()
			freed <- "wait"
		case "/read": // blocked as the client sends no more
			io.Copy(io.Discard, r.Body)
			freed <- "read"
		}
	})
	for _, path := range []string{"/write", "/wait", "/read"} {
		t.Run(path, func(t *testing.T) {
			freed = make(chan string, 1)
			inBubble(t, h, mux.ServerConfig{}, func(w *world) {
				freed = make(chan string, 1)
				ctx, cancel := context.WithCancel(w.t.Context())
				var body io.Reader
				if path == "/read" {
					r, pw := io.Pipe()
					defer pw.Close()
					body = r
				}
				method := "GET"
				if body != nil {
					method = "POST"
				}
				req, _ := http.NewRequestWithContext(ctx, method, "http://lafs"+path, body)
				time.AfterFunc(20*time.Second, cancel)
				start := time.Now()
				resp, err := w.do(mux.Bulk, req)
				if path == "/write" {
					if err != nil {
						t.Fatal(err)
					}
					start = time.Now()
					resp.Body.Close()
				} else if !errors.Is(err, context.Canceled) {
					t.Errorf("RoundTrip: got %v, want Canceled", err)
				}
				<-freed
				if took := time.Since(start); took > 21*time.Second {
					t.Errorf("the handler was freed after %v", took)
				}
				cancel()
				time.Sleep(rtt)
				w.mustFetch(mux.Bulk, "GET", "/x", "", "")
			})
		})
	}
}

// A server that refuses a large body need not read it for its answer to
// arrive.
func TestEarlyAnswer(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) })
	inBubble(t, h, mux.ServerConfig{}, func(w *world) {
		req, _ := http.NewRequestWithContext(w.t.Context(), "PUT", "http://lafs/", strings.NewReader(strings.Repeat("x", 8<<20)))
		resp, err := w.do(mux.Bulk, req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("status: got %d, want 403", resp.StatusCode)
		}
	})
}
