package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	bolt "go.etcd.io/bbolt"

	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/immutable"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// eachIndex calls f for every directory of a storage index in dir.
func (c *check) eachIndex(ctx context.Context, dir string, f func(si caps.StorageIndex, path string) error) error {
	prefixes, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, prefix := range prefixes {
		at := filepath.Join(dir, prefix.Name())
		entries, err := os.ReadDir(at)
		if err != nil {
			if err := c.move(at, "it is not a directory of storage indexes"); err != nil {
				return err
			}
			continue
		}
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return err
			}
			path := filepath.Join(at, e.Name())
			si, err := caps.ParseStorageIndex(e.Name())
			if err != nil || e.Name()[:2] != prefix.Name() || !e.IsDir() {
				if err := c.move(path, "its name is not a storage index, or not here"); err != nil {
					return err
				}
				continue
			}
			if err := f(si, path); err != nil {
				return err
			}
		}
	}
	return nil
}

// A content is a share as those read it who check it.
type content struct {
	*ondisk.Share
	length int64
}

func (s content) ReadShare(_ context.Context, offset int64, p []byte) (int, error) {
	if offset < 0 || offset >= s.length {
		return 0, nil
	}
	p = p[:min(int64(len(p)), s.length-offset)]
	n, err := s.ReadAt(p, offset)
	if n == len(p) {
		err = nil
	}
	return n, err
}

// share looks at one share file. ok: it is whole, as far as that was asked.
func (c *check) share(ctx context.Context, path string, kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber) (h *ondisk.Header, ok bool, err error) {
	f, h, err := ondisk.OpenShare(path, kind, si, n)
	switch {
	case errors.Is(err, ondisk.ErrNewer) && c.fill:
		return nil, false, fmt.Errorf("a share file in the storage directory was %w", ondisk.ErrNewer)
	case errors.Is(err, ondisk.ErrNewer):
		c.sum.Newer++
		return nil, false, nil
	case errors.Is(err, ondisk.ErrHeader):
		return nil, false, c.move(path, "it is no whole share")
	case err != nil:
		c.found(path, fmt.Sprintf("it can not be read (%v): look after the disk", reason(err)), false)
		return nil, false, nil
	}
	defer f.Close()
	c.sum.Bytes += h.Length
	if !c.o.Content {
		return h, true, nil
	}
	if kind == storage.Immutable {
		_, err = immutable.CheckAlone(ctx, int(n), content{f, h.Length})
	} else {
		_, _, err = mutable.CheckAlone(ctx, int(n), content{f, h.Length})
	}
	switch {
	case ctx.Err() != nil:
		return nil, false, ctx.Err()
	case errors.Is(err, immutable.ErrCorrupt), errors.Is(err, mutable.ErrCorrupt):
		// Readers use what of it is right, and repair the rest.
		c.found(path, "its content is corrupt: the repair of its owner replaces it", false)
	case err != nil:
		c.found(path, fmt.Sprintf("its content can not be checked: %v", reason(err)), false)
	}
	return h, true, nil
}

// buckets looks at the immutable shares.
func (c *check) buckets(ctx context.Context) error {
	if err := c.eachBucket(ctx); err != nil || !c.fill {
		return err
	}
	if err := c.s.addMissing(c.x, c.page); err != nil {
		return err
	}
	c.page = nil
	// An earlier try may have noted what is gone since.
	if !c.fresh {
		if err := c.s.forgetLost(c.x); err != nil {
			return err
		}
	}
	return c.s.reconcileSlots(c.x)
}

func (c *check) eachBucket(ctx context.Context) error {
	return c.eachIndex(ctx, c.s.sharesDir(), func(si caps.StorageIndex, dir string) error {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			n, ok := parseNumber(e.Name())
			if ok && c.lodged(si, n) {
				continue
			}
			if !ok || !e.Type().IsRegular() {
				if err := c.move(path, "it is no share"); err != nil {
					return err
				}
				continue
			}
			h, ok, err := c.share(ctx, path, storage.Immutable, si, n)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			c.sum.Shares++
			if err := c.indexed(path, h); err != nil {
				return err
			}
		}
		return nil
	})
}

// lodged says whether the next start writes the file of a share, so that what
// stands there now does not matter.
func (c *check) lodged(si caps.StorageIndex, n storage.ShareNumber) bool {
	if c.x == nil || c.o.Repair || c.o.Rebuild {
		return false
	}
	b, err := c.x.lodging(string(shareKey(si, n)))
	return err == nil && len(b) > 0
}

