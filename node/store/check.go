package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	bolt "go.etcd.io/bbolt"

	"lafs/node/durable"
	"lafs/node/store/ondisk"
)

// A Fault is what Check found to be wrong with one thing.
type Fault struct {
	// Path is a file or directory in the storage directory; an entry of the
	// index is called by the file that it is about.
	Path string `json:"path"`
	// What is wrong, and what was done about it or has to be.
	What string `json:"what"`
	// Mended: it is right now.
	Mended bool `json:"mended"`
}

// CheckOptions say what Check does beside looking.
type CheckOptions struct {
	// Repair mends what can be mended. Whatever could be a share is moved to
	// aside/ in the storage directory, and never removed.
	Repair bool
	// Rebuild makes the index anew from the files alone, and keeps the old
	// one beside it. All leases start anew, for 31 days.
	Rebuild bool
	// Content reads all shares, and checks every hash in them.
	Content bool
	// Found is called for each fault.
	Found func(Fault)
}

// A CheckSum is what Check found. Sizes are in bytes.
type CheckSum struct {
	Shares     int64 `json:"immutable_shares"`
	Slots      int64 `json:"slots"`
	SlotShares int64 `json:"mutable_shares"`
	Bytes      int64 `json:"bytes"`
	Leases     int64 `json:"leases"`
	Uploads    int64 `json:"uploads"`
	Advisories int64 `json:"advisories"`
	// Mended and Left count the faults.
	Mended int64 `json:"mended"`
	Left   int64 `json:"left"`
	// StateLost: the directory is not the one that the server last used, or
	// an older copy of it.
	StateLost bool `json:"state_lost"`
	// Newer counts what only a later version can read. It was left alone.
	Newer int64 `json:"newer"`
}

// Check compares the files of a storage directory with its index, in both
// directions. Nobody else may use the directory meanwhile, which it locks;
// without Repair and Rebuild nothing in it is changed. It is for the
// operator: the paths that it tells hold storage indexes.
func Check(ctx context.Context, cfg Config, o CheckOptions) (CheckSum, error) {
	c := &check{s: newStore(cfg), o: o}
	if _, err := os.Stat(filepath.Join(cfg.Dir, "shares")); err != nil {
		return c.sum, fmt.Errorf("find the shares in the storage directory: %w", reason(err))
	}
	if err := c.open(); err != nil {
		return c.sum, err
	}
	if c.x != nil {
		defer func() { c.x.db.Close() }()
	}
	for _, part := range []func(context.Context) error{c.mark, c.buckets, c.lostShares, c.slots, c.lostSlots, c.leases, c.rest} {
		if err := part(ctx); err != nil {
			return c.sum, checkError(err)
		}
	}
	if !o.Repair && !o.Rebuild {
		return c.sum, nil
	}
	if err := c.end(); err != nil {
		return c.sum, checkError(err)
	}
	return c.sum, nil
}

func checkError(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, ondisk.ErrNewer) {
		return err
	}
	return fmt.Errorf("check the storage directory: %w", reason(err))
}

// A check is one call of Check.
type check struct {
	s *Store
	o CheckOptions
	// x is nil when there is no index that could be read, and none was made.
	x   *index
	sum CheckSum
	// fill: the index is not whole, fresh: it had nothing. page are shares
	// that it is to be told.
	fill, fresh bool
	page        []*ondisk.Header
}

// found tells of a fault.
func (c *check) found(path, what string, mended bool) {
	if mended {
		c.sum.Mended++
	} else {
		c.sum.Left++
	}
	if rel, err := filepath.Rel(c.s.cfg.Dir, path); err == nil {
		path = rel
	}
	if c.o.Found != nil {
		c.o.Found(Fault{path, what, mended})
	}
}

