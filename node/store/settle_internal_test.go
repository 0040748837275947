package store

import (
	"path/filepath"
	"runtime"
	"testing"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// TestSettled: a share whose name is there and not yet durable is promised
// to nobody.
func TestSettled(t *testing.T) {
	si := caps.StorageIndex{9}
	s, err := Open(Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	secret, lease := storage.GenerateUploadSecret(), &storage.LeaseSecrets{}
	waits := func(unlock func(), call func() error) {
		t.Helper()
		done := make(chan error, 1)
		go func() { done <- call() }()
		users := func() int {
			s.naming.mu.Lock()
			defer s.naming.mu.Unlock()
			return s.naming.locks[si].users
		}
		for users() < 2 && len(done) == 0 {
			runtime.Gosched()
		}
		if len(done) > 0 {
			t.Error("the call did not wait")
		}
		unlock()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	allocate := func() error {
		_, err := s.Allocate(t.Context(), si, []storage.ShareNumber{0}, 1, secret, lease)
		return err
	}
	if err := allocate(); err != nil {
		t.Fatal(err)
	}
	waits(s.naming.lock(si), func() error {
		_, err := s.Write(t.Context(), si, 0, secret, 0, []byte("x"))
		return err
	})
	waits(s.naming.share(si), allocate)
	waits(s.naming.share(si), func() error { return s.AddLease(t.Context(), si, lease) })
	waits(s.naming.share(si), func() error {
		_, err := s.Shares(t.Context(), storage.Immutable, si)
		return err
	})
}

// TestUnsureIsNoCleanEnd: where a slot's record may not be on the disk, the
// next start syncs before it counts on what it reads.
func TestUnsureIsNoCleanEnd(t *testing.T) {
	dir := t.TempDir()
	for _, unsure := range []bool{true, false} {
		s, err := Open(Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if unsure {
			s.unsure.Store(caps.StorageIndex{1}, true)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		x, err := openIndex(filepath.Join(dir, "index.db"))
		if err != nil {
			t.Fatal(err)
		}
		if x.clean == unsure {
			t.Errorf("unsure %v: the end counts as clean: %v", unsure, x.clean)
		}
		if err := x.close(); err != nil {
			t.Fatal(err)
		}
	}
}
