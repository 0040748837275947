package store

import (
	"errors"
	"slices"
	"sync"

	bolt "go.etcd.io/bbolt"
)

// perCommit is the most that is committed as one: what a crash before it
// costs, and what one transaction holds in memory, stay small.
const perCommit = 256

// A commits gathers the changes that wait while another transaction syncs
// into the next one. Unlike [bolt.DB.Batch] it never waits for company: a
// change by itself costs its own syncs and no more, and no clock holds up
// whoever keeps a lock meanwhile.
type commits struct {
	db *bolt.DB
	// each runs first in every transaction.
	each func(*bolt.Tx) error

	mu      sync.Mutex
	waiting []*commit
	leading bool // somebody carries out what waits
}

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
	c.mu.Lock()
	n := min(len(c.waiting), perCommit)
	group := c.waiting[:n:n]
	c.waiting = c.waiting[n:]
	c.mu.Unlock()
	for _, each := range group {
		each.err = errCommitDied // unless it is carried out
	}
	defer func() {
		c.mu.Lock()
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
