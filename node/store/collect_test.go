package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"lafs/node/store"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

const aDay = 24 * time.Hour

// both expires what is left of both kinds.
var both = store.Expiry{Enabled: true, Immutable: true, Mutable: true}

// fill puts one share of 1000 bytes under an index.
func fill(t *testing.T, s storage.Server, si caps.StorageIndex) {
	t.Helper()
	if _, err := s.Allocate(t.Context(), si, []storage.ShareNumber{3}, 1000, secret, lease); err != nil {
		t.Fatal(err)
	}
	if missing, err := s.Write(t.Context(), si, 3, secret, 0, make([]byte, 1000)); err != nil || len(missing) > 0 {
		t.Fatalf("Write: %v, %v", missing, err)
	}
}

func has(t *testing.T, s *store.Store, kind storage.Kind, si caps.StorageIndex) bool {
	t.Helper()
	got, err := s.Shares(t.Context(), kind, si)
	if err != nil {
		t.Fatal(err)
	}
	return len(got) > 0
}

// TestExpiry: what ends when, by each of the rules.
func TestExpiry(t *testing.T) {
	start := newClock().Now()
	for _, tt := range []struct {
		name string
		rule store.Expiry
		// keeps is the last whole day after the lease's on which all is kept;
		// mutable and immutable say what is on the next.
		keeps              int
		immutable, mutable bool
	}{
		{"as given", both, 31, false, false},
		{"longer", store.Expiry{Enabled: true, Duration: 60 * aDay, Immutable: true, Mutable: true}, 60, false, false},
		{"shorter", store.Expiry{Enabled: true, Duration: 7 * aDay, Immutable: true, Mutable: true}, 7, false, false},
		{"buckets alone", store.Expiry{Enabled: true, Immutable: true}, 31, false, true},
		{"slots alone", store.Expiry{Enabled: true, Mutable: true}, 31, true, false},
		{"neither", store.Expiry{Enabled: true}, 31, true, true},
		{"renewed before a date", store.Expiry{Enabled: true, Cutoff: start.Add(2 * aDay), Immutable: true, Mutable: true}, -1, false, false},
		{"renewed after a date", store.Expiry{Enabled: true, Cutoff: start.Add(-aDay), Immutable: true, Mutable: true}, 1000, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			s := open(t, store.Config{Now: c.Now, Expire: tt.rule})
			bucket, slot := caps.StorageIndex{1}, si
			fill(t, s, bucket)
			newObject(t).write(s)
			collect := func() store.Collection {
				t.Helper()
				dry, err := s.Collectable(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				sum, err := s.Collect(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if sum.Immutable != dry.Immutable || sum.Mutable.Shares != dry.Mutable.Shares || sum.Mutable.Bytes != dry.Mutable.Bytes {
					t.Errorf("Collect: got %+v, and Collectable said %+v", sum, dry)
				}
				return sum
			}
			if tt.keeps >= 0 {
				c.Advance(time.Duration(tt.keeps) * aDay)
				if sum := collect(); sum != (store.Collection{}) || !has(t, s, storage.Immutable, bucket) || !has(t, s, storage.Mutable, slot) {
					t.Fatalf("after %d days: collected %+v", tt.keeps, sum)
				}
				// What is promised for a moment of a day lasts until it ends.
				c.Advance(aDay)
			}
			before, err := s.Stats()
			if err != nil {
				t.Fatal(err)
			}
			sum := collect()
			if has(t, s, storage.Immutable, bucket) != tt.immutable || has(t, s, storage.Mutable, slot) != tt.mutable {
				t.Errorf("at the end: collected %+v", sum)
			}
			after, err := s.Stats()
			if err != nil {
				t.Fatal(err)
			}
			shares, bytes := sum.Immutable.Shares+sum.Mutable.Shares, sum.Immutable.Bytes+sum.Mutable.Bytes
			if before.Shares-after.Shares != shares || before.Bytes-after.Bytes != bytes {
				t.Errorf("collected %+v, but the totals went from %+v to %+v", sum, before, after)
			}
			if !tt.immutable && (sum.Immutable.Indexes != 1 || sum.Immutable.Bytes != 1000) {
				t.Errorf("of buckets: got %+v", sum.Immutable)
			}
		})
	}
}

// TestNoExpiry: nothing is collected unless the operator says so, and a dry
// run still tells what has ended.
func TestNoExpiry(t *testing.T) {
	c := newClock()
	s := open(t, store.Config{Now: c.Now})
	fill(t, s, si)
	c.Advance(1000 * aDay)
	if _, err := s.Collect(t.Context()); !errors.Is(err, store.ErrNoExpiry) || !has(t, s, storage.Immutable, si) {
		t.Errorf("Collect: got %v", err)
	}
	if sum, err := s.Collectable(t.Context()); err != nil || sum.Immutable.Shares != 1 {
		t.Errorf("Collectable: got %+v, %v", sum, err)
	}
}

// TestRenewed: a lease that anybody renewed keeps everything.
func TestRenewed(t *testing.T) {
	c := newClock()
	s := open(t, store.Config{Now: c.Now, Expire: both})
	slot := caps.StorageIndex{8}
	fill(t, s, si)
	fill(t, s, slot)
	c.Advance(20 * aDay)
	if err := s.AddLease(t.Context(), si, &storage.LeaseSecrets{Renew: [32]byte{1}}); err != nil {
		t.Fatal(err)
	}
	c.Advance(20 * aDay)
	if sum, err := s.Collect(t.Context()); err != nil || sum.Immutable.Indexes != 1 || !has(t, s, storage.Immutable, si) || has(t, s, storage.Immutable, slot) {
		t.Errorf("Collect: got %+v, %v", sum, err)
	}
	if err := s.AddLease(t.Context(), slot, lease); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("AddLease to what is gone: got %v", err)
	}
	// It may come again.
	fill(t, s, slot)
}

