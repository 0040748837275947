package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"lafs/node/store/ondisk"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// crash ends a store as kill -9 does, and opens it again.
func crash(t *testing.T, s *Store) *Store {
	t.Helper()
	s.index.db.Close()
	s, err := Open(s.cfg)
	if err != nil {
		t.Fatalf("Open after a crash: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mustOpen(t *testing.T, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustPut(t *testing.T, s *Store, si caps.StorageIndex, n storage.ShareNumber, data string) {
	t.Helper()
	secret := storage.GenerateUploadSecret()
	if _, err := s.Allocate(t.Context(), si, []storage.ShareNumber{n}, int64(len(data)), secret, &storage.LeaseSecrets{}); err != nil {
		t.Fatal(err)
	}
	if missing, err := s.Write(t.Context(), si, n, secret, 0, []byte(data)); err != nil || len(missing) > 0 {
		t.Fatalf("Write: %v, %v", missing, err)
	}
}

// entries counts what the index has.
func entries(t *testing.T, s *Store) (shares, leases, slots, intents int) {
	t.Helper()
	err := s.index.db.View(func(tx *bolt.Tx) error {
		for name, n := range map[string]*int{"shares": &shares, "leases": &leases, "slots": &slots, "intents": &intents} {
			*n = tx.Bucket([]byte(name)).Stats().KeyN
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return shares, leases, slots, intents
}

// TestIntents: after a crash the index says of what was under way what the
// files say.
func TestIntents(t *testing.T) {
	s := mustOpen(t, Config{Dir: t.TempDir()})
	named, unnamed, made, unmade, lost := caps.StorageIndex{1}, caps.StorageIndex{2}, caps.StorageIndex{3}, caps.StorageIndex{4}, caps.StorageIndex{5}
	mustPut(t, s, named, 0, "named")
	first, _ := versions(t)
	if _, err := s.Slot(t.Context(), made, first); err != nil {
		t.Fatal(err)
	}
	now := s.cfg.Now()
	for _, si := range []caps.StorageIndex{named, unnamed} {
		h := ondisk.Header{Kind: storage.Immutable, Index: si, Length: 5}
		if err := s.index.addShare(&h, ondisk.Lease{}, now, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, si := range []caps.StorageIndex{made, unmade, lost} {
		if err := s.index.addSlot(slotTotals{si: si}, &ondisk.Lease{}, now); err != nil {
			t.Fatal(err)
		}
	}
	for _, left := range []string{s.slotShare(unmade, 0, 2), s.slotShare(lost, 0, 4)} {
		os.MkdirAll(filepath.Dir(left), 0o700)
		if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, _, intents := entries(t, s); intents != 5 {
		t.Errorf("the index has %d intents, want 5", intents)
	}
	s = crash(t, s)
	if shares, leases, slots, intents := entries(t, s); shares != 1 || leases != 5 || slots != 2 || intents != 0 {
		t.Errorf("after a crash the index has %d shares, %d leases, %d slots, %d intents; want 1, 5, 2, 0", shares, leases, slots, intents)
	}
	if st, err := s.Stats(); err != nil || st.Shares != 3 {
		t.Errorf("Stats: got %+v, %v", st, err)
	}
	if got := slotNames(t, s, unmade); len(got) > 0 {
		t.Errorf("a slot that was not made has %v", got)
	}
	if got := slotNames(t, s, lost); len(got) != 1 {
		t.Errorf("a slot that had a record has %v", got)
	}
}

// TestNoWalk: a start after a crash looks at no share that was not under way.
func TestNoWalk(t *testing.T) {
	s := mustOpen(t, Config{Dir: t.TempDir()})
	for i := range byte(20) {
		mustPut(t, s, caps.StorageIndex{i}, 0, strings.Repeat("x", tinyShare+1))
	}
	if _, _, _, intents := entries(t, s); intents > 2 {
		t.Errorf("the index has %d intents beside other commits, want those of the last alone", intents)
	}
	// A walk would miss it.
	if err := os.RemoveAll(s.bucketDir(caps.StorageIndex{3})); err != nil {
		t.Fatal(err)
	}
	s = crash(t, s)
	if st, err := s.Stats(); err != nil || st.Shares != 20 {
		t.Errorf("Stats: got %+v, %v", st, err)
	}
}

// TestRecount: what the index was not told before a crash is counted while
// the store serves, and steps meanwhile are counted once.
func TestRecount(t *testing.T) {
	s := mustOpen(t, Config{Dir: t.TempDir()})
	a, b := caps.StorageIndex{1}, caps.StorageIndex{2}
	first, second := versions(t)
	for _, si := range []caps.StorageIndex{a, b} {
		for _, req := range []storage.SlotRequest{first, second} {
			if r, err := s.Slot(t.Context(), si, req); err != nil || !r.Done {
				t.Fatalf("Slot: %+v, %v", r, err)
			}
		}
	}
	want, _ := s.Stats()
	usage := s.Usage()[Own]
	if err := s.index.updateSlots([]slotTotals{{si: a, shares: 9, bytes: 9, disk: 9}, {si: b}}); err != nil {
		t.Fatal(err)
	}
	s = crash(t, s)
	if got, _ := s.Stats(); got == want {
		t.Error("the index was told: the test sees nothing")
	}
	// A step on one, that changes nothing in size.
	promise := storage.SlotRequest{Enabler: second.Enabler, Message: agree.Prepare{Ballot: agree.Ballot{N: 9}}}
	if r, err := s.Slot(t.Context(), a, promise); err != nil || !r.Done {
		t.Fatalf("Slot: %+v, %v", r, err)
	}
	s.recount(t.Context())
	if got, _ := s.Stats(); got.Shares != want.Shares || got.Bytes != want.Bytes || s.Usage()[Own] != usage {
		t.Errorf("after recount: got %+v, %+v, want %+v, %+v", got, s.Usage()[Own], want, usage)
	}
	s.Close()
	s = mustOpen(t, s.cfg)
	defer s.Close()
	if got, _ := s.Stats(); got.Shares != want.Shares || got.Bytes != want.Bytes || s.Usage()[Own] != usage {
		t.Errorf("opened again: got %+v, %+v, want %+v, %+v", got, s.Usage()[Own], want, usage)
	}
}

// TestCheckIndexInParts: an index that is read in parts is counted whole.
func TestCheckIndexInParts(t *testing.T) {
	s := mustOpen(t, Config{Dir: t.TempDir()})
	// Many small transactions: bbolt splits its pages only when one ends.
	const n, batch = checkPage + 10, 2000
	for from := 0; from < n; from += batch {
		err := s.index.db.Update(func(tx *bolt.Tx) error {
			for i := from; i < min(from+batch, n); i++ {
				h := ondisk.Header{Kind: storage.Immutable, Index: caps.StorageIndex{byte(i >> 16), byte(i >> 8), byte(i)}, Length: 3, Who: Default}
				if err := tx.Bucket(bucketShares).Put(shareKey(h.Index, 0), shareValue(&h)); err != nil {
					return err
				}
			}
			return tx.Bucket(bucketSlots).Put(make([]byte, 16), slotTotals{shares: 2, bytes: 5, disk: 7, who: 9}.value())
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s = crash(t, s)
	if st, err := s.Stats(); err != nil || st.Shares != n+2 || st.Bytes != 3*n+5 {
		t.Errorf("Stats: got %+v, %v", st, err)
	}
	if u := s.Usage(); u[Default].Shares != n || u[9] != (Usage{Shares: 2, Disk: 7}) {
		t.Errorf("Usage: got %+v", u)
	}
}
