package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// rebuildPage is how many shares one transaction of reconcile takes.
const rebuildPage = 4096

// reconcile makes the index agree with the files: shares that it does not
// know get a lease of 31 days that nobody can cancel, those without a file
// are forgotten.
func (s *Store) reconcile(x *index) error {
	// What can be read now must be on the disk before anybody is told.
	if err := syncAll(s.cfg.Dir); err != nil {
		return fmt.Errorf("sync the storage directory: %w", reason(err))
	}
	var page []*ondisk.Header
	err := s.walk(func(h *ondisk.Header) error {
		page = append(page, h)
		if len(page) < rebuildPage {
			return nil
		}
		err := s.addMissing(x, page)
		page = page[:0]
		return err
	})
	if err == nil {
		err = s.addMissing(x, page)
	}
	if err == nil {
		err = s.forgetLost(x)
	}
	if err == nil {
		err = s.reconcileSlots(x)
	}
	if err != nil && !errors.Is(err, ondisk.ErrNewer) {
		return fmt.Errorf("bring the storage index in line with the files: %w", reason(err))
	}
	return err
}

// walk calls f for every whole share file.
func (s *Store) walk(f func(*ondisk.Header) error) error {
	prefixes, err := os.ReadDir(s.sharesDir())
	if err != nil {
		return err
	}
	for _, prefix := range prefixes {
		buckets, err := os.ReadDir(filepath.Join(s.sharesDir(), prefix.Name()))
		if err != nil {
			s.cfg.Log.Warn("something strange is in the directory of shares", "error", reason(err))
			continue
		}
		for _, b := range buckets {
			si, err := caps.ParseStorageIndex(b.Name())
			if err != nil || b.Name()[:2] != prefix.Name() {
				continue
			}
			if err := s.walkBucket(si, f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) walkBucket(si caps.StorageIndex, f func(*ondisk.Header) error) error {
	held, newer, err := s.headers(si)
	if err != nil {
		return err
	}
	if len(newer) > 0 {
		return fmt.Errorf("a share file in the storage directory was %w", ondisk.ErrNewer)
	}
	for _, h := range held {
		if err := f(h); err != nil {
			return err
		}
	}
	return nil
}

// addMissing notes the shares of page that the index does not know.
func (s *Store) addMissing(x *index, page []*ondisk.Header) error {
	return x.db.Update(func(tx *bolt.Tx) error {
		shares := tx.Bucket(bucketShares)
		for _, h := range page {
			key, value := shareKey(h.Index, h.Number), shareValue(h)
			if bytes.Equal(shares.Get(key), value) {
				continue
			}
			if err := shares.Put(key, value); err != nil {
				return err
			}
			if hasLease(tx, h.Index) {
				continue
			}
			if err := putLease(tx, h.Index, nobodysLease(), s.cfg.Now()); err != nil {
				return err
			}
		}
		return nil
	})
}

// forgetLost drops from the index the shares that have no file. It reads in
// pages: a long read beside writes makes bbolt's file grow.
func (s *Store) forgetLost(x *index) error {
	from := []byte{}
	for from != nil {
		err := x.db.Update(func(tx *bolt.Tx) error {
			var lost [][]byte
			c := tx.Bucket(bucketShares).Cursor()
			k, _ := c.Seek(from)
			for range rebuildPage {
				if k == nil {
					break
				}
				if len(k) != 17 || !s.exists(caps.StorageIndex(k[:16]), storage.ShareNumber(k[16])) {
					lost = append(lost, bytes.Clone(k))
				}
				k, _ = c.Next()
			}
			from = bytes.Clone(k)
			for _, k := range lost {
				if err := tx.Bucket(bucketShares).Delete(k); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) exists(si caps.StorageIndex, n storage.ShareNumber) bool {
	_, err := os.Lstat(s.sharePath(si, n))
	return !errors.Is(err, os.ErrNotExist)
}