// TestCollectAndLease: whoever is told that he has a lease while shares are
// collected finds them.
func TestCollectAndLease(t *testing.T) {
	c := newClock()
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir, Now: c.Now, Expire: both})
	var all []caps.StorageIndex
	for n := range 40 {
		x := caps.StorageIndex{byte(n), 1}
		all = append(all, x)
		if n%2 == 0 {
			fill(t, s, x)
			continue
		}
		w := storage.TestWrite{Patches: []storage.Patch{{Data: []byte("a slot")}}}
		if _, _, err := s.ReadTestWrite(t.Context(), x, enabler, lease, map[storage.ShareNumber]storage.TestWrite{0: w}, nil); err != nil {
			t.Fatal(err)
		}
	}
	c.Advance(40 * aDay)
	kind := func(n int) storage.Kind {
		if n%2 == 0 {
			return storage.Immutable
		}
		return storage.Mutable
	}
	kept := make([]bool, len(all))
	var wg sync.WaitGroup
	for n, x := range all {
		wg.Go(func() {
			var err error
			switch n % 4 {
			case 0:
				var a storage.Allocation
				a, err = s.Allocate(context.Background(), x, []storage.ShareNumber{3}, 1000, secret, lease)
				kept[n] = err == nil && len(a.AlreadyHave) > 0
				return
			default:
				err = s.AddLease(context.Background(), x, lease)
			}
			kept[n] = err == nil
			if err != nil && !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("AddLease: %v", err)
			}
		})
	}
	if _, err := s.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	for n, x := range all {
		if got := has(t, s, kind(n), x); got != kept[n] {
			t.Errorf("index %d: held %v, promised %v", n, got, kept[n])
		}
	}
	// What is gone from the disk is gone from the index, and the reverse.
	st, err := s.Stats()
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	os.Remove(filepath.Join(dir, "index.db"))
	s = open(t, store.Config{Dir: dir, Now: c.Now})
	if again, err := s.Stats(); err != nil || again.Shares != st.Shares || again.Bytes != st.Bytes {
		t.Errorf("rebuilt: got %+v, %v, want %+v", again, err, st)
	}
}

