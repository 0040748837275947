package update_test

import (
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/update"
)

// Servers of which some answer far sooner than the others, all of which are
// needed for k shares, are no reason to give a reading up.
func TestReadOfUnevenServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newMemGrid(5, time.Second, 1)
		a := g.engine(3, 5, 1)
		defer a.Close()
		w, err := a.Create(t.Context(), update.CreateOptions{Key: keys()[0]}, []byte("one\n"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for _, s := range g.servers[:2] {
			s.rtt = 100 * time.Millisecond
		}
		b := g.engine(3, 5, 2)
		defer b.Close()
		for i := range 4 {
			start := time.Now()
			if _, err := b.Read(t.Context(), w.ReadOnly()); err != nil {
				t.Errorf("Read %d: %v", i, err)
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("Read %d took %v, at a second a trip at the most", i, took)
			}
		}
	})
}
