package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"lafs/node/store/ondisk"
	"lafs/shares/caps"
)

// reconcileSlots makes the index agree with the slots' records, and removes
// what steps that were cut off have left.
func (s *Store) reconcileSlots(x *index) error {
	prefixes, err := os.ReadDir(s.slotsDir())
	if err != nil {
		return err
	}
	for _, prefix := range prefixes {
		slots, err := os.ReadDir(filepath.Join(s.slotsDir(), prefix.Name()))
		if err != nil {
			s.cfg.Log.Warn("something strange is in the directory of slots", "error", reason(err))
			continue
		}
		var page []slotTotals
		for _, e := range slots {
			si, err := caps.ParseStorageIndex(e.Name())
			if err != nil || e.Name()[:2] != prefix.Name() {
				continue
			}
			t, err := s.reconcileSlot(x, si)
			if err != nil {
				return err
			}
			if t != nil {
				page = append(page, *t)
			}
		}
		if err := x.addSlots(page, s.cfg.Now); err != nil {
			return err
		}
	}
	return nil
}

// reconcileSlot returns what a slot holds; nil if it is none, or lost.
func (s *Store) reconcileSlot(x *index, si caps.StorageIndex) (*slotTotals, error) {
	b, err := readFile(s.recordPath(si), ondisk.MaxRecord)
	if errors.Is(err, os.ErrNotExist) {
		return nil, s.cutOff(x, si)
	}
	if err != nil {
		return nil, err
	}
	r, err := ondisk.ParseRecord(b)
	if errors.Is(err, ondisk.ErrNewer) {
		return nil, fmt.Errorf("a slot in the storage directory was %w", ondisk.ErrNewer)
	}
	if err != nil || r.Index != si {
		s.cfg.Log.Error("a slot's record is broken: its shares can be read, but the slot takes no part in updates", "index", si)
		return nil, nil
	}
	s.tidy(r)
	t := totalsOf(r)
	return &t, nil
}

// cutOff removes what a slot's first step left when it was cut off. A slot
// that had a record keeps its files.
func (s *Store) cutOff(x *index, si caps.StorageIndex) error {
	known, err := x.knowsSlot(si)
	if err != nil || known {
		return err
	}
	if had, err := s.hadRecord(si); err != nil || had {
		return err
	}
	return os.RemoveAll(s.slotDir(si))
}

// hadRecord says whether the files of a slot show that its first step ended.
func (s *Store) hadRecord(si caps.StorageIndex) (bool, error) {
	files, err := s.slotFiles(si)
	for _, f := range files {
		if f.step > firstStep {
			return true, nil
		}
	}
	return false, err
}

// slotTotals are the shares of a slot that readers see, the bytes of all of
// its shares, what it takes of the disk, and who pays for that.
type slotTotals struct {
	si                  caps.StorageIndex
	shares, bytes, disk int64
	who                 Authority
}

// addSlots notes slots. Those that are new to the index, which is only so
// when it was lost, get a lease that nobody can cancel.
func (x *index) addSlots(page []slotTotals, now func() time.Time) error {
	return x.db.Update(func(tx *bolt.Tx) error {
		for _, t := range page {
			fresh := tx.Bucket(bucketSlots).Get(t.si[:]) == nil
			if err := tx.Bucket(bucketSlots).Put(t.si[:], t.value()); err != nil {
				return err
			}
			if !fresh || t.shares == 0 || hasLease(tx, t.si) {
				continue
			}
			if err := putLease(tx, t.si, nobodysLease(), now()); err != nil {
				return err
			}
		}
		return nil
	})
}

// updateSlots notes what slots hold now, but for those that are gone.
func (x *index) updateSlots(page []slotTotals) error {
	return x.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketSlots)
		for _, t := range page {
			if b.Get(t.si[:]) == nil {
				continue
			}
			if err := b.Put(t.si[:], t.value()); err != nil {
				return err
			}
		}
		return nil
	})
}

// nobodysLease is one that nobody can renew or cancel.
func nobodysLease() (l ondisk.Lease) {
	// crypto/rand.Read never fails: it ends the program first.
	rand.Read(l.Renew[:])
	rand.Read(l.Cancel[:])
	return l
}

// flush notes in the index what slots hold that changed.
func (s *Store) flush() error {
	s.mu.Lock()
	page := slices.Collect(maps.Values(s.touched))
	s.mu.Unlock()
	if len(page) == 0 {
		return nil
	}
	if err := s.index.updateSlots(page); err != nil {
		return s.fault("write the index of slots", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range page {
		// What changed meanwhile is for the next time.
		if s.touched[t.si] == t {
			delete(s.touched, t.si)
		}
	}
	return nil
}
