package store

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// aged opens a store with n buckets whose leases have ended; now can be
// moved.
func aged(t *testing.T, n int) (s *Store, now *time.Time) {
	t.Helper()
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	now = &at
	s, err := Open(Config{Dir: t.TempDir(), Now: func() time.Time { return *now }, Expire: Expiry{Enabled: true, Immutable: true, Mutable: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for i := range n {
		store1(t, s, caps.StorageIndex{byte(i), byte(i >> 8)})
	}
	s.collector.day()
	// The server is seen to run every day.
	for range 40 {
		*now = now.Add(24 * time.Hour)
		s.collector.day()
	}
	return s, now
}

func store1(t *testing.T, s *Store, si caps.StorageIndex) {
	t.Helper()
	up, lease := storage.NewUploadSecret([]byte("u")), &storage.LeaseSecrets{Renew: [32]byte{1}}
	if _, err := s.Allocate(t.Context(), si, []storage.ShareNumber{0}, 1, up, lease); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(t.Context(), si, 0, up, 0, []byte("x")); err != nil {
		t.Fatal(err)
	}
}

// TestPace: a tick removes no more than it may, and a pass that a restart
// interrupts goes on where it was.
func TestPace(t *testing.T) {
	const n = 3*collectRemovals + 2
	s, now := aged(t, n)
	for i := range 2 {
		if wait := s.collector.tick(); wait != collectEvery {
			t.Errorf("tick %d: comes again in %v", i, wait)
		}
		if want := int64(n - (i+1)*collectRemovals); s.shares != want {
			t.Errorf("after tick %d: %d shares, want %d", i, s.shares, want)
		}
	}
	at := *s.collector.at
	if at.next == nil || at.began == 0 {
		t.Fatalf("in the middle of a pass: %+v", at)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	c := again.collector
	if string(c.at.next) != string(at.next) || c.at.began != at.began {
		t.Errorf("after a restart: at %+v, want %+v", c.at, at)
	}
	for c.at.began != 0 {
		c.tick()
	}
	if again.shares != 0 || c.at.passDay != today(*now) {
		t.Errorf("after the pass: %d shares, at %+v", again.shares, c.at)
	}
	// The next is tomorrow's.
	if wait := c.tick(); wait != time.Minute || c.at.began != 0 {
		t.Errorf("a second pass on one day: %+v", c.at)
	}
	*now = now.Add(24 * time.Hour)
	if c.tick(); c.at.began == 0 && c.at.passDay != today(*now) {
		t.Errorf("no pass on the next day: %+v", c.at)
	}
}

// TestRests: leases that nobody could renew because the server was off, or
// that a wrong clock ended, keep their shares for a while.
func TestRests(t *testing.T) {
	s, now := aged(t, 1)
	*now = now.Add(10 * 24 * time.Hour)
	s.collector.tick()
	until, resting := s.Resting()
	if want := now.UTC().Truncate(24 * time.Hour).Add(9 * 24 * time.Hour); !resting || !until.Equal(want) || s.shares != 1 {
		t.Fatalf("after ten days: rests until %v (%v), want %v; %d shares", until, resting, want, s.shares)
	}
	// A clock far ahead, and back.
	right := *now
	*now = now.Add(10 * 365 * 24 * time.Hour)
	s.collector.tick()
	if _, err := s.Collect(t.Context()); err != ErrNoExpiry || s.shares != 1 {
		t.Errorf("with a wrong clock: got %v, %d shares", err, s.shares)
	}
	*now = right
	s.collector.tick()
	if until, _ := s.Resting(); until.Sub(*now) > 32*24*time.Hour {
		t.Errorf("with the clock set back it rests until %v", until)
	}
	for range 32 {
		*now = now.Add(24 * time.Hour)
		s.collector.tick()
	}
	if s.shares != 0 {
		t.Error("after its rest it collects nothing")
	}
}

// TestCollectCut: a crash between the files and the index, or a fault of one
// bucket, leaves what the next pass mends.
func TestCollectCut(t *testing.T) {
	s, _ := aged(t, 3)
	if err := os.Remove(s.sharePath(caps.StorageIndex{1}, 0)); err != nil {
		t.Fatal(err)
	}
	// A directory stands where a share should: it can not be removed.
	odd := s.sharePath(caps.StorageIndex{0}, 0)
	os.Remove(odd)
	if err := os.MkdirAll(filepath.Join(odd, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if sum, err := s.Collect(t.Context()); err != nil || sum.Immutable.Shares != 2 || s.shares != 1 {
		t.Errorf("Collect: got %+v, %v, %d shares", sum, err, s.shares)
	}
	os.RemoveAll(odd)
	if sum, err := s.Collect(t.Context()); err != nil || sum.Immutable.Shares != 1 || s.shares != 0 {
		t.Errorf("Collect again: got %+v, %v, %d shares", sum, err, s.shares)
	}
	if got := readLeases(t, s); len(got) != 0 {
		t.Errorf("%d leases are left", len(got))
	}
	if u := s.Usage(); len(u) != 0 {
		t.Errorf("charged: %+v", u)
	}
}

// TestNoLease: what has no lease at all is given the time of one.
func TestNoLease(t *testing.T) {
	s, now := aged(t, 1)
	if err := s.index.db.Update(func(tx *bolt.Tx) error { return dropLeases(tx, caps.StorageIndex{}) }); err != nil {
		t.Fatal(err)
	}
	if sum, err := s.Collect(t.Context()); err != nil || sum != (Collection{}) || s.shares != 1 {
		t.Errorf("Collect: got %+v, %v, %d shares", sum, err, s.shares)
	}
	*now = now.Add(33 * 24 * time.Hour)
	if sum, err := s.Collect(t.Context()); err != nil || sum.Immutable.Shares != 1 {
		t.Errorf("Collect a month later: got %+v, %v", sum, err)
	}
}

func FuzzCrawl(f *testing.F) {
	f.Add((&crawl{true, make([]byte, 16), 1, 2, 3, 4}).marshal())
	f.Add((&crawl{}).marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		c := parseCrawl(b)
		if again := parseCrawl(c.marshal()); string(again.marshal()) != string(c.marshal()) {
			t.Fatalf("got %+v, want %+v", again, c)
		}
	})
}
