package store

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/crypto/blake2b"

	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// A sick file fails where it is told to.
type sick struct {
	file
	write, sync error
}

func (f sick) WriteAt(p []byte, at int64) (int, error) {
	if f.write != nil {
		n, _ := f.file.WriteAt(p[:len(p)/2], at)
		return n, f.write
	}
	return f.file.WriteAt(p, at)
}

func (f sick) Sync() error {
	if f.sync != nil {
		return f.sync
	}
	return f.file.Sync()
}

// TestSickDisk: an upload that meets a fault is gone, its space is free, and
// it works when the disk does again.
func TestSickDisk(t *testing.T) {
	for _, tt := range []struct {
		name        string
		write, sync error
		size        int
		want        error
	}{
		{"full at write", syscall.ENOSPC, nil, tinyShare + 1, storage.ErrNoSpace},
		{"full at write of a tiny share", syscall.ENOSPC, nil, 100, storage.ErrNoSpace},
		{"full at sync", nil, &os.PathError{Err: syscall.ENOSPC}, tinyShare + 1, storage.ErrNoSpace},
		{"over quota", syscall.EDQUOT, nil, tinyShare + 1, storage.ErrNoSpace},
		{"over quota with a tiny share", syscall.EDQUOT, nil, 100, storage.ErrNoSpace},
		{"broken", nil, syscall.EIO, tinyShare + 1, storage.ErrBroken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := Open(Config{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			healthy := s.open
			s.open = func(path string) (file, error) {
				f, err := healthy(path)
				return sick{f, tt.write, tt.sync}, err
			}
			si, secret, lease := caps.StorageIndex{9}, storage.GenerateUploadSecret(), &storage.LeaseSecrets{}
			data := make([]byte, tt.size)
			try := func() error {
				if a, err := s.Allocate(t.Context(), si, []storage.ShareNumber{0}, int64(len(data)), secret, lease); err != nil || len(a.Allocated) != 1 {
					t.Fatalf("Allocate: got %+v, %v", a, err)
				}
				_, err := s.Write(t.Context(), si, 0, secret, 0, data)
				return err
			}
			if err := try(); !errors.Is(err, tt.want) {
				t.Errorf("Write: got %v, want %v", err, tt.want)
			}
			if got, err := s.Shares(t.Context(), storage.Immutable, si); err != nil || len(got) != 0 {
				t.Errorf("Shares: got %v, %v", got, err)
			}
			left, err := os.ReadDir(filepath.Join(dir, "incoming"))
			if err != nil || len(left) > 0 || s.pending != 0 || len(s.uploads) > 0 {
				t.Errorf("left: %d files, %d bytes promised, %d uploads, %v", len(left), s.pending, len(s.uploads), err)
			}
			s.open = healthy
			if err := try(); err != nil {
				t.Errorf("Write to a healthy disk: %v", err)
			}
			if s.pending != 0 {
				t.Errorf("%d bytes are still promised", s.pending)
			}
		})
	}
}

// TestLeases looks at what a lease is on disk.
func TestLeases(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	s, err := Open(Config{Dir: t.TempDir(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	si, secret, lease := caps.StorageIndex{9}, storage.GenerateUploadSecret(), &storage.LeaseSecrets{Renew: [32]byte{1}, Cancel: [32]byte{2}}
	if _, err := s.Allocate(t.Context(), si, []storage.ShareNumber{0}, 1, secret, lease); err != nil {
		t.Fatal(err)
	}
	if got := readLeases(t, s); len(got) != 0 {
		t.Errorf("an unfinished upload has %d leases on disk", len(got))
	}
	if _, err := s.Write(t.Context(), si, 0, secret, 0, []byte("x")); err != nil {
		t.Fatal(err)
	}
	want := func(ends ...string) {
		t.Helper()
		got := readLeases(t, s)
		if len(got) != len(ends) {
			t.Fatalf("got %d leases, want %d", len(got), len(ends))
		}
		for i, e := range ends {
			if got[i] != e {
				t.Errorf("lease %d ends on %s, want %s", i, got[i], e)
			}
		}
	}
	// 31 days after noon of January 1st is noon of February 1st.
	want("2026-02-02")
	now = now.Add(24 * time.Hour)
	if err := s.AddLease(t.Context(), si, lease); err != nil {
		t.Fatal(err)
	}
	want("2026-02-03")
	now = now.Add(-48 * time.Hour)
	if err := s.AddLease(t.Context(), si, lease); err != nil {
		t.Fatal(err)
	}
	want("2026-02-03")
	s.index.db.View(func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketLeases).Get(leaseKey(si, lease))
		if cancel := blake2b.Sum256(lease.Cancel[:]); len(v) != 36 || [32]byte(v[4:]) != cancel {
			t.Errorf("the lease holds %x, want the hash of the cancel secret", v)
		}
		return nil
	})

	for n := 1; n < maxLeases; n++ {
		if err := s.AddLease(t.Context(), si, &storage.LeaseSecrets{Renew: [32]byte{9, byte(n), byte(n >> 8)}}); err != nil {
			t.Fatalf("lease %d: %v", n, err)
		}
	}
	// More share one, which nobody is refused.
	for n := range 1000 {
		now = now.Add(time.Hour)
		if err := s.AddLease(t.Context(), si, &storage.LeaseSecrets{Renew: [32]byte{10, byte(n), byte(n >> 8)}}); err != nil {
			t.Fatalf("lease %d of strangers: %v", n, err)
		}
	}
	got := readLeases(t, s)
	if last := time.Unix(int64(leaseEnd(now))*86400, 0).UTC().Format("2006-01-02"); len(got) != maxLeases+1 || slices.Max(got) != last {
		t.Errorf("after a flood: got %d leases, the last until %s, want %d until %s", len(got), slices.Max(got), maxLeases+1, last)
	}
	now = now.Add(100 * 24 * time.Hour)
	more := &storage.LeaseSecrets{Renew: [32]byte{10}}
	if err := s.AddLease(t.Context(), si, more); err != nil {
		t.Errorf("AddLease when all others have ended: %v", err)
	}
	if got := readLeases(t, s); len(got) != 2 {
		t.Errorf("got %d leases, want the new one and the shared one", len(got))
	}
}

func leaseKey(si caps.StorageIndex, l *storage.LeaseSecrets) []byte {
	h := blake2b.Sum256(l.Renew[:])
	return append(si[:], h[:]...)
}

func readLeases(t *testing.T, s *Store) (ends []string) {
	t.Helper()
	err := s.index.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketLeases).ForEach(func(_, v []byte) error {
			ends = append(ends, time.Unix(int64(binary.BigEndian.Uint32(v))*86400, 0).UTC().Format("2006-01-02"))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return ends
}

// TestNewerIndex: an index of a later format is refused, and stays.
func TestNewerIndex(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	err = s.index.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyFormat, []byte{0, 0, 0, indexFormat + 1}) })
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	for range 2 {
		if _, err := Open(Config{Dir: dir}); !errors.Is(err, ondisk.ErrNewer) {
			t.Errorf("Open: got %v", err)
		}
	}
}
