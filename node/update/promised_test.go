package update_test

import (
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/store"
	"lafs/node/update"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/hashes"
	"lafs/shares/storage"
)

// enablerOf is what a server asks of those who write with w.
func enablerOf(w *caps.MutableWriter, s *storeServer) *storage.WriteEnabler {
	e := storage.WriteEnabler(hashes.WriteEnabler(w.Key.Bytes(), s.tubID))
	return &e
}

// A writer has all servers' promises and dies. Nobody votes for a write in
// one step any more, and yet others go on at once.
func TestPromisesOfTheDead(t *testing.T) {
	dir := tmpDir(t)
	for _, knows := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			g := newStoreGrid(t, dir, 5, 0, 100*time.Millisecond, 1)
			defer g.close()
			a, _ := g.client(3, 10, 1)
			defer a.Close()
			b, _ := g.client(3, 10, 1)
			defer b.Close()
			w, err := a.Create(t.Context(), update.CreateOptions{Key: keys()[0]}, []byte("one\n"))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range g.servers {
				s.step(func(st *store.Store) {
					if _, err := s.slot(st, w.StorageIndex(), storage.SlotRequest{Message: agree.Prepare{Ballot: agree.Ballot{N: 1 << 47, Nonce: 1}}, Enabler: enablerOf(w, s)}); err != nil {
						t.Error(err)
					}
				})
			}
			e := b
			if knows {
				e = a
			}
			start := time.Now()
			if err := e.Modify(t.Context(), w, add("two\n")); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("it took %v, at 100 ms a trip", took)
			}
		})
	}
}
