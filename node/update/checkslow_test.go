package update_test

import (
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/update"
)

// A check does not miss a server that answers later than the others.
func TestCheckSlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newMemGrid(5, 100*time.Millisecond, 1)
		g.servers[4].rtt = time.Second
		a := g.engine(3, 5, 1)
		defer a.Close()
		w, err := a.Create(t.Context(), update.CreateOptions{Key: keys()[0]}, []byte("one\n"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		r, err := a.Check(t.Context(), w.Verifier(), false)
		if err != nil || r.Good != 5 {
			t.Errorf("got %+v, %v", r, err)
		}
	})
}
