package store

import (
	"encoding/binary"
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// An Expiry says when a lease has ended, and what is collected of which all
// leases have. Its zero value collects nothing. The words are those of
// Tahoe-LAFS (TAHOE.md, "tahoe.cfg").
type Expiry struct {
	// Enabled turns collection on.
	Enabled bool
	// Duration is how long a lease lasts from when it was given or renewed;
	// 0: the 31 days that it was given for.
	Duration time.Duration
	// Cutoff, if it is not zero, ends the leases that were last renewed
	// before it, and no others, whatever Duration says.
	Cutoff time.Time
	// Immutable and Mutable say which kinds of share are collected.
	Immutable, Mutable bool
}

func (e *Expiry) check() error {
	if e.Duration < 0 {
		return errors.New("the duration of leases is negative")
	}
	return nil
}

// collects says whether shares of a kind are.
func (e *Expiry) collects(kind storage.Kind) bool {
	return kind == storage.Immutable && e.Immutable || kind == storage.Mutable && e.Mutable
}

// live says whether a lease that ends on a day, as it was given, counts. A
// day is rounded up and so never too early. A later end never counts less:
// of the leases on one index, only the last matters.
func (e *Expiry) live(end uint32, now time.Time) bool {
	ends := time.Unix(int64(end)*86400, 0)
	renewed := ends.Add(-leaseDuration)
	switch {
	case !e.Cutoff.IsZero():
		return !renewed.Before(e.Cutoff)
	case e.Duration > 0:
		return renewed.Add(e.Duration).After(now)
	}
	return ends.After(now)
}

// lastEnd returns the last day on which a lease on si ends; none: there is no
// lease.
func lastEnd(tx *bolt.Tx, si caps.StorageIndex) (end uint32, none bool) {
	none = true
	c := tx.Bucket(bucketLeases).Cursor()
	for k, v := c.Seek(si[:]); len(k) == 48 && caps.StorageIndex(k[:16]) == si; k, v = c.Next() {
		if len(v) == 36 {
			end, none = max(end, binary.BigEndian.Uint32(v)), false
		}
	}
	return end, none
}

// dropLeases forgets all leases on si.
func dropLeases(tx *bolt.Tx, si caps.StorageIndex) error {
	leases := tx.Bucket(bucketLeases)
	var keys [][]byte
	c := leases.Cursor()
	for k, _ := c.Seek(si[:]); len(k) >= 16 && caps.StorageIndex(k[:16]) == si; k, _ = c.Next() {
		keys = append(keys, append([]byte(nil), k...))
	}
	for _, k := range keys {
		if err := leases.Delete(k); err != nil {
			return err
		}
	}
	return nil
}