// indexed compares the index with a share.
func (c *check) indexed(path string, h *ondisk.Header) error {
	if c.x == nil {
		return nil
	}
	if c.fill {
		if c.page = append(c.page, h); len(c.page) < rebuildPage {
			return nil
		}
		err := c.s.addMissing(c.x, c.page)
		c.page = c.page[:0]
		return err
	}
	key, value, what := shareKey(h.Index, h.Number), shareValue(h), ""
	err := c.x.db.View(func(tx *bolt.Tx) error {
		switch old := tx.Bucket(bucketShares).Get(key); {
		case old == nil:
			what = "the index did not have it"
		case !bytes.Equal(old, value) && !(len(old) == 9 && bytes.Equal(old, value[:9])):
			what = "the index had something else of it"
		}
		return nil
	})
	if err != nil || what == "" {
		return err
	}
	return c.mend(path, what, func(tx *bolt.Tx) error { return tx.Bucket(bucketShares).Put(key, value) })
}

// slots looks at the slots.
func (c *check) slots(ctx context.Context) error {
	return c.eachIndex(ctx, c.s.slotsDir(), func(si caps.StorageIndex, dir string) error {
		path := c.s.recordPath(si)
		b, err := readFile(path, ondisk.MaxRecord)
		if errors.Is(err, fs.ErrNotExist) {
			return c.noRecord(si, dir)
		}
		if err != nil {
			return err
		}
		r, err := ondisk.ParseRecord(b)
		switch {
		case errors.Is(err, ondisk.ErrNewer):
			c.sum.Newer++
			return nil
		case err != nil || r.Index != si:
			c.found(path, "the record is broken: the shares can be read, but the slot takes no part in updates. Keep it; its clients go on with other servers", false)
			return nil
		}
		c.sum.Slots++
		return c.slot(ctx, r, dir)
	})
}

// noRecord looks at the directory of a slot without a record.
func (c *check) noRecord(si caps.StorageIndex, dir string) error {
	had, err := c.s.hadRecord(si)
	if err != nil {
		return err
	}
	if c.x != nil && !had {
		if had, err = c.x.knowsSlot(si); err != nil {
			return err
		}
	}
	if had {
		c.found(dir, "the record is gone: the shares can be read, but the slot takes no part in updates. Keep it; its clients go on with other servers", false)
		return nil
	}
	return c.move(dir, "it is left from a first write that was cut off")
}

func (c *check) slot(ctx context.Context, r *ondisk.Record, dir string) error {
	named := map[string]bool{"record": true}
	for _, set := range []ondisk.Shares{r.Current, r.Base, r.Foreign} {
		for n, ref := range set {
			path := c.s.slotShare(r.Index, n, ref.Step)
			if named[filepath.Base(path)] {
				continue
			}
			named[filepath.Base(path)] = true
			if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
				c.found(path, "the record names it, and it is gone: the repair of its owner replaces it", false)
				continue
			}
			h, ok, err := c.share(ctx, path, storage.Mutable, r.Index, n)
			if err != nil {
				return err
			}
			if ok && h.Length != ref.Length {
				c.found(path, "it has another length than its record says: the repair of its owner replaces it", false)
			} else if ok {
				c.sum.SlotShares++
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch _, _, share := parseSlotShare(e.Name()); {
		case named[e.Name()]:
		case share || !strings.HasPrefix(e.Name(), ".record."):
			if err := c.move(path, "no record names it"); err != nil {
				return err
			}
		case c.o.Repair:
			// A record that did not get its name.
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	if c.x == nil {
		return nil
	}
	was, known, err := c.x.slot(r.Index)
	if err != nil {
		return err
	}
	what := ""
	if now := totalsOf(r); !known {
		what = "the index did not have it"
	} else if was != now {
		what = "the index counted something else"
	}
	if what == "" {
		return nil
	}
	return c.mend(dir, what, func(tx *bolt.Tx) error { return tx.Bucket(bucketSlots).Put(r.Index[:], totalsOf(r).value()) })
}

// rest counts what no share hangs on.
func (c *check) rest(context.Context) error {
	entries, err := os.ReadDir(c.s.incomingDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if _, isNote, ok := parseIncoming(e.Name()); ok && isNote {
			c.sum.Uploads++
		}
	}
	all, err := Advisories(c.s.cfg.Dir)
	c.sum.Advisories = int64(len(all))
	return err
}
