package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

func (s *Store) content(t *testing.T, si caps.StorageIndex, n storage.ShareNumber) string {
	t.Helper()
	p := make([]byte, 100)
	got, err := s.Read(t.Context(), storage.Immutable, si, n, 0, p)
	if err != nil {
		t.Errorf("Read: %v", err)
	}
	return string(p[:got])
}

// TestLodged: what the disk has of a tiny share does not matter as long as
// the index lodges it: nothing, a part, or a file with the right header and
// other bytes, as a loss of power leaves it.
func TestLodged(t *testing.T) {
	si := caps.StorageIndex{7}
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, s *Store) error
	}{
		{"the file stands", func(*testing.T, *Store) error { return nil }},
		{"no file", func(_ *testing.T, s *Store) error { return os.Remove(s.sharePath(si, 0)) }},
		{"no bucket", func(_ *testing.T, s *Store) error { return os.RemoveAll(s.bucketDir(si)) }},
		{"no prefix", func(_ *testing.T, s *Store) error { return os.RemoveAll(filepath.Dir(s.bucketDir(si))) }},
		{"an empty file", func(_ *testing.T, s *Store) error { return os.Truncate(s.sharePath(si, 0), 0) }},
		{"zeros behind the header", func(_ *testing.T, s *Store) error {
			path := s.sharePath(si, 0)
			size := int64(ondisk.HeaderSize + len("tiny content"))
			return errors.Join(os.Truncate(path, ondisk.HeaderSize), os.Truncate(path, size))
		}},
		{"a rebuild", func(t *testing.T, s *Store) error {
			err := os.Remove(s.sharePath(si, 0))
			sum, faults := checked(t, s.cfg, CheckOptions{})
			if sum.Left != 0 {
				t.Errorf("before the start that writes it, fsck finds %v", faults)
			}
			if sum, faults := checked(t, s.cfg, CheckOptions{Rebuild: true}); sum.Shares != 2 || sum.Left != 0 {
				t.Errorf("Rebuild: %+v, %v", sum, faults)
			}
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := mustOpen(t, Config{Dir: t.TempDir()})
			mustPut(t, s, caps.StorageIndex{8}, 1, "another")
			mustPut(t, s, si, 0, "tiny content")
			if keys := s.index.allLodged(); len(keys) != 2 || s.index.lodgedBytes != 2*ondisk.HeaderSize+19 {
				t.Fatalf("lodged are %d shares, %d bytes", len(keys), s.index.lodgedBytes)
			}
			s.index.db.Close()
			if err := tt.spoil(t, s); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, s.cfg)
			defer s.Close()
			if got := s.content(t, si, 0); got != "tiny content" {
				t.Errorf("after the crash: got %q", got)
			}
			if st, err := s.Stats(); err != nil || st.Shares != 2 || st.Bytes != 19 {
				t.Errorf("Stats: %+v, %v", st, err)
			}
			if _, _, _, intents := entries(t, s); intents != 0 {
				t.Errorf("%d intents are left", intents)
			}
		})
	}
}

