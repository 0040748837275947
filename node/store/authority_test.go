package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"lafs/node/store"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

const alice, bob store.Authority = 2, 3

// block is what a share of a few bytes takes of the disk.
const block = 8192

func usage(s *store.Store, who store.Authority) store.Usage { return s.Usage()[who] }

// TestQuota: a quota bounds what its authority allocates, and nobody else.
func TestQuota(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	s.SetQuotas(map[store.Authority]int64{alice: 3 * block})
	numbers := []storage.ShareNumber{0, 1, 2, 3, 4}
	a, err := s.As(alice).Allocate(t.Context(), si, numbers, 5, secret, lease)
	if err != nil || len(a.Allocated) != 3 {
		t.Fatalf("Allocate: got %+v, %v, want three shares", a, err)
	}
	if u := usage(s, alice); u != (store.Usage{Reserved: 3 * block}) {
		t.Errorf("reserved: got %+v", u)
	}
	if v, err := s.As(alice).Version(t.Context()); err != nil || v.AvailableSpace != 0 {
		t.Errorf("Version for alice: got %+v, %v", v, err)
	}
	if v, err := s.As(bob).Version(t.Context()); err != nil || v.AvailableSpace == 0 {
		t.Errorf("Version for bob: got %+v, %v", v, err)
	}
	if a, err := s.As(bob).Allocate(t.Context(), caps.StorageIndex{9}, numbers, 5, secret, lease); err != nil || len(a.Allocated) != 5 {
		t.Errorf("Allocate for bob: got %+v, %v", a, err)
	}
	// One becomes a share, one is dropped.
	if _, err := s.As(alice).Write(t.Context(), si, 0, secret, 0, []byte("share")); err != nil {
		t.Fatal(err)
	}
	if err := s.As(alice).Abort(t.Context(), si, 1, secret); err != nil {
		t.Fatal(err)
	}
	want := store.Usage{Shares: 1, Disk: block, Reserved: block}
	if u := usage(s, alice); u != want {
		t.Errorf("used: got %+v, want %+v", u, want)
	}
	// More than the quota is held, and stays.
	s.SetQuotas(map[store.Authority]int64{alice: 1})
	if a, err := s.As(alice).Allocate(t.Context(), si, []storage.ShareNumber{9}, 1, secret, lease); err != nil || len(a.Allocated) > 0 {
		t.Errorf("Allocate beyond the quota: got %+v, %v", a, err)
	}
	s.SetQuotas(nil)
	if a, err := s.As(alice).Allocate(t.Context(), si, []storage.ShareNumber{9}, 1, secret, lease); err != nil || len(a.Allocated) != 1 {
		t.Errorf("Allocate without a quota: got %+v, %v", a, err)
	}
	s.Close()
	for _, lost := range []bool{false, true} {
		if lost {
			os.Remove(filepath.Join(dir, "index.db"))
		}
		s = open(t, store.Config{Dir: dir})
		// Two uploads go on.
		if u := usage(s, alice); u != (store.Usage{Shares: 1, Disk: block, Reserved: 2 * block}) {
			t.Errorf("after a restart, index lost %v: got %+v", lost, u)
		}
		s.Close()
	}
}

// TestQuotaAtOnce: many who allocate at once get no more than the quota.
func TestQuotaAtOnce(t *testing.T) {
	s := open(t, store.Config{})
	s.SetQuotas(map[store.Authority]int64{alice: 10 * block})
	var mu sync.Mutex
	got := 0
	var wg sync.WaitGroup
	for n := range 40 {
		wg.Go(func() {
			a, err := s.As(alice).Allocate(t.Context(), caps.StorageIndex{byte(n)}, []storage.ShareNumber{0}, 1, secret, lease)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			got += len(a.Allocated)
			mu.Unlock()
		})
	}
	wg.Wait()
	if got != 10 {
		t.Errorf("%d shares were allocated, the quota is for 10", got)
	}
}

