package store

import (
	"errors"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

// perCommit is the most that is committed as one: what a crash before it
// costs, and what one transaction holds in memory, stay small.
const perCommit = 256

// A commits gathers the changes that wait while another transaction syncs
// into the next one. Unlike [bolt.DB.Batch] it does not wait for company that
// may never come: a change by itself costs its own syncs and no more. Where
// others were there a moment ago, it gives them a small part of the time that
// their syncs would cost (see gather).
type commits struct {
	db *bolt.DB
	// each runs first in every transaction.
	each func(*bolt.Tx) error

	mu      sync.Mutex
	waiting []*commit
	leading bool // somebody carries out what waits

	// Only the leader uses these: the changes that were there when the last
	// transaction ended, and how long that took. nap is time.Sleep; a field
	// for the sake of tests.
	company int
	took    time.Duration
	nap     func(time.Duration)
}

const (
	// naps are what is waited at most for company, each a sixteenth of a
	// transaction.
	naps = 4
	// longest bounds what a disk that stalled for once is taken for.
	longest = 100 * time.Millisecond
)

// A commit is one caller's change.
type commit struct {
	f    func(*bolt.Tx) error
	turn chan bool // true: carry out what waits; false: err is the answer
	err  error
}

var errCommitDied = errors.New("a change that shared the transaction failed beyond repair")

// do carries out f in a transaction that it may share with others. f may be
// called more than once, and what it did counts only if do returns nil. It is
// durable then.
func (c *commits) do(f func(*bolt.Tx) error) error {
	own := &commit{f: f, turn: make(chan bool, 1)}
	c.mu.Lock()
	c.waiting = append(c.waiting, own)
	lead := !c.leading
	c.leading = true
	c.mu.Unlock()
	if !lead && !<-own.turn {
		return own.err
	}
	c.lead()
	return own.err
}

// lead carries out what waits, the caller's among it, and passes the lead on.
func (c *commits) lead() {
	c.gather()
	began := time.Now()
	c.mu.Lock()
	n := min(len(c.waiting), perCommit)
	group := c.waiting[:n:n]
	c.waiting = c.waiting[n:]
	c.mu.Unlock()
	for _, each := range group {
		each.err = errCommitDied // unless it is carried out
	}
	defer func() {
		c.took = min(time.Since(began), longest)
		c.mu.Lock()
		c.company = min(n+len(c.waiting), perCommit)
		if len(c.waiting) > 0 {
			c.waiting[0].turn <- true
		} else {
			c.leading, c.waiting = false, nil
		}
		c.mu.Unlock()
		// The first is the caller's.
		for _, each := range group[1:] {
			each.turn <- false
		}
	}()
	c.carryOut(group)
}

// gather waits for those who were there a moment ago, as far as that costs
// little. They come back one by one, and later the less there is of
// processors: without it two halves take turns, each with syncs of its own,
// or the first who comes leads alone and all others wait for that.
func (c *commits) gather() {
	for range naps {
		c.mu.Lock()
		n := len(c.waiting)
		c.mu.Unlock()
		if n >= c.company || c.took == 0 {
			return
		}
		c.nap(c.took / (4 * naps))
	}
}

// carryOut commits all of group that can be; who fails takes nobody along.
func (c *commits) carryOut(group []*commit) {
	for len(group) > 0 {
		failed, err := c.update(group)
		if failed < 0 {
			for _, each := range group {
				each.err = err
			}
			return
		}
		// Alone, it fails by itself or not at all.
		alone := group[failed]
		_, alone.err = c.update([]*commit{alone})
		group = slices.Delete(slices.Clone(group), failed, failed+1)
	}
}

// update carries out a group in one transaction; failed is the change that
// did not go, -1 if that is none of them.
func (c *commits) update(group []*commit) (failed int, err error) {
	failed = -1
	err = c.db.Update(func(tx *bolt.Tx) error {
		if err := c.each(tx); err != nil {
			return err
		}
		for i, each := range group {
			if err := each.f(tx); err != nil {
				failed = i
				return err
			}
		}
		return nil
	})
	return failed, err
}