// TestLay: one sync of the disk ends the lodging of many. When it fails, each
// file is written again, and no later sync that tells of no fault is believed.
// A few are written again at once.
func TestLay(t *testing.T) {
	s := mustOpen(t, Config{Dir: t.TempDir()})
	defer s.Close()
	const n = aFew + 4
	syncs, written, sick := 0, 0, true
	s.syncDisk = func(*os.File) error {
		if syncs++; syncs == 1 {
			return syscall.EIO // told once
		}
		return nil
	}
	for i := range byte(n) {
		mustPut(t, s, caps.StorageIndex{1, i}, 0, "text")
	}
	gone := caps.StorageIndex{1, 1}
	if err := os.RemoveAll(s.bucketDir(gone)); err != nil {
		t.Fatal(err)
	}
	healthy := s.open
	s.open = func(path string) (file, error) {
		f, err := healthy(path)
		if written++; sick && written > 1 {
			return broken{f}, err
		}
		return f, err
	}
	if err := s.lay(); !errors.Is(err, syscall.EIO) {
		t.Errorf("lay on a sick disk: %v", err)
	}
	if got := s.index.allLodged(); len(got) != n-1 || got[0] != string(shareKey(gone, 0)) {
		t.Errorf("lodged after that: %x", got)
	}
	sick = false
	if err := s.lay(); err != nil || len(s.index.allLodged()) != 0 || s.index.lodgedBytes != 0 {
		t.Errorf("lay: %v, %d bytes are lodged", err, s.index.lodgedBytes)
	}
	if got := s.content(t, gone, 0); written != 2*n-1 || got != "text" {
		t.Errorf("%d files were written, and a share is %q", written, got)
	}
	for i := range byte(n) {
		mustPut(t, s, caps.StorageIndex{2, i}, 0, "text")
	}
	if err := s.lay(); err != nil || written != 3*n-1 || syncs != 3 {
		t.Errorf("lay on a healthy disk: %v, %d files were written, %d syncs", err, written, syncs)
	}
	mustPut(t, s, caps.StorageIndex{3}, 0, "text")
	if err := s.lay(); err != nil || written != 3*n+1 || syncs != 3 || s.index.lodgedBytes != 0 {
		t.Errorf("lay of one: %v, %d files were written, %d syncs", err, written, syncs)
	}
}

// A broken file takes no sync.
type broken struct{ file }

func (broken) Sync() error { return syscall.EIO }

// TestLodgedIsBounded: where much waits for a sync of the disk, tiny shares
// are synced by themselves, and nothing is refused.
func TestLodgedIsBounded(t *testing.T) {
	s := mustOpen(t, Config{Dir: t.TempDir()})
	defer s.Close()
	hold := make(chan bool)
	s.syncDisk = func(*os.File) error { <-hold; return nil }
	const n = maxLodged/(tinyShare+ondisk.HeaderSize) + 20
	data := string(bytes.Repeat([]byte{'x'}, tinyShare))
	for i := range n {
		mustPut(t, s, caps.StorageIndex{byte(i), byte(i >> 8)}, 0, data)
	}
	s.index.mu.Lock()
	got := s.index.lodgedBytes
	s.index.mu.Unlock()
	if got > maxLodged || got < maxLodged-tinyShare-ondisk.HeaderSize {
		t.Errorf("%d bytes are lodged", got)
	}
	close(hold)
	s.background.Wait()
	if err := s.lay(); err != nil || s.index.lodgedBytes != 0 {
		t.Errorf("lay: %v, %d bytes are lodged", err, s.index.lodgedBytes)
	}
	if st, err := s.Stats(); err != nil || st.Shares != n {
		t.Errorf("Stats: %+v, %v", st, err)
	}
}

// TestTinyInPlaceOfBroken: a broken file in the place of a tiny share is
// replaced, and not written to: it may be somebody else's too.
func TestTinyInPlaceOfBroken(t *testing.T) {
	s := mustOpen(t, Config{Dir: t.TempDir()})
	defer s.Close()
	si := caps.StorageIndex{9}
	other := filepath.Join(t.TempDir(), "other")
	if err := errors.Join(os.WriteFile(other, bytes.Repeat([]byte{'o'}, 5000), 0o600), os.MkdirAll(s.bucketDir(si), 0o700), os.Link(other, s.sharePath(si, 0))); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, si, 0, "tiny")
	if got := s.content(t, si, 0); got != "tiny" {
		t.Errorf("Read: %q", got)
	}
	if b, err := os.ReadFile(other); err != nil || len(b) != 5000 || b[0] != 'o' {
		t.Errorf("the linked file was changed: %d bytes, %v", len(b), err)
	}
}

// TestCollectLodged: what is removed while it is lodged does not come back.
func TestCollectLodged(t *testing.T) {
	s, _ := aged(t, 3)
	if n := len(s.index.allLodged()); n != 3 {
		t.Fatalf("%d are lodged", n)
	}
	if sum, err := s.Collect(t.Context()); err != nil || sum.Immutable.Shares != 3 {
		t.Fatalf("Collect: %+v, %v", sum, err)
	}
	again := crash(t, s)
	if again.shares != 0 {
		t.Errorf("%d shares came back", again.shares)
	}
}
