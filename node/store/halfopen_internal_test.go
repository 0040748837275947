package store

import (
	"errors"
	"os"
	"testing"
	"time"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// halfSize is the length of a share whose note takes less than itself.
const halfSize = 60_000

// small opens a store with room for n shares, and for one note; now can be
// moved.
func small(t *testing.T, n int64) (s *Store, now *time.Time) {
	t.Helper()
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	now = &at
	s, err := Open(Config{Dir: t.TempDir(), Now: func() time.Time { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.free = func(string) (int64, error) { return n*cost(halfSize) + noteCost, nil }
	return s, now
}

func begin(t *testing.T, s *Store, who Authority, si byte, numbers ...storage.ShareNumber) int {
	t.Helper()
	a, err := s.As(who).Allocate(t.Context(), caps.StorageIndex{si}, numbers, halfSize, storage.NewUploadSecret([]byte{si}), &storage.LeaseSecrets{})
	if err != nil {
		t.Fatal(err)
	}
	return len(a.Allocated)
}

// TestHalfOpen: uploads that nobody works on keep nobody out.
func TestHalfOpen(t *testing.T) {
	s, now := small(t, 4)
	if got := begin(t, s, 5, 1, 0, 1, 2, 3, 4, 5); got != 4 {
		t.Fatalf("got %d uploads, there is room for 4", got)
	}
	if _, err := s.Write(t.Context(), caps.StorageIndex{1}, 0, storage.NewUploadSecret([]byte{1}), 0, []byte("x")); err != nil {
		t.Fatal(err)
	}
	*now = now.Add(emptyGrace - time.Second)
	if got := begin(t, s, 6, 2, 0); got != 0 {
		t.Errorf("another got %d shares while the uploads are new", got)
	}
	*now = now.Add(time.Second)
	if got := begin(t, s, 6, 2, 0, 1); got != 2 {
		t.Errorf("another got %d of 2 shares in place of idle ones", got)
	}
	// No more than was needed, and the one with a byte last.
	if got := s.Usage()[5].Reserved / cost(halfSize); got != 2 {
		t.Errorf("%d idle uploads are left, want 2", got)
	}
	if got := begin(t, s, 6, 2, 0, 1, 2, 3); got != 3 {
		t.Errorf("another got %d shares, one begun upload must stay", got)
	}
	if _, err := s.Write(t.Context(), caps.StorageIndex{1}, 0, storage.NewUploadSecret([]byte{1}), 1, []byte("y")); err != nil {
		t.Errorf("the upload that was begun: %v", err)
	}
	// Who has used up its quota makes room for itself alone.
	s.free = func(string) (int64, error) { return 1 << 30, nil }
	s.SetQuotas(map[Authority]int64{7: 2 * cost(halfSize)})
	begin(t, s, 7, 3, 0, 1)
	*now = now.Add(emptyGrace)
	left := s.Usage()[6]
	if got := begin(t, s, 7, 4, 0, 1); got != 2 || s.Usage()[6] != left {
		t.Errorf("within a quota: got %d shares, others have %+v and had %+v", got, s.Usage()[6], left)
	}
}

// TestPartsOfAll: scattered parts of all uploads are bounded together, and
// those who write in order are not touched by it.
func TestPartsOfAll(t *testing.T) {
	s, _ := small(t, 1000)
	scattered := make(ranges, maxParts)
	var all []*upload
	refused := 0
	for range maxAllParts/(maxParts-freeParts) + 3 {
		u := &upload{}
		if !s.growParts(u, scattered) {
			refused++
			continue
		}
		all = append(all, u)
	}
	if refused < 2 || s.parts > maxAllParts {
		t.Errorf("%d parts are held, %d uploads were refused", s.parts, refused)
	}
	if !s.growParts(&upload{}, make(ranges, freeParts)) {
		t.Error("an upload of a few parts is refused")
	}
	for _, u := range all {
		if !s.growParts(u, nil) {
			t.Error("an upload can not lose parts")
		}
	}
	if s.parts != 0 {
		t.Errorf("%d parts are still counted", s.parts)
	}
	// As Write does.
	begin(t, s, 5, 1, 0)
	s.parts = maxAllParts
	up := storage.NewUploadSecret([]byte{9})
	if _, err := s.Allocate(t.Context(), caps.StorageIndex{9}, []storage.ShareNumber{0}, 100, up, &storage.LeaseSecrets{}); err != nil {
		t.Fatal(err)
	}
	var err error
	for n := int64(0); n < 2*(freeParts+1) && err == nil; n += 2 {
		_, err = s.Write(t.Context(), caps.StorageIndex{9}, 0, up, n, []byte("x"))
	}
	if !errors.Is(err, storage.ErrBusy) {
		t.Errorf("a part too many: got %v", err)
	}
	if _, err := s.Write(t.Context(), caps.StorageIndex{9}, 0, up, 1, []byte("y")); err != nil {
		t.Errorf("a write that closes a gap: %v", err)
	}
	if err := s.Abort(t.Context(), caps.StorageIndex{9}, 0, up); err != nil || s.parts != maxAllParts {
		t.Errorf("after it was dropped: %v, %d parts", err, s.parts)
	}
}

// TestNoFollow: what stands behind a symbolic link, or in a pipe, is not
// served.
func TestNoFollow(t *testing.T) {
	s, _ := small(t, 1000)
	si, up := caps.StorageIndex{1}, storage.NewUploadSecret([]byte("u"))
	for n := range storage.ShareNumber(2) {
		if _, err := s.Allocate(t.Context(), si, []storage.ShareNumber{n}, 1, up, &storage.LeaseSecrets{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(t.Context(), si, n, up, 0, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	real := s.sharePath(si, 1)
	if err := os.Rename(real, real+".elsewhere"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real+".elsewhere", real); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Shares(t.Context(), storage.Immutable, si); err != nil || len(got) != 1 || got[0] != 0 {
		t.Errorf("Shares: got %v, %v", got, err)
	}
	if _, err := s.Read(t.Context(), storage.Immutable, si, 1, 0, make([]byte, 1)); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Read through a link: got %v", err)
	}
	if err := os.Symlink("/dev/null", s.incoming(uploadKey{si, 2})); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Allocate(t.Context(), si, []storage.ShareNumber{2}, 1, up, &storage.LeaseSecrets{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(t.Context(), si, 2, up, 0, []byte("x")); !errors.Is(err, storage.ErrBroken) {
		t.Errorf("Write through a link: got %v", err)
	}
}