// open locks the directory and opens its index.
func (c *check) open() error {
	path := filepath.Join(c.s.cfg.Dir, "index.db")
	_, err := os.Stat(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if !c.o.Repair && !c.o.Rebuild {
		if missing {
			c.found(path, "the index is missing: --repair makes it again from the files", false)
			return nil
		}
		_, err := checkIndex(path, nil)
		if err == nil {
			var db *bolt.DB
			if db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTimeout, ReadOnly: true}); err == nil {
				c.x = &index{db: db, settled: map[string]bool{}}
				return c.newer()
			}
			err = openError(err)
		}
		if errors.Is(err, errBrokenIndex) {
			c.found(path, "the index is broken: --repair makes it again from the files", false)
			return nil
		}
		return err
	}
	for {
		x, err := openIndex(path)
		switch {
		case err == nil && c.o.Rebuild && !missing:
			// What it lodges may be in no file yet.
			err = c.s.recover(x)
			if err = errors.Join(err, x.db.Close()); err != nil && !errors.Is(err, errBrokenIndex) {
				return err
			}
			err = c.replace(path, "the index is made anew")
		case err == nil:
			c.x = x
			return c.bring(path, missing)
		case errors.Is(err, errBrokenIndex):
			err = c.replace(path, "the index is broken, and was made again from the files")
		}
		if err != nil {
			return err
		}
		missing = true
	}
}

// bring makes an index that is new agree with the files: what it has to know
// of them it is told by buckets, which looks at each share anyway.
func (c *check) bring(path string, missing bool) error {
	if !c.x.whole {
		c.fill, c.fresh = true, missing
		// What can be read now must be on the disk before anybody is told.
		if err := syncAll(c.s.cfg.Dir); err != nil {
			return fmt.Errorf("sync the storage directory: %w", reason(err))
		}
		if missing {
			c.found(path, "the index is missing, or set aside: it was made from the files, and leases last 31 days from today", true)
		}
		return nil
	}
	if !c.x.clean {
		return c.s.recover(c.x)
	}
	return nil
}

// newer refuses an index of a later format, which was opened for reading.
func (c *check) newer() error {
	return c.x.db.View(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			return errBrokenIndex
		}
		if f := meta.Get(keyFormat); len(f) == 4 && f[0]|f[1]|f[2] == 0 && f[3] <= indexFormat {
			return nil
		}
		return fmt.Errorf("the storage directory was %w", ondisk.ErrNewer)
	})
}

// replace moves an index aside, so that another is made.
func (c *check) replace(path, why string) error {
	to, err := c.aside(path)
	if err == nil {
		c.found(path, why+"; the old one is "+to, true)
	}
	return err
}

// aside moves a file or directory out of the way, durably, and returns its
// new place in the storage directory.
func (c *check) aside(path string) (string, error) {
	rel, err := filepath.Rel(c.s.cfg.Dir, path)
	if err != nil {
		return "", err
	}
	to := filepath.Join(c.s.cfg.Dir, "aside", rel)
	if err := durable.Mkdir(filepath.Dir(to), 0o700); err != nil {
		return "", err
	}
	free := to
	for i := 2; ; i++ {
		if _, err := os.Lstat(free); errors.Is(err, fs.ErrNotExist) {
			break
		}
		free = to + "." + strconv.Itoa(i)
	}
	if err := durable.Rename(path, free); err != nil {
		return "", err
	}
	rel, err = filepath.Rel(c.s.cfg.Dir, free)
	return rel, errors.Join(err, durable.SyncDir(filepath.Dir(path)))
}

// move moves what is at path aside, if that is wanted, and tells of it.
func (c *check) move(path, what string) error {
	if !c.o.Repair {
		c.found(path, what, false)
		return nil
	}
	to, err := c.aside(path)
	if err != nil {
		return err
	}
	c.found(path, what+": moved to "+to, true)
	return nil
}

// mend changes the index, if that is wanted, and tells of it.
func (c *check) mend(path, what string, f func(tx *bolt.Tx) error) error {
	if c.o.Repair {
		if err := c.x.db.Update(f); err != nil {
			return err
		}
	}
	c.found(path, what, c.o.Repair)
	return nil
}

// mark says whether the directory is the one that the server last used.
func (c *check) mark(context.Context) error {
	_, lost, err := c.s.judge()
	if errors.Is(err, ondisk.ErrNewer) {
		c.sum.Newer++
		return nil
	}
	if err != nil || !lost {
		return err
	}
	c.sum.StateLost = true
	c.found(c.s.markPath(), "this is not the directory that the server last used, or an older copy of it: "+
		"bring the right one back, or make the server a new one with lafs storage new-identity", false)
	return nil
}

// end closes the index in order: the next start has nothing to decide.
func (c *check) end() error {
	x := c.x
	if c.fill {
		if err := x.setWhole(); err != nil {
			return err
		}
	}
	if err := x.clearAll(); err != nil {
		return err
	}
	return x.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyClean, []byte{1}) })
}
