package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"

	bolt "go.etcd.io/bbolt"

	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// bucketIntents: the key of bucketShares or bucketSlots of each entry that
// was made before its file had its name, or whose file is about to lose it.
// Only these may differ from the files after a crash, so that a start looks
// at them and not at all shares. The value is empty, or the bytes of a file
// that may not be on the disk (see lodge). Keys of what went well are taken away with
// the next commit, which costs nothing of its own.
var bucketIntents = []byte("intents")

// settledPerCommit bounds what one commit does for others.
const settledPerCommit = 1024

// batch carries out f in a transaction that it may share, which also takes
// away the intents that were carried out (see [commits]).
func (x *index) batch(f func(tx *bolt.Tx) error) error { return x.commits.do(f) }

func (x *index) clearIntents(tx *bolt.Tx) error {
	x.mu.Lock()
	var keys []string
	for k := range x.settled {
		if keys = append(keys, k); len(keys) == settledPerCommit {
			break
		}
	}
	x.mu.Unlock()
	// Sorted, neighbours are on one page.
	slices.Sort(keys)
	for _, k := range keys {
		if err := tx.Bucket(bucketIntents).Delete([]byte(k)); err != nil {
			return err
		}
	}
	tx.OnCommit(func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		for _, k := range keys {
			delete(x.settled, k)
		}
	})
	return nil
}

// intend notes that the file of key is about to get or lose its name. whole
// are its bytes, if it is to be lodged.
func (x *index) intend(tx *bolt.Tx, key, whole []byte) error {
	x.mu.Lock()
	delete(x.settled, string(key))
	x.mu.Unlock()
	return tx.Bucket(bucketIntents).Put(key, whole)
}

// carriedOut says that the index agrees with the files about key, durably.
func (x *index) carriedOut(key []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.settled[string(key)] = true
}

// clearAll takes away the intents that were carried out and that no commit
// took with it.
func (x *index) clearAll() error {
	for {
		x.mu.Lock()
		n := len(x.settled)
		x.mu.Unlock()
		if n == 0 {
			return nil
		}
		if err := x.db.Update(x.clearIntents); err != nil {
			return err
		}
	}
}

// recover brings the index in line with the files after a crash: only what
// was under way then can differ.
func (s *Store) recover(x *index) error {
	// An earlier process may have been killed between the two last system
	// calls of a rename: what can be read now must be on the disk before
	// anybody is told.
	if err := syncAll(s.cfg.Dir); err != nil {
		return fmt.Errorf("sync the storage directory: %w", reason(err))
	}
	var keys [][]byte
	err := x.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketIntents).ForEach(func(k, _ []byte) error {
			keys = append(keys, bytes.Clone(k))
			return nil
		})
	})
	for page := range slices.Chunk(keys, rebuildPage) {
		if err == nil {
			err = x.db.Update(func(tx *bolt.Tx) error { return s.settle(x, tx, page) })
		}
	}
	if err != nil && !errors.Is(err, ondisk.ErrNewer) {
		return fmt.Errorf("bring the storage index in line with the files: %w", reason(err))
	}
	return err
}

// settle decides about intents by the files.
func (s *Store) settle(x *index, tx *bolt.Tx, keys [][]byte) error {
	lodged := false
	for _, k := range keys {
		x.sum.countKey(tx, k, -1)
		var err error
		if b := tx.Bucket(bucketIntents).Get(k); len(b) > 0 {
			lodged, err = true, s.settleLodged(k, b)
		}
		switch {
		case err != nil:
		case len(k) == 17:
			err = s.settleShare(tx, k, caps.StorageIndex(k[:16]), storage.ShareNumber(k[16]))
		case len(k) == 16:
			err = s.settleSlot(tx, caps.StorageIndex(k))
		}
		if err != nil {
			return err
		}
		x.sum.countKey(tx, k, 1)
		if err := tx.Bucket(bucketIntents).Delete(k); err != nil {
			return err
		}
	}
	if lodged {
		// Before the index forgets what it lodged.
		return syncAll(s.cfg.Dir)
	}
	return nil
}

func (s *Store) settleShare(tx *bolt.Tx, key []byte, si caps.StorageIndex, n storage.ShareNumber) error {
	h, err := s.readHeader(storage.Immutable, si, n)
	switch {
	case err == nil:
		return tx.Bucket(bucketShares).Put(key, shareValue(h))
	case errors.Is(err, ondisk.ErrNewer):
		return fmt.Errorf("a share file in the storage directory was %w", ondisk.ErrNewer)
	case !errors.Is(err, os.ErrNotExist) && !errors.Is(err, ondisk.ErrHeader):
		return err
	}
	return forgetShare(tx, si, n)
}

// forgetShare drops a share, and, with the last one, the leases.
func forgetShare(tx *bolt.Tx, si caps.StorageIndex, n storage.ShareNumber) error {
	if err := tx.Bucket(bucketShares).Delete(shareKey(si, n)); err != nil {
		return err
	}
	return dropIdleLeases(tx, si)
}

// dropIdleLeases forgets the leases on si if nothing is held there.
func dropIdleLeases(tx *bolt.Tx, si caps.StorageIndex) error {
	if k, _ := tx.Bucket(bucketShares).Cursor().Seek(si[:]); len(k) >= 16 && caps.StorageIndex(k[:16]) == si {
		return nil
	}
	if tx.Bucket(bucketSlots).Get(si[:]) != nil {
		return nil
	}
	return dropLeases(tx, si)
}

func (s *Store) settleSlot(tx *bolt.Tx, si caps.StorageIndex) error {
	b, err := readFile(s.recordPath(si), ondisk.MaxRecord)
	if errors.Is(err, os.ErrNotExist) {
		if lost, err := s.hadRecord(si); err != nil || lost {
			return err
		}
		if err := tx.Bucket(bucketSlots).Delete(si[:]); err != nil {
			return err
		}
		if err := dropIdleLeases(tx, si); err != nil {
			return err
		}
		return os.RemoveAll(s.slotDir(si))
	}
	if err != nil {
		return err
	}
	r, err := ondisk.ParseRecord(b)
	if errors.Is(err, ondisk.ErrNewer) {
		return fmt.Errorf("a slot in the storage directory was %w", ondisk.ErrNewer)
	}
	if err != nil || r.Index != si {
		// It answers ErrStateLost, and fsck tells of it.
		return nil
	}
	s.tidy(r)
	return tx.Bucket(bucketSlots).Put(si[:], totalsOf(r).value())
}

// syncAll waits until all that was written to the disk of dir is on it.
func syncAll(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return syncDisk(d)
}
