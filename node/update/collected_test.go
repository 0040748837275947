package update_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"lafs/node/grid"
	"lafs/node/store"
	"lafs/node/update"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// TestCollected: servers that collected an object's shares keep their votes,
// and who writes brings them what they need: as long as the object can be
// read, it can be changed.
func TestCollected(t *testing.T) {
	for _, collected := range []int{1, 2} {
		t.Run(fmt.Sprint(collected), func(t *testing.T) {
			var mu sync.Mutex
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
			var stores []*store.Store
			var list []grid.Server
			for i := range 5 {
				id := sha256.Sum256([]byte{byte(i)})
				st, err := store.Open(store.Config{Dir: t.TempDir(), TubID: [20]byte(id[:20]), Now: clock,
					Expire: store.Expiry{Enabled: true, Immutable: true, Mutable: true}})
				if err != nil {
					t.Fatal(err)
				}
				defer st.Close()
				stores = append(stores, st)
				list = append(list, grid.Server{ID: fmt.Sprintf("v0-%x", id[:16]), Seed: id[:], TubID: [20]byte(id[:20]), Storage: st, Slots: st})
			}
			engine := func(n byte) *update.Engine {
				e, err := update.New(update.Config{LeaseSecret: grid.NewLeaseSecret([32]byte{n}), Servers: func() []grid.Server { return list }})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { e.Close() })
				return e
			}
			a := engine(1)
			w, err := a.Create(t.Context(), update.CreateOptions{}, []byte("one"))
			if err != nil {
				t.Fatal(err)
			}
			si := w.StorageIndex()
			if err := a.Close(); err != nil { // what it still had to tell is told
				t.Fatal(err)
			}
			mu.Lock()
			now = now.Add(40 * 24 * time.Hour)
			mu.Unlock()
			for i, st := range stores {
				if i >= collected {
					if err := st.AddLease(t.Context(), si, &storage.LeaseSecrets{}); err != nil {
						t.Fatal(err)
					}
				}
				sum, err := st.Collect(t.Context())
				if err != nil || (sum.Mutable.Shares > 0) != (i < collected) {
					t.Fatalf("server %d: collected %+v, %v", i, sum, err)
				}
			}
			b := engine(2)
			if got, err := b.Read(t.Context(), w); err != nil || string(got.Data) != "one" {
				t.Fatalf("Read: got %q, %v", got.Data, err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := b.Modify(ctx, w, func(old []byte) ([]byte, error) { return append(old, " two"...), nil }); err != nil {
				t.Fatalf("Modify: %v", err)
			}
			if got, err := engine(3).Read(t.Context(), w); err != nil || strings.TrimSpace(string(got.Data)) != "one two" {
				t.Errorf("Read after Modify: got %q, %v", got.Data, err)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			holders := 0
			for _, st := range stores {
				if n := sharesOf(t, st, si); n > 0 {
					holders++
				}
			}
			if holders < 4 {
				t.Errorf("the new version is on %d servers", holders)
			}
		})
	}
}

func sharesOf(t *testing.T, st *store.Store, si caps.StorageIndex) int {
	t.Helper()
	a, err := st.Slot(t.Context(), si, storage.SlotRequest{Message: agree.Read{}})
	if err != nil {
		t.Fatal(err)
	}
	return len(a.Current)
}
