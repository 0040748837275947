package grid_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/nodetest"
	"lafs/onion/oniontest"
)

// Only the first upload waits for a server that has gone; those after it take
// as many trips as if it had never been. Once it has answered again, it is used
// again.
func TestUploadsDoNotWaitForTheDead(t *testing.T) {
	for name, size := range map[string]int{"small": 10_000, "large": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := nodetest.New(t, nodetest.Options{Needed: 3, Happy: 4, Total: 5, Net: oniontest.Options{RTT: time.Second}})
				c, dead := g.Clients[0], g.Servers[2]
				put := func() (trips, happiness int) {
					size++ // another file
					trips = g.Net.Trips(func() {
						res, err := c.PutSource(t.Context(), nodetest.Bytes(content(size)))
						if err != nil {
							t.Fatal(err)
						}
						happiness = res.Happiness
					})
					return trips, happiness
				}
				put()
				put()
				want, _ := put()
				dead.Kill()
				if first, _ := put(); first <= want {
					t.Errorf("the put that finds out: got %d trips, want more than %d", first, want)
				}
				for range 3 {
					if trips, happiness := put(); trips != want || happiness != 4 {
						t.Errorf("a put without the server: got %d trips and happiness %d, want %d and 4", trips, happiness, want)
					}
				}
				if err := dead.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute) // nobody dials before that, see package mux
				put()
				time.Sleep(time.Minute)
				if _, happiness := put(); happiness != 5 {
					t.Errorf("a put when it is back: got happiness %d, want 5", happiness)
				}
			})
		})
	}
}

// An upload that is no success without late servers asks them.
func TestLateServersThatAreNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := nodetest.New(t, nodetest.Options{Needed: 3, Happy: 3, Total: 5, Net: oniontest.Options{RTT: time.Second}})
		c := g.Clients[0]
		slow := func(pause time.Duration) func(http.Handler) http.Handler {
			return func(honest http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(pause)
					honest.ServeHTTP(w, r)
				})
			}
		}
		size := 10_000
		put := func() int {
			size++ // another file
			res, err := c.PutSource(t.Context(), nodetest.Bytes(content(size)))
			if err != nil {
				t.Fatal(err)
			}
			return res.Happiness
		}
		put()
		for _, s := range g.Servers[:2] {
			s.Hostile(slow(20 * time.Second))
		}
		if got := put(); got != 3 {
			t.Errorf("happiness without two slow servers: got %d, want 3", got)
		}
		g.Servers[4].Kill()
		// Two others are not enough: one that is late has to be asked.
		if got := put(); got < 3 {
			t.Errorf("happiness without another: got %d, want 3", got)
		}
	})
}
