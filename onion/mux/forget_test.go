package mux_test

import (
	"testing"

	"lafs/onion/mux"
)

// Whoever is named as a new place all the time must not make the pool grow.
func TestForget(t *testing.T) {
	inBubble(t, echo, mux.ServerConfig{}, func(w *world) {
		old := w.pool.Peer(w.addr, "")
		w.mustFetch(mux.Small, "GET", "/x", "", "/x")
		w.pool.Forget(old)
		if w.pool.Peer(w.addr, "") == old {
			t.Error("the pool keeps a peer that it was told to forget")
		}
		w.mustFetch(mux.Small, "GET", "/x", "", "/x")
		w.pool.Forget(old) // another one by now
		if got := w.client.Counters().Dials; got != 2 {
			t.Errorf("dials: got %d, want the new peer to have a circuit of its own", got)
		}
		w.mustFetch(mux.Small, "GET", "/x", "", "/x")
		if got := w.client.Counters().Dials; got != 2 {
			t.Errorf("dials: got %d, want the new peer to be kept", got)
		}
	})
}
