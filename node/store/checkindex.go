package store

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"

	bolt "go.etcd.io/bbolt"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// pages calls f for all entries of a bucket, in transactions of their own.
func (c *check) pages(ctx context.Context, bucket []byte, f func(tx *bolt.Tx, k, v []byte) error) error {
	if c.x == nil {
		return nil
	}
	for from := []byte{}; from != nil; {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := c.x.db.View(func(tx *bolt.Tx) error {
			b := tx.Bucket(bucket)
			if b == nil {
				from = nil
				return nil
			}
			cur := b.Cursor()
			k, v := cur.Seek(from)
			for range rebuildPage {
				if k == nil {
					break
				}
				if err := f(tx, k, v); err != nil {
					return err
				}
				k, v = cur.Next()
			}
			from = bytes.Clone(k)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// A wrong is an entry of the index that is to go.
type wrong struct {
	key        []byte
	path, what string
}

// drop removes entries.
func (c *check) drop(bucket []byte, all []wrong) error {
	for _, w := range all {
		if err := c.mend(w.path, w.what, func(tx *bolt.Tx) error { return tx.Bucket(bucket).Delete(w.key) }); err != nil {
			return err
		}
	}
	return nil
}

// lostShares looks for shares of the index that have no file.
func (c *check) lostShares(ctx context.Context) error {
	if c.fill {
		return nil // It has what buckets told it.
	}
	var all []wrong
	err := c.pages(ctx, bucketShares, func(_ *bolt.Tx, k, v []byte) error {
		_, _, ok := parseShareValue(v)
		if len(k) != 17 || !ok {
			all = append(all, wrong{bytes.Clone(k), "index.db", "an entry of a share made no sense"})
			return nil
		}
		si, n := caps.StorageIndex(k[:16]), storage.ShareNumber(k[16])
		_, err := os.Lstat(c.s.sharePath(si, n))
		if errors.Is(err, fs.ErrNotExist) {
			if c.lodged(si, n) {
				return nil
			}
			all = append(all, wrong{bytes.Clone(k), c.s.sharePath(si, n), "the index has it, and it is gone"})
			return nil
		}
		return err
	})
	return errors.Join(err, c.drop(bucketShares, all))
}

// lostSlots looks for slots of the index that have no directory. They stay:
// a server that forgot them would give its vote a second time.
func (c *check) lostSlots(ctx context.Context) error {
	var all []wrong
	err := c.pages(ctx, bucketSlots, func(_ *bolt.Tx, k, v []byte) error {
		if _, ok := parseSlotValue(v); len(k) != 16 || !ok {
			all = append(all, wrong{bytes.Clone(k), "index.db", "an entry of a slot made no sense"})
			return nil
		}
		dir := c.s.slotDir(caps.StorageIndex(k))
		_, err := os.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			c.found(dir, "the slot is gone, and takes no part in updates: its clients go on with other servers", false)
			return nil
		}
		return err
	})
	return errors.Join(err, c.drop(bucketSlots, all))
}

// leases looks for leases on nothing, and for what is held without a lease.
func (c *check) leases(ctx context.Context) error {
	var all []wrong
	err := c.pages(ctx, bucketLeases, func(tx *bolt.Tx, k, v []byte) error {
		switch {
		case len(k) != 48 || len(v) != 36:
			all = append(all, wrong{bytes.Clone(k), "index.db", "a lease made no sense"})
		case !holds(tx, caps.StorageIndex(k[:16])):
			all = append(all, wrong{bytes.Clone(k), c.s.bucketDir(caps.StorageIndex(k[:16])), "a lease was on nothing"})
		default:
			c.sum.Leases++
		}
		return nil
	})
	if err := errors.Join(err, c.drop(bucketLeases, all)); err != nil {
		return err
	}
	var bare []caps.StorageIndex
	for _, bucket := range [][]byte{bucketShares, bucketSlots} {
		err := c.pages(ctx, bucket, func(tx *bolt.Tx, k, v []byte) error {
			if t, ok := parseSlotValue(v); len(k) == 16 && ok && t.shares == 0 {
				return nil // Only its votes are kept.
			}
			if len(k) < 16 || hasLease(tx, caps.StorageIndex(k[:16])) {
				return nil
			}
			if si := caps.StorageIndex(k[:16]); len(bare) == 0 || bare[len(bare)-1] != si {
				bare = append(bare, si)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, si := range bare {
		err := c.mend(c.s.bucketDir(si), "it had no lease: it has one for 31 days", func(tx *bolt.Tx) error {
			return putLease(tx, si, nobodysLease(), c.s.cfg.Now())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// holds says whether the index has something under si.
func holds(tx *bolt.Tx, si caps.StorageIndex) bool {
	k, _ := tx.Bucket(bucketShares).Cursor().Seek(si[:])
	return len(k) >= 16 && caps.StorageIndex(k[:16]) == si || tx.Bucket(bucketSlots).Get(si[:]) != nil
}
