package store

import (
	"context"
	"encoding/binary"
	"time"

	bolt "go.etcd.io/bbolt"

	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// Leased tells until when the lease of these secrets on si lasts; the zero
// time: there is none.
func (s *Store) Leased(ctx context.Context, si caps.StorageIndex, ls *storage.LeaseSecrets) (until time.Time, err error) {
	if err := ctx.Err(); err != nil {
		return until, err
	}
	l := ondisk.HashLease(ls)
	err = s.index.db.View(func(tx *bolt.Tx) error {
		if v := tx.Bucket(bucketLeases).Get(append(si[:], l.Renew[:]...)); len(v) == 36 {
			until = time.Unix(int64(binary.BigEndian.Uint32(v))*86400, 0).UTC()
		}
		return nil
	})
	return until, err
}
