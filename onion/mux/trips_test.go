package mux_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lafs/onion"
	"lafs/onion/mux"
	"lafs/onion/oniontest"
)

func TestTrips(t *testing.T) {
	inBubble(t, echo, mux.ServerConfig{}, func(w *world) {
		trips := func(name string, want int, f func()) {
			t.Helper()
			if got := w.net.Trips(f); got != want {
				t.Errorf("%s: got %d trips, want %d", name, got, want)
			}
		}
		get := func() { w.mustFetch(mux.Small, "GET", "/x", "", "/x") }
		// The first request leaves with the question for the circuit.
		trips("cold GET", 1, get)
		trips("warm GET", 1, get)
		trips("32 at once", 1, func() {
			var wg sync.WaitGroup
			for range 32 {
				wg.Go(get)
			}
			wg.Wait()
		})
		body := strings.Repeat("b", 20<<10)
		trips("20 KiB POST", 1, func() { w.mustFetch(mux.Small, "POST", "/", body, body) })
		body = strings.Repeat("b", 64<<10)
		trips("64 KiB POST", 1, func() { w.mustFetch(mux.Small, "POST", "/", body, body) })
		if got := w.client.Counters().Dials; got != 1 {
			t.Errorf("dials: got %d, want 1", got)
		}
	})
}

// A request goes with the dial if it may go twice, and behind it if not.
func TestFirstRequestLeavesWithTheDial(t *testing.T) {
	for _, tt := range []struct {
		name, method, mark string
		body               int
		want               int
	}{
		{"GET", "GET", "", 0, 1},
		{"POST", "POST", "", 100, 2},
		{"marked POST", "POST", "Idempotency-Key", 100, 1},
		{"marked POST of more than leaves early", "POST", "Idempotency-Key", 200 << 10, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, echo, mux.ServerConfig{}, func(w *world) {
				body := strings.Repeat("b", tt.body)
				got := w.net.Trips(func() {
					req, _ := http.NewRequestWithContext(w.t.Context(), tt.method, "http://lafs/x", strings.NewReader(body))
					if tt.mark != "" {
						req.Header[tt.mark] = nil
					}
					resp, err := w.do(mux.Small, req)
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					if b, err := io.ReadAll(resp.Body); err != nil || tt.body > 0 && string(b) != body {
						t.Errorf("got %d bytes, %v", len(b), err)
					}
				})
				if got != tt.want {
					t.Errorf("got %d trips, want %d", got, tt.want)
				}
				if got := w.client.Counters().Dials; got != 1 {
					t.Errorf("dials: got %d, want 1", got)
				}
			})
		})
	}
}

// What a dial met is told to requests that had left with it, and those after
// it, as to any that waited.
func TestDialErrorsReachEarlyRequests(t *testing.T) {
	for _, want := range []error{onion.ErrNotFound, onion.ErrUnreachable, onion.ErrRefused, onion.ErrTorDown} {
		inBubble(t, echo, mux.ServerConfig{}, func(w *world) {
			w.net.Block(w.addr, want)
			for _, method := range []string{"GET", "POST", "GET"} {
				_, err := w.fetch(w.t.Context(), mux.Small, method, "/x", "")
				if !errors.Is(err, want) || errors.Is(err, mux.ErrLost) || !strings.Contains(err.Error(), "reach ") {
					t.Errorf("%s: got %v, want %v", method, err, want)
				}
			}
			if got := w.client.Counters().Dials; got != 1 {
				t.Errorf("dials: got %d, want 1 and then none for a while", got)
			}
			w.net.Block(w.addr, nil)
			time.Sleep(10 * time.Second)
			w.mustFetch(mux.Small, "GET", "/x", "", "/x")
		})
	}
}

// A dial that only requests wait for that gave up ends with the last of them.
func TestEarlyRequestsThatGiveUpEndTheDial(t *testing.T) {
	inBubble(t, echo, mux.ServerConfig{}, func(w *world) {
		w.server.Faults(oniontest.Faults{DialHangs: true})
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(w.t.Context(), time.Duration(i+1)*time.Second)
				defer cancel()
				if _, err := w.fetch(ctx, mux.Small, "GET", "/x", ""); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want a deadline", err)
				}
			})
		}
		wg.Wait()
		w.server.Faults(oniontest.Faults{})
		if got := w.client.Counters().Dials; got != 1 {
			t.Errorf("dials: got %d, want 1", got)
		}
		// Nothing was wrong with the service, as far as is known.
		w.mustFetch(mux.Small, "GET", "/x", "", "/x")
		if got := w.client.Counters().Dials; got != 2 {
			t.Errorf("dials: got %d, want 2", got)
		}
	})
}

