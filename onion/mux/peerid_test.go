package mux_test

import (
	"net/http"
	"testing"

	"lafs/onion/mux"
)

// TestSessionOf: requests of one session are told from those of another.
func TestSessionOf(t *testing.T) {
	seen := make(chan any, 3)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen <- mux.SessionOf(r.Context()) })
	inBubble(t, h, mux.ServerConfig{}, func(w *world) {
		w.mustFetch(mux.Small, "GET", "/", "", "")
		w.mustFetch(mux.Small, "GET", "/", "", "")
		w.mustFetch(mux.Bulk, "GET", "/", "", "")
		one, two, three := <-seen, <-seen, <-seen
		if one == nil || one != two || one == three {
			t.Errorf("got %p, %p and %p, want two of one session and one of another", one, two, three)
		}
		if mux.SessionOf(t.Context()) != nil {
			t.Error("a request that came otherwise has a session")
		}
	})
}
