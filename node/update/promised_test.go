package update_test

import (
	"errors"
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

// Servers that refuse the write enabler do so for good: where the others are
// no quorum, a writer hears at once what is the matter, and of a minority
// nobody hears.
func TestBarred(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		synctest.Test(t, func(t *testing.T) {
			g := newMemGrid(5, 200*time.Millisecond, 1)
			a := g.engine(3, 5, 1)
			defer a.Close()
			w, err := a.Create(t.Context(), update.CreateOptions{Key: keys()[0]}, []byte("one\n"))
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			for _, s := range g.servers[:n] {
				s.set(barred)
			}
			for seed, known := range []bool{true, false} {
				e := a
				if !known {
					e = g.engine(3, 5, uint64(2+seed))
					defer e.Close()
				}
				start := time.Now()
				err := e.Modify(t.Context(), w, add("two\n"))
				if (err == nil) != (n == 1) || n > 1 && !errors.Is(err, update.ErrBarred) {
					t.Errorf("%d servers, version known: %v: %v", n, known, err)
				}
				var undone *update.NotDoneError
				if n == 5 && !errors.As(err, &undone) {
					t.Errorf("all servers refuse, and the outcome is unknown: %v", err)
				}
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("%d servers, version known: %v: it took %v", n, known, took)
				}
				if got, err := e.Read(t.Context(), w.ReadOnly()); err != nil || len(got.Data) == 0 {
					t.Errorf("%d servers: Read: %q, %v", n, got.Data, err)
				}
			}
		})
	}
}
