package store

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
)

var bucketTest = []byte("test")

func openCommits(t *testing.T) *commits {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket(bucketTest)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return &commits{db: db, each: func(*bolt.Tx) error { return nil }, nap: time.Sleep}
}

func put(i int) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		return tx.Bucket(bucketTest).Put(binary.BigEndian.AppendUint32(nil, uint32(i)), []byte{1})
	}
}

func (c *commits) has(i int) (found bool) {
	c.db.View(func(tx *bolt.Tx) error {
		found = tx.Bucket(bucketTest).Get(binary.BigEndian.AppendUint32(nil, uint32(i))) != nil
		return nil
	})
	return found
}

// Whoever fails, by an error or a panic, takes no other change along and
// stops nobody.
func TestCommitsShareNoFailure(t *testing.T) {
	c := openCommits(t)
	errOdd := errors.New("odd")
	const n = 200
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() {
			errs[i] = c.do(func(tx *bolt.Tx) error {
				if err := put(i)(tx); err != nil || i%7 != 3 {
					return err
				}
				return errOdd
			})
		})
	}
	wg.Wait()
	for i, err := range errs {
		if want := i%7 == 3; errors.Is(err, errOdd) != want || (err == nil) == want || c.has(i) == want {
			t.Errorf("%d: %v, stored: %v", i, err, c.has(i))
		}
	}

	func() {
		defer func() {
			if recover() == nil {
				t.Error("a panic was swallowed")
			}
		}()
		c.do(func(*bolt.Tx) error { panic("bad") })
	}()
	if err := c.do(put(n)); err != nil || !c.has(n) {
		t.Errorf("after a panic: %v, stored: %v", err, c.has(n))
	}
}

// What waits while a transaction runs is one transaction.
func TestCommitsGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCommits(t)
		transactions := 0
		c.each = func(*bolt.Tx) error { transactions++; return nil }
		hold := make(chan bool)
		var wg sync.WaitGroup
		wg.Go(func() { c.do(func(*bolt.Tx) error { <-hold; return nil }) })
		synctest.Wait()
		for i := range 50 {
			wg.Go(func() {
				if err := c.do(put(i)); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(hold)
		wg.Wait()
		if transactions != 2 {
			t.Errorf("%d transactions", transactions)
		}
	})
}

// A change waits for the disk and for no clock: whoever holds a lock
// meanwhile, as an upload does, keeps no other waiting for a timer. Here a
// timer would never come.
func TestCommitsNeedNoClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCommits(t)
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				mu.Lock()
				defer mu.Unlock()
				if err := c.do(put(i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

// Who was there a moment ago is waited for, a little; a change by itself
// waits for nobody.
func TestCommitsAwaitCompany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openCommits(t)
		transactions, napped := 0, 0
		c.each = func(*bolt.Tx) error { transactions++; return nil }
		var wg sync.WaitGroup
		do := func(i int) {
			wg.Go(func() {
				if err := c.do(put(i)); err != nil {
					t.Error(err)
				}
			})
		}
		c.nap = func(time.Duration) { napped++ }
		for i := range 3 {
			do(i)
			wg.Wait()
			c.took = time.Millisecond // In virtual time it takes none.
		}
		if transactions != 3 || napped != 0 {
			t.Errorf("alone: %d transactions, waited %d times, want 3 and 0", transactions, napped)
		}

		hold := make(chan bool)
		wg.Go(func() { c.do(func(*bolt.Tx) error { <-hold; return nil }) })
		synctest.Wait()
		for i := range 4 {
			do(10 + i)
		}
		synctest.Wait()
		close(hold)
		wg.Wait()

		// One of the four comes, the others stay away.
		transactions, c.took = 0, 16*time.Millisecond
		c.nap = func(d time.Duration) {
			if napped++; napped == 1 {
				do(21)
				synctest.Wait()
			}
			if d != time.Millisecond {
				t.Errorf("waited %v, want a sixteenth of a transaction", d)
			}
		}
		do(20)
		wg.Wait()
		if transactions != 1 || napped != naps || !c.has(20) || !c.has(21) {
			t.Errorf("two of four: %d transactions, waited %d times, want 1 and %d", transactions, napped, naps)
		}

		// They are not waited for again.
		transactions, c.took, napped = 0, 16*time.Millisecond, 1
		c.nap = func(time.Duration) { napped++ }
		do(30)
		wg.Wait()
		if napped != 1+naps {
			t.Errorf("after two: waited %d times, want %d", napped-1, naps)
		}
		c.took = 16 * time.Millisecond
		do(31)
		wg.Wait()
		if transactions != 2 || napped != 1+naps {
			t.Errorf("after one: %d transactions, waited %d times in all, want 2 and %d", transactions, napped-1, naps)
		}
	})
}
