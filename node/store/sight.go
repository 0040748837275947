package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// CountLeases counts the leases, ended ones too. It reads the whole of that
// part of the index, page by page: not for every minute.
func (s *Store) CountLeases() (n int64, err error) {
	var from []byte
	for done := false; !done && err == nil; {
		err = s.index.db.View(func(tx *bolt.Tx) error {
			c := tx.Bucket(bucketLeases).Cursor()
			k, _ := c.First()
			if from != nil {
				k, _ = c.Seek(from)
			}
			for range rebuildPage {
				if k == nil {
					done = true
					return nil
				}
				n++
				k, _ = c.Next()
			}
			done = k == nil
			from = append(from[:0], k...)
			return nil
		})
	}
	return n, err
}

// CountAdvisories counts the shares that somebody reported to be corrupt.
func (s *Store) CountAdvisories() (int, error) {
	entries, err := os.ReadDir(filepath.Join(s.cfg.Dir, "corruption-advisories"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return len(entries), err
}