func TestAllWhoWaitShareOneDial(t *testing.T) {
	inBubble(t, echo, mux.ServerConfig{}, func(w *world) {
		var wg sync.WaitGroup
		for range 3000 {
			wg.Go(func() { w.mustFetch(mux.Small, "GET", "/x", "", "/x") })
		}
		wg.Wait()
		if got := w.client.Counters().Dials; got != 1 {
			t.Errorf("dials: got %d, want 1", got)
		}
	})
}

// What a server has no room for at once waits for its turn: nothing is lost.
func TestStreamsWaitForRoom(t *testing.T) {
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Second)
		echo.ServeHTTP(w, r)
	})
	inBubble(t, slow, mux.ServerConfig{Budget: mux.NewBudget(mux.BudgetConfig{Sessions: 4, Streams: 20})}, func(w *world) {
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { w.mustFetch(mux.Small, "GET", "/x", "", "/x") })
		}
		all.Wait()
	})
}

func TestLanes(t *testing.T) {
	inBubble(t, echo, mux.ServerConfig{}, func(w *world) {
		w.mustFetch(mux.Small, "GET", "/x", "", "/x")
		for range 5 {
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() { w.mustFetch(mux.Bulk, "GET", "/x", "", "/x") })
			}
			wg.Wait()
		}
		if got := w.pool.Peer(w.addr, "").Status().Lanes; got != 1+mux.DefaultBulkLanes {
			t.Errorf("lanes: got %d, want 1 small and %d bulk", got, mux.DefaultBulkLanes)
		}
		before := w.client.Counters().Dials
		req, _ := http.NewRequestWithContext(w.t.Context(), "GET", "http://lafs/x", nil)
		resp, err := w.pool.Peer(w.addr, "another group").RoundTripper(mux.Small).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := w.client.Counters().Dials - before; got != 1 {
			t.Errorf("dials of another group: got %d, want 1", got)
		}
		for lane, n := range w.client.Lanes() {
			if n != 1 {
				t.Errorf("lane %x: %d dials, want 1", lane.Bytes(), n)
			}
		}
	})
}

func TestIdleSessionsSayNothingAndClose(t *testing.T) {
	inBubble(t, echo, mux.ServerConfig{}, func(w *world) {
		w.mustFetch(mux.Small, "GET", "/x", "", "/x")
		time.Sleep(10 * time.Second)
		before := w.client.Counters()
		time.Sleep(4 * time.Minute)
		if got := w.client.Counters(); got != before {
			t.Errorf("4 idle minutes: got %+v, want %+v", got, before)
		}
		st := w.pool.Peer(w.addr, "").Status()
		if !st.Connected || st.LastError != "" || st.LastUsed.IsZero() {
			t.Errorf("Status: got %+v, want connected", st)
		}
		time.Sleep(12 * time.Minute)
		if got := w.client.Counters(); got.Open != 0 || got.In != before.In {
			t.Errorf("16 idle minutes: got %+v, want no open connection and no byte more", got)
		}
		if st := w.pool.Peer(w.addr, "").Status(); st.Connected {
			t.Error("Status: got connected")
		}
		w.mustFetch(mux.Small, "GET", "/x", "", "/x")
	})
}

func TestServerClosesIdleSessions(t *testing.T) {
	inBubble(t, echo, mux.ServerConfig{}, func(w *world) {
		c, err := w.client.Dial(w.t.Context(), w.addr, onion.NewLane())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write([]byte("lafsmux\x01"))
		synctest.Wait()
		time.Sleep(30 * time.Minute)
		if got := w.server.Counters().Open; got != 0 {
			t.Errorf("sessions that a silent client left: got %d, want 0", got)
		}
	})
}

func TestCloseFailsRequestsAndIsFinal(t *testing.T) {
	inBubble(t, echo, mux.ServerConfig{}, func(w *world) {
		w.pool.Close()
		if _, err := w.fetch(context.Background(), mux.Small, "GET", "/", ""); err == nil {
			t.Error("request after Close: got no error")
		}
	})
}
