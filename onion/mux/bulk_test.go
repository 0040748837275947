package mux_test

import (
	"context"
	"fmt"
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

// torLike is a network whose circuits behave as Tor's.
var torLike = oniontest.Options{RTT: 500 * time.Millisecond, Windows: true, ConnectTrips: 5}

// inTorLike is inBubble over such a network.
func inTorLike(t *testing.T, cfg mux.Config, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := oniontest.New(torLike)
		w := &world{t: t, net: n, server: n.Host("server"), client: n.Host("client")}
		w.key, _ = onion.GenerateKey()
		w.addr, _ = w.key.Addr(80)
		w.serve(ranges, mux.ServerConfig{})
		var err error
		if w.pool, err = mux.NewPool(w.client, cfg); err != nil {
			t.Fatal(err)
		}
		f(w)
		w.pool.Close()
		w.stop()
		n.Close()
	})
}

// ranges answers as many bytes as Range asks for, and reads what it is sent.
var ranges = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	var from, to int
	if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); n == 2 {
		w.Write(make([]byte, to-from+1))
	}
})

// bulk moves n pieces of size bytes each at once, up or down.
func (w *world) bulk(n, size int, up bool) {
	w.t.Helper()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			req, _ := http.NewRequestWithContext(context.Background(), "GET", "http://lafs/", nil)
			if up {
				req, _ = http.NewRequestWithContext(context.Background(), "POST", "http://lafs/", strings.NewReader(strings.Repeat("x", size)))
			} else {
				req.Header.Set("Range", fmt.Sprintf("bytes=0-%d", size-1))
			}
			resp, err := w.do(mux.Bulk, req)
			if err != nil {
				w.failed("bulk: %v", err)
				return
			}
			defer resp.Body.Close()
			if got, err := io.Copy(io.Discard, resp.Body); err != nil || !up && got != int64(size) {
				w.failed("bulk: got %d bytes, %v", got, err)
			}
		})
	}
	all.Wait()
}

// Lanes are opened where they pay, and all at once.
func TestHowManyLanes(t *testing.T) {
	for _, tt := range []struct {
		name         string
		n, size      int
		warm         bool // one lane is open already
		expect, want int
	}{
		{"one small piece", 1, 50 << 10, false, 0, 1},
		{"a piece that one lane carries", 1, 1 << 20, false, 0, 1},
		{"pieces for two", 2, 56 << 10, false, 0, 2},
		{"many", 30, 100 << 10, false, 0, 4},
		{"not worth a second", 4, 100 << 10, true, 0, 1},
		{"worth two", 8, 100 << 10, true, 0, 2},
		{"worth all", 40, 100 << 10, true, 0, 4},
		{"expected", 1, 50 << 10, false, 10 << 20, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inTorLike(t, mux.Config{}, func(w *world) {
				if tt.warm {
					w.bulk(1, 1000, false)
				}
				if tt.expect > 0 {
					w.pool.Peer(w.addr, "").Expect(int64(tt.expect))
				}
				w.bulk(tt.n, tt.size, false)
				if got := w.pool.Peer(w.addr, "").Status().Lanes; got != tt.want {
					t.Errorf("lanes: got %d, want %d", got, tt.want)
				}
			})
		})
	}
}

// A node's sessions are bounded, but every peer gets its first lane.
func TestSessionsOfANodeAreBounded(t *testing.T) {
	inTorLike(t, mux.Config{Sessions: 3}, func(w *world) {
		w.bulk(40, 100<<10, false)
		other := w.pool.Peer(w.addr, "another group")
		other.Expect(10 << 20)
		time.Sleep(time.Minute)
		if got, more := w.pool.Peer(w.addr, "").Status().Lanes, other.Status().Lanes; got != 3 || more != 1 {
			t.Errorf("lanes: got %d and %d, want 3 and 1", got, more)
		}
	})
}