// TestCollectedVotes: a slot whose shares are collected keeps its votes.
func TestCollectedVotes(t *testing.T) {
	c := newClock()
	dir := t.TempDir()
	cfg := store.Config{Dir: dir, Now: c.Now, Expire: both, TubID: [20]byte{1}}
	s := open(t, cfg)
	o := newObject(t)
	first, v := o.request(1, "one")
	first.Message = agree.Fast{New: v}
	state := o.write(s)
	used := usage(s, store.Own)
	c.Advance(40 * aDay)
	sum, err := s.Collect(t.Context())
	if err != nil || sum.Mutable.Indexes != 1 || sum.Mutable.Shares != 2 {
		t.Fatalf("Collect: got %+v, %v", sum, err)
	}
	left := usage(s, store.Own)
	if left.Shares != 0 || left.Disk != used.Disk-sum.Mutable.Disk || left.Disk <= 0 {
		t.Errorf("charged: got %+v, %+v before, %d given back", left, used, sum.Mutable.Disk)
	}
	files, err := os.ReadDir(filepath.Dir(slotPath(dir, "record")))
	if err != nil || len(files) != 1 {
		t.Errorf("left in the slot: %v, %v", files, err)
	}
	check := func(when string) {
		t.Helper()
		a, err := read(s)
		if err != nil || a.State != state || len(a.Current)+len(a.Base) > 0 {
			t.Errorf("%s: got %+v, %d shares, %v, want %+v", when, a.State, len(a.Current)+len(a.Base), err, state)
		}
		// A late client that has not seen the later version gets no vote.
		if a, err := s.Slot(t.Context(), si, first); err != nil || a.Done {
			t.Errorf("%s, an old first step: done %v, %v", when, a.Done, err)
		}
		// A stranger does not get the slot.
		other := storage.SlotRequest{Message: agree.Prepare{Ballot: agree.Ballot{N: 99}}, Enabler: &storage.WriteEnabler{1}}
		if _, err := s.Slot(t.Context(), si, other); !errors.Is(err, storage.ErrUnauthorized) {
			t.Errorf("%s, another write enabler: got %v", when, err)
		}
	}
	check("collected")
	if sum, err := s.Collect(t.Context()); err != nil || sum != (store.Collection{}) {
		t.Errorf("a second pass: got %+v, %v", sum, err)
	}
	s.Close()
	s = open(t, cfg)
	check("reopened")
	s.Close()
	os.Remove(filepath.Join(dir, "index.db"))
	s = open(t, cfg)
	check("rebuilt")
	if u := usage(s, store.Own); u != left {
		t.Errorf("rebuilt: charged %+v, want %+v", u, left)
	}
	// Whoever still has the version brings it back, with a lease.
	again, w := o.request(2, "two")
	if w != state.Current {
		again.Shares = nil
	}
	again.Message = agree.Learn{Version: state.Current, Ballot: state.Accepted}
	a, err := s.Slot(t.Context(), si, again)
	switch {
	case err != nil:
		t.Fatal(err)
	case again.Shares == nil && !a.Missing:
		t.Errorf("Learn without shares: done %v, missing %v", a.Done, a.Missing)
	case again.Shares != nil && (!a.Done || !has(t, s, storage.Mutable, si)):
		t.Errorf("Learn with shares: done %v", a.Done)
	}
}

// TestCollectedForeign: a slot in which nobody voted leaves nothing, as does
// one of an identity that the server no longer has.
func TestCollectedForeign(t *testing.T) {
	for _, tt := range []struct {
		name string
		tub  [20]byte
		vote bool
	}{
		{"written by Tahoe-LAFS alone", [20]byte{1}, false},
		{"of another identity", [20]byte{2}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			dir := t.TempDir()
			cfg := store.Config{Dir: dir, Now: c.Now, Expire: both, TubID: [20]byte{1}, Witness: filepath.Join(t.TempDir(), "witness")}
			s := open(t, cfg)
			if tt.vote {
				newObject(t).write(s)
			} else {
				w := storage.TestWrite{Patches: []storage.Patch{{Data: []byte("a slot")}}}
				if _, _, err := s.ReadTestWrite(t.Context(), si, enabler, lease, map[storage.ShareNumber]storage.TestWrite{0: w}, nil); err != nil {
					t.Fatal(err)
				}
			}
			s.Close()
			cfg.TubID = tt.tub
			s = open(t, cfg)
			c.Advance(40 * aDay)
			if sum, err := s.Collect(t.Context()); err != nil || sum.Mutable.Indexes != 1 {
				t.Fatalf("Collect: got %+v, %v", sum, err)
			}
			if left := slotDirs(t, dir); len(left) > 0 || usage(s, store.Own) != (store.Usage{}) {
				t.Errorf("left: %v, charged %+v", left, usage(s, store.Own))
			}
			if a, err := read(s); err != nil || a.State != (agree.State{}) {
				t.Errorf("Read: got %+v, %v", a.State, err)
			}
			newObject(t).write(s)
		})
	}
}

// TestLostIsKept: where leases may have been renewed in another copy of the
// directory, nothing is collected.
func TestLostIsKept(t *testing.T) {
	c := newClock()
	cfg := store.Config{Dir: t.TempDir(), Now: c.Now, Expire: both, Witness: filepath.Join(t.TempDir(), "witness")}
	s := open(t, cfg)
	fill(t, s, si)
	s.Close()
	if err := os.WriteFile(filepath.Join(cfg.Dir, "mark"), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, cfg)
	c.Advance(1000 * aDay)
	if _, err := s.Collect(t.Context()); !errors.Is(err, store.ErrNoExpiry) || !has(t, s, storage.Immutable, si) {
		t.Errorf("Collect: got %v", err)
	}
}