// TestSlotQuota: a slot is charged to who made it, also when another one
// lets it grow; one that shrinks is never refused.
func TestSlotQuota(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	write := func(who store.Authority, length int, cut *int64) error {
		t.Helper()
		w := storage.TestWrite{NewLength: cut}
		if length > 0 {
			w.Patches = []storage.Patch{{Data: make([]byte, length)}}
		}
		ok, _, err := s.As(who).ReadTestWrite(t.Context(), si, enabler, lease, map[storage.ShareNumber]storage.TestWrite{0: w}, nil)
		if err == nil && !ok {
			t.Fatal("the write did not pass its tests")
		}
		return err
	}
	s.SetQuotas(map[store.Authority]int64{alice: 100_000})
	if err := write(alice, 50_000, nil); err != nil {
		t.Fatal(err)
	}
	used := usage(s, alice)
	if used.Shares != 1 || used.Disk < 50_000 || used.Disk > 50_000+3*block {
		t.Errorf("after 50000 bytes: got %+v", used)
	}
	if err := write(bob, 80_000, nil); err != nil {
		t.Fatal(err)
	}
	if u := usage(s, alice); u.Disk < used.Disk+28_000 || usage(s, bob) != (store.Usage{}) {
		t.Errorf("after bob's bytes: alice has %+v, bob %+v", u, usage(s, bob))
	}
	if err := write(alice, 100_000, nil); !errors.Is(err, storage.ErrNoSpace) {
		t.Errorf("a write beyond the quota: got %v", err)
	}
	big := usage(s, alice)
	s.SetQuotas(map[store.Authority]int64{alice: 1})
	short := int64(100)
	if err := write(alice, 0, &short); err != nil {
		t.Errorf("a cut beyond the quota: got %v", err)
	}
	small := usage(s, alice)
	if small.Disk >= big.Disk {
		t.Errorf("a cut gave nothing back: %+v, %+v", big, small)
	}
	s.Close()
	for _, lost := range []bool{false, true} {
		if lost {
			os.Remove(filepath.Join(dir, "index.db"))
		}
		s = open(t, store.Config{Dir: dir})
		if u := usage(s, alice); u != small {
			t.Errorf("after a restart, index lost %v: got %+v, want %+v", lost, u, small)
		}
		if lost {
			break
		}
		s.Close()
	}
	// A slot that is nothing any more costs nothing.
	none := int64(0)
	if err := write(alice, 0, &none); err != nil {
		t.Fatal(err)
	}
	if u := usage(s, alice); u != (store.Usage{}) {
		t.Errorf("after the slot's end: got %+v", u)
	}
}

// TestSlotStepQuota: so are the steps of package agree.
func TestSlotStepQuota(t *testing.T) {
	s := open(t, store.Config{})
	s.SetQuotas(map[store.Authority]int64{alice: 4 * block})
	o := newObject(t)
	req, v := o.request(1, "one")
	req.Message = agree.Fast{New: v}
	if a, err := s.As(alice).Slot(t.Context(), si, req); err != nil || !a.Done {
		t.Fatalf("Slot: done %v, %v", a.Done, err)
	}
	used := usage(s, alice)
	if used.Shares != 2 || used.Disk < 3*block {
		t.Errorf("two shares: got %+v", used)
	}
	// The base stays beside the new version.
	req, w := o.request(2, "two")
	req.Message = agree.Fast{Old: v, Ballot: agree.Ballot{Fast: 1}, New: w}
	if a, err := s.As(bob).Slot(t.Context(), si, req); !errors.Is(err, storage.ErrNoSpace) {
		t.Errorf("Slot beyond the quota: done %v, %v", a.Done, err)
	}
	if u := usage(s, alice); u != used || usage(s, bob) != (store.Usage{}) {
		t.Errorf("after a refusal: got %+v, want %+v", u, used)
	}
	s.SetQuotas(nil)
	if a, err := s.As(bob).Slot(t.Context(), si, req); err != nil || !a.Done {
		t.Errorf("Slot without a quota: done %v, %v", a.Done, err)
	}
}
