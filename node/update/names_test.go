package update_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/update"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
)

// TestEmptyVersions: two writers empty one object at the same time. Their
// versions have the same number and the same root hash, which in SDMF does
// not cover the salt, and yet no name may stand for both: each writer would
// take the other's votes for its own.
func TestEmptyVersions(t *testing.T) {
	races := 0 // in which both wrote a version
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			g := newMemGrid(5, time.Second, seed)
			a, b := g.engine(3, 10, 2*seed), g.engine(3, 10, 2*seed+1)
			defer a.Close()
			defer b.Close()
			format := mutable.SDMF
			w, err := a.Create(t.Context(), update.CreateOptions{Format: &format}, []byte("full"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Read(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			salts := map[agree.VersionID][16]byte{} // guarded by the grid's lock
			roots := map[[32]byte]bool{}
			mu := g.servers[0].mu
			mu.Lock()
			for _, s := range g.servers {
				s.after = func(s *memServer, si caps.StorageIndex) {
					slot := s.slots[si]
					for _, share := range slot.current {
						h, err := mutable.ParseHeader(share)
						if err != nil {
							t.Error(err)
							return
						}
						id := slot.state.Current
						if old, ok := salts[id]; ok && old != h.Salt {
							t.Errorf("seed %d: one name of two versions", seed)
						}
						salts[id], roots[h.Root] = h.Salt, true
					}
				}
			}
			mu.Unlock()
			var both sync.WaitGroup
			for _, e := range []*update.Engine{a, b} {
				both.Go(func() {
					if err := e.Modify(t.Context(), w, func([]byte) ([]byte, error) { return nil, nil }); err != nil {
						t.Errorf("seed %d: Modify: %v", seed, err)
					}
				})
			}
			both.Wait()
			mu.Lock()
			if len(roots) != 1 {
				t.Errorf("seed %d: %d versions with %d root hashes, want one", seed, len(salts), len(roots))
			}
			if len(salts) > 1 {
				races++
			}
			mu.Unlock()
			if got, err := b.Read(t.Context(), w); err != nil || len(got.Data) != 0 {
				t.Errorf("seed %d: Read: %q, %v", seed, got.Data, err)
			}
		})
	}
	if races == 0 {
		t.Error("in no run did both writers make a version: the test shows nothing")
	}
}
