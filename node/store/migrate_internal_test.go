package store

import (
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// TestOlderIndex: an index of format 1 is copied, and what it lacks is taken
// from the files; share files of format 1 are read as they are.
func TestOlderIndex(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	lease := &storage.LeaseSecrets{Renew: [32]byte{1}}
	for n := range storage.ShareNumber(2) {
		if _, err := s.As(5).Allocate(t.Context(), caps.StorageIndex{9}, []storage.ShareNumber{n}, 1, storage.NewUploadSecret([]byte("u")), lease); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(t.Context(), caps.StorageIndex{9}, n, storage.NewUploadSecret([]byte("u")), 0, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	err = s.index.db.Update(func(tx *bolt.Tx) error {
		shares := tx.Bucket(bucketShares)
		for _, n := range []storage.ShareNumber{0, 1} {
			key := shareKey(caps.StorageIndex{9}, n)
			if err := shares.Put(key, append([]byte(nil), shares.Get(key)[:9]...)); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Put(keyFormat, []byte{0, 0, 0, 1})
	})
	if err != nil {
		t.Fatal(err)
	}
	path := s.sharePath(caps.StorageIndex{9}, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(formatOne(b[:ondisk.HeaderSize]), b[ondisk.HeaderSize:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	one := Usage{Shares: 1, Disk: cost(1)}
	if u := s.Usage(); u[Default] != one || u[5] != one || len(u) != 2 {
		t.Errorf("Usage: got %+v, want a share of Default's and one of 5's", u)
	}
	if leases := readLeases(t, s); len(leases) != 1 {
		t.Errorf("got %d leases, want the one that was there", len(leases))
	}
	info, err := os.Stat(filepath.Join(dir, "index.db.format1"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy of the older index: got %v, %v", info, err)
	}
	if got, err := s.Shares(t.Context(), storage.Immutable, caps.StorageIndex{9}); err != nil || len(got) != 2 {
		t.Errorf("Shares: got %v, %v", got, err)
	}
}

// formatOne is a share file's header as format 1 has it.
func formatOne(b []byte) []byte {
	b = append([]byte(nil), b...)
	b[11] = 1
	binary.BigEndian.PutUint32(b[92:], 0)
	sum := sha256.Sum256(b[:96])
	copy(b[96:], sum[:])
	return b
}
