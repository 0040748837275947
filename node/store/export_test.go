package store

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/crypto/blake2b"

	"lafs/shares/caps"
)

// A StoredLease is a lease as it lies on the disk.
type StoredLease struct {
	RenewHash [32]byte
	End       uint32 // in days since 1970
}

// LeasesOf reads the leases of a store that is closed.
func LeasesOf(t *testing.T, dir string) map[caps.StorageIndex][]StoredLease {
	t.Helper()
	db, err := bolt.Open(filepath.Join(dir, "index.db"), 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	out := map[caps.StorageIndex][]StoredLease{}
	err = db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketLeases).ForEach(func(k, v []byte) error {
			si := caps.StorageIndex(k[:16])
			out[si] = append(out[si], StoredLease{[32]byte(k[16:]), binary.BigEndian.Uint32(v)})
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// HashOf is how a lease secret lies on the disk.
func HashOf(secret []byte) [32]byte { return blake2b.Sum256(secret) }

// TakeOverSteps does the first n steps of TakeOver.
func (s *Store) TakeOverSteps(shares []Takeover, link bool, n int) error {
	disk, err := os.Open(s.cfg.Dir)
	if err != nil {
		return err
	}
	defer disk.Close()
	for _, step := range s.takeOver(context.Background(), shares, link, disk)[:n] {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// Crash ends the store as a kill does: the index is not marked as clean.
func (s *Store) Crash() { s.index.db.Close() }
