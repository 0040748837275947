package mux_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lafs/onion/mux"
)

func TestTenThousandStreams(t *testing.T) {
	var running, most atomic.Int32
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/x" {
			io.WriteString(w, "/x")
			return
		}
		n := running.Add(1)
		defer running.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-r.Context().Done()
	})
	inBubble(t, h, mux.ServerConfig{}, func(w *world) {
		s := rawSession(w.t, w.dial(), true)
		before := runtime.NumGoroutine()
		for range 10_000 {
			st, err := s.OpenStream(w.t.Context())
			if err != nil {
				break
			}
			io.WriteString(st, "GET /wait HTTP/1.1\r\nHost: lafs\r\n\r\n")
		}
		time.Sleep(5 * rtt)
		if got := most.Load(); got == 0 || got > 256 {
			t.Errorf("handlers at once: got %d, want at most 256", got)
		}
		if got := runtime.NumGoroutine() - before; got > 256*4 {
			t.Errorf("goroutines: got %d more", got)
		}
		w.mustFetch(mux.Small, "GET", "/x", "", "/x")
		s.Close()
	})
}

func TestThousandsOfSessions(t *testing.T) {
	inBubble(t, echo, mux.ServerConfig{Budget: mux.NewBudget(mux.BudgetConfig{Sessions: 20})}, func(w *world) {
		before := runtime.NumGoroutine()
		var conns []net.Conn
		for range 2000 {
			c := w.dial()
			io.WriteString(c, preface)
			conns = append(conns, c)
		}
		synctest.Wait()
		if got := w.server.Counters().Open; got > 21 {
			t.Errorf("sessions: got %d, want at most 20", got)
		}
		if got := runtime.NumGoroutine() - before; got > 20*8 {
			t.Errorf("goroutines: got %d more", got)
		}
		w.mustFetch(mux.Small, "GET", "/x", "", "/x")
		for _, c := range conns {
			c.Close()
		}
	})
}

func TestGarbageEndsTheSession(t *testing.T) {
	for _, tt := range []struct {
		name, says string
		within     time.Duration
	}{
		{"no preface", "GET / HTTP/1.1\r\n\r\n", 5 * rtt},
		// A frame of no stream, and then one of 4 GiB that never comes.
		{"zeros after it", preface + strings.Repeat("\x00", 100) + strings.Repeat("\xff", 100), 30 * time.Minute},
		{"ones after it", preface + strings.Repeat("\xff", 100), 5 * rtt},
		{"a window exceeded", preface + "\x00\x00\x00\x01\x00\x00\x00\x01\x7f\xff\xff\xff" + strings.Repeat("x", 2<<20), 5 * rtt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, echo, mux.ServerConfig{}, func(w *world) {
				c := w.dial()
				io.WriteString(c, tt.says)
				time.Sleep(tt.within)
				if got := w.server.Counters().Open; got != 0 {
					t.Errorf("open connections: got %d, want 0", got)
				}
				c.Close()
				w.mustFetch(mux.Small, "GET", "/x", "", "/x")
			})
		})
	}
}

func TestEndlessHeaders(t *testing.T) {
	inBubble(t, echo, mux.ServerConfig{}, func(w *world) {
		s := rawSession(w.t, w.dial(), true)
		defer s.Close()
		st, err := s.OpenStream(w.t.Context())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(st, "GET / HTTP/1.1\r\nHost: lafs\r\n")
		go func() {
			for {
				if _, err := io.WriteString(st, "X-Endless: "+strings.Repeat("x", 1000)+"\r\n"); err != nil {
					return
				}
			}
		}()
		st.SetReadDeadline(time.Now().Add(time.Minute))
		got, _ := io.ReadAll(st)
		if !strings.HasPrefix(string(got), "HTTP/1.1 431") {
			t.Errorf("got %.40q, want 431", got)
		}
		st.Reset()
		slow, err := s.OpenStream(w.t.Context())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(slow, "GET / HTT")
		slow.SetReadDeadline(time.Now().Add(10 * time.Minute))
		start := time.Now()
		io.ReadAll(slow)
		if took := time.Since(start); took > 2*time.Minute {
			t.Errorf("a header that does not come was waited for %v", took)
		}
	})
}

func TestClientThatReadsNothing(t *testing.T) {
	freed := make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				close(freed)
				return
			}
		}
	})
	synctestChan := func(w *world) {
		s := rawSession(w.t, w.dial(), true)
		defer s.Close()
		st, err := s.OpenStream(w.t.Context())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(st, "GET / HTTP/1.1\r\nHost: lafs\r\n\r\n")
		start := time.Now()
		time.Sleep(5 * time.Minute)
		select {
		case <-freed:
		default:
			t.Errorf("the handler is blocked after %v", time.Since(start))
		}
	}
	inBubble(t, h, mux.ServerConfig{}, synctestChan)
}

func TestPanicTellsFunctionsOnly(t *testing.T) {
	var log bytes.Buffer
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic("a secret value") })
	cfg := mux.ServerConfig{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	inBubble(t, h, cfg, func(w *world) {
		if _, err := w.fetch(w.t.Context(), mux.Small, "POST", "/path", "x"); !errors.Is(err, mux.ErrLost) {
			t.Errorf("POST: got %v, want ErrLost", err)
		}
	})
	if got := log.String(); !strings.Contains(got, "TestPanicTellsFunctionsOnly") || strings.Contains(got, "secret") ||
		strings.Contains(got, "0x") || strings.Contains(got, "/path") {
		t.Errorf("log: got %s", got)
	}
}
