package store

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"

	bolt "go.etcd.io/bbolt"
)

// A tally is what an index has in all.
type tally struct {
	shares, bytes int64
	by            used // by authority
}

// count takes an entry of the index in; sign is -1 to take it out.
func (t *tally) count(bucket, v []byte, sign int64) {
	if t.by == nil {
		t.by = used{}
	}
	switch string(bucket) {
	case string(bucketShares):
		if length, who, ok := parseShareValue(v); ok {
			t.shares += sign
			t.bytes += sign * length
			t.by.add(who, sign, sign*cost(length))
		}
	case string(bucketSlots):
		if e, ok := parseSlotValue(v); ok {
			t.shares += sign * e.shares
			t.bytes += sign * e.bytes
			t.by.add(e.who, sign*e.shares, sign*e.disk)
		}
	}
}

// countKey is count for what the index now has of the key of an intent.
func (t *tally) countKey(tx *bolt.Tx, key []byte, sign int64) {
	bucket := bucketShares
	if len(key) == 16 {
		bucket = bucketSlots
	}
	if v := tx.Bucket(bucket).Get(key); v != nil {
		t.count(bucket, v, sign)
	}
}

// countAll counts an index that was made anew.
func (x *index) countAll() error {
	x.sum = tally{}
	return x.db.View(func(tx *bolt.Tx) error {
		for _, bucket := range [][]byte{bucketShares, bucketSlots} {
			err := tx.Bucket(bucket).ForEach(func(_, v []byte) error {
				x.sum.count(bucket, v, 1)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// checkPage is how many entries are read before the index is opened again:
// what was read of a file that is mapped counts as memory of the process
// until then. It is about 30 MiB.
const checkPage = 200_000

// checkIndex reads all of the index before it is opened for writing, and
// counts: what bbolt answers a broken page with later would end the process.
// then is called at the end, if it is not nil.
func checkIndex(path string, then func(tx *bolt.Tx, path string) error) (tally, error) {
	var sum tally
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return sum, nil
	}
	if err != nil {
		return sum, openError(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return sum, openError(err)
	}
	if info.Size() == 0 {
		return sum, nil
	}
	// In the order of keys the disk would be read page by page, at random.
	if _, err := io.Copy(io.Discard, f); err != nil {
		return sum, openError(err)
	}
	at := place{}
	for more := true; more; {
		db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTimeout, ReadOnly: true})
		if err != nil {
			return sum, openError(err)
		}
		err = guarded(func() error {
			return db.View(func(tx *bolt.Tx) error {
				// Of a file that was cut, reading the end is a fault.
				if tx.Size() > info.Size() {
					return errBrokenIndex
				}
				if more, err = at.read(tx, &sum); err != nil || more || then == nil {
					return err
				}
				return then(tx, path)
			})
		})
		if err := errors.Join(err, db.Close()); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// A place is where reading an index goes on.
type place struct{ bucket, key []byte }

// read reads checkPage entries. It reports false at the end.
func (p *place) read(tx *bolt.Tx, sum *tally) (more bool, err error) {
	var buckets [][]byte
	err = tx.ForEach(func(name []byte, _ *bolt.Bucket) error {
		if bytes.Compare(name, p.bucket) >= 0 {
			buckets = append(buckets, bytes.Clone(name))
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	left := checkPage
	for _, name := range buckets {
		if !bytes.Equal(name, p.bucket) {
			p.bucket, p.key = name, []byte{}
		}
		c := tx.Bucket(name).Cursor()
		for k, v := c.Seek(p.key); k != nil; k, v = c.Next() {
			if left--; left < 0 {
				p.key = bytes.Clone(k)
				return true, nil
			}
			sum.count(name, v, 1)
		}
	}
	return false, nil
}