// Bulk takes as long as the same bytes on as many plain streams, evenly, and
// little more, in both directions.
func TestBulkFillsItsLanes(t *testing.T) {
	for _, up := range []bool{false, true} {
		inTorLike(t, mux.Config{}, func(w *world) {
			// Four fresh lanes move 4 MiB in 6 trips; warm ones 448 KiB each a
			// trip.
			w.pool.Peer(w.addr, "").Expect(4 << 20)
			time.Sleep(time.Minute)
			began := time.Now()
			w.bulk(40, 100<<10, up)
			if trips := float64(time.Since(began)) / float64(torLike.RTT); trips > 7.5 {
				t.Errorf("up %v: 4 MiB on fresh lanes took %.1f trips", up, trips)
			}
			began = time.Now()
			w.bulk(60, 100<<10, up)
			if trips := float64(time.Since(began)) / float64(torLike.RTT); trips > 6.5 {
				t.Errorf("up %v: 6 MiB on warm lanes took %.1f trips", up, trips)
			}
		})
	}
}

// Small requests beside bulk take their one trip.
func TestSmallBesideBulk(t *testing.T) {
	inTorLike(t, mux.Config{}, func(w *world) {
		w.mustFetch(mux.Small, "GET", "/x", "", "")
		w.bulk(4, 1000, false)
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.bulk(100, 100<<10, false)
		}()
		time.Sleep(2 * time.Second)
		began := time.Now()
		w.mustFetch(mux.Small, "GET", "/x", "", "")
		// A trip, and what frames gather at both ends.
		if took := time.Since(began); took > torLike.RTT+2*time.Millisecond {
			t.Errorf("a small request took %v beside bulk, want a trip", took)
		}
		<-done
	})
}

// Requests that take for ever do not keep others waiting.
func TestEndlessRequestsLeaveRoom(t *testing.T) {
	inTorLike(t, mux.Config{}, func(w *world) {
		ctx, cancel := context.WithCancel(w.t.Context())
		var endless sync.WaitGroup
		for range 8 {
			body, feed := io.Pipe()
			w.t.Cleanup(func() { feed.Close() })
			req, _ := http.NewRequestWithContext(ctx, "POST", "http://lafs/", body)
			req.ContentLength = 1 << 30
			endless.Go(func() {
				if resp, err := w.do(mux.Bulk, req); err == nil {
					resp.Body.Close()
				}
			})
		}
		time.Sleep(20 * time.Second)
		began := time.Now()
		w.bulk(1, 1000, false)
		if took := time.Since(began); took > 7*time.Second {
			t.Errorf("a request took %v", took)
		}
		cancel()
		endless.Wait()
	})
}

// A request that is given up while it waits for a lane leaves nothing behind.
func TestGivenUpWhileWaiting(t *testing.T) {
	inTorLike(t, mux.Config{BulkLanes: 1}, func(w *world) {
		w.bulk(1, 1000, false)
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.bulk(20, 100<<10, false)
		}()
		time.Sleep(time.Millisecond)
		ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := w.fetch(ctx, mux.Bulk, "GET", "/x", ""); err != context.DeadlineExceeded {
			t.Errorf("got %v, want the context's error", err)
		}
		<-done
		w.bulk(20, 100<<10, false)
	})
}

// A lane that is much slower than its fellows, or stalls, gets next to
// nothing and is replaced: it does not decide how long things take.
func TestSlowLaneIsReplaced(t *testing.T) {
	for name, bandwidth := range map[string]int64{"slow": 20_000, "stalled": 1} {
		for _, up := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s up %v", name, up), func(t *testing.T) {
				inTorLike(t, mux.Config{}, func(w *world) {
					w.pool.Peer(w.addr, "").Expect(10 << 20)
					time.Sleep(time.Minute)
					w.bulk(30, 100<<10, up)
					w.lossy = true
					w.net.Throttle(2, bandwidth)
					done := make(chan struct{})
					go func() {
						defer close(done)
						w.bulk(80, 100<<10, up)
					}()
					time.Sleep(30 * time.Second)
					began := time.Now()
					w.bulk(30, 100<<10, up)
					if took := time.Since(began); took > 8*time.Second {
						t.Errorf("3 MiB beside a bad lane took %v", took)
					}
					if got := w.client.Counters().Dials; got < 5 {
						t.Errorf("%d dials, want one more than the four lanes", got)
					}
					w.net.Throttle(2, 0)
					w.client.CutAll()
					<-done
				})
			})
		}
	}
}

// failed is an error unless the test makes requests fail.
func (w *world) failed(format string, args ...any) {
	if !w.lossy {
		w.t.Errorf(format, args...)
	}
}
