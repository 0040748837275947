package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sync/errgroup"

	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/tail"
)

// A Takeover is a share of a Tahoe-LAFS server that the store shall have.
type Takeover struct {
	Index  caps.StorageIndex
	Number storage.ShareNumber
	// Path is the file of the container, which nobody changes meanwhile.
	Path string
	*ondisk.Container
	// Votes is, of a slot behind whose shares lafs clients kept their votes,
	// what these say, the same for all its shares; nil if there are none.
	Votes *tail.Held
}

// ErrLink is two directories between which the system makes no hard links.
var ErrLink = errors.New("no hard links can be made from there to here")

// linkedMode keeps a Tahoe-LAFS server that is started once more from
// changing files that are also ours.
const linkedMode fs.FileMode = 0o400

// copiers is how many containers are copied at once.
const copiers = 4

// Taken reports whether TakeOver, in this run or an earlier one, has given
// the store a share with its leases.
func (s *Store) Taken(kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber) (taken bool, err error) {
	if kind == storage.Immutable {
		err = s.index.db.View(func(tx *bolt.Tx) error {
			taken = tx.Bucket(bucketShares).Get(shareKey(si, n)) != nil
			return nil
		})
		return taken, err
	}
	if known, err := s.index.knowsSlot(si); err != nil || !known {
		return false, err
	}
	numbers, err := s.slotShares(si)
	return slices.Contains(numbers, n), err
}

// HasSlot reports whether there is a slot, so that no more shares of it can
// be taken over.
func (s *Store) HasSlot(si caps.StorageIndex) (bool, error) { return s.index.knowsSlot(si) }

// TakeOver makes shares of a Tahoe-LAFS server shares of this one, with
// their leases, durably: by copying each into a file of ours, or by making
// its container one by a hard link. All shares of a slot are in one call,
// and those of one that HasSlot knows in none. Nobody else uses the store
// meanwhile, and Stats counts what was taken only after the next Open.
//
// A slot without votes becomes one that a Tahoe-LAFS client wrote: our
// clients adopt it. One with votes has them, and the shares that they speak
// of, which are copied whatever link says. Its write enabler is that of a share whose container names our own tub id,
// and if none does, one that only the clients of the server so named know.
//
// It may be cut off at any instant and called again. ErrLink: the shares
// must be copied. storage.ErrNoSpace: there is no room for the copies.
func (s *Store) TakeOver(ctx context.Context, shares []Takeover, link bool) error {
	disk, err := os.Open(s.cfg.Dir)
	if err != nil {
		return reason(err)
	}
	defer disk.Close()
	for _, step := range s.takeOver(ctx, shares, link, disk) {
		if err := step(); err != nil {
			return takeoverError(err)
		}
	}
	return nil
}

// takeOver are the steps of TakeOver. After a crash between two of them, or
// in one, all can be done again.
func (s *Store) takeOver(ctx context.Context, shares []Takeover, link bool, disk *os.File) []func() error {
	t := &taking{s: s, link: link, now: s.cfg.Now(), dirs: map[string]bool{}}
	return []func() error{
		func() error { return t.reserve(shares) },
		func() error { return t.write(ctx, shares) },
		func() error { return syncDisk(disk) },
		// The leases before the shares: those of a share that is found in
		// the directory after a crash are then there too.
		func() error { return t.addLeases(shares) },
		t.name,
		func() error { return syncDisk(disk) },
		func() error { return t.note(shares) },
	}
}

func takeoverError(err error) error {
	if errors.Is(err, storage.ErrNoSpace) {
		return storage.ErrNoSpace
	}
	for _, no := range []error{syscall.EXDEV, syscall.EPERM, syscall.EMLINK, syscall.EOPNOTSUPP} {
		if errors.Is(err, no) {
			return fmt.Errorf("%w: %w", ErrLink, reason(err))
		}
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return storage.ErrNoSpace
	}
	return reason(err)
}

// A taking is one call of TakeOver.
type taking struct {
	s    *Store
	link bool
	now  time.Time
	// renames are made once all that they name is on the disk; links too.
	renames, links [][2]string
	slots          []*ondisk.Record
	dirs           map[string]bool // that were written in
}

func (t *taking) reserve(shares []Takeover) error {
	var need int64
	for _, sh := range shares {
		if !t.linked(&sh) {
			for _, p := range sh.parts() {
				need += cost(p.size)
			}
		}
	}
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	room, err := t.s.room()
	if err == nil && need > room {
		err = storage.ErrNoSpace
	}
	return err
}

// write writes everything under names that no reader looks at.
func (t *taking) write(ctx context.Context, shares []Takeover) error {
	temp := filepath.Join(t.s.cfg.Dir, "taken")
	if err := os.RemoveAll(temp); err != nil {
		return err
	}
	if err := os.Mkdir(temp, 0o700); err != nil {
		return err
	}
	copies, ctx := errgroup.WithContext(ctx)
	copies.SetLimit(copiers)
	slots := map[caps.StorageIndex][]Takeover{}
	for i, sh := range shares {
		to := t.s.sharePath(sh.Index, sh.Number)
		if sh.Kind == storage.Mutable {
			to = t.s.slotShare(sh.Index, sh.Number, firstStep)
			slots[sh.Index] = append(slots[sh.Index], sh)
		}
		if err := t.mkdir(filepath.Dir(to)); err != nil {
			return err
		}
		if t.linked(&sh) {
			if sh.Kind == storage.Mutable {
				if err := t.relink(sh.Path, to); err != nil {
					return err
				}
			} else {
				t.links = append(t.links, [2]string{sh.Path, to})
			}
			continue
		}
		for _, p := range sh.parts() {
			from := filepath.Join(temp, strconv.Itoa(i))
			if sh.Kind == storage.Mutable {
				// What no record names is not seen yet.
				from = t.s.slotShare(sh.Index, sh.Number, p.step)
				if err := os.Remove(from); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			} else {
				t.renames = append(t.renames, [2]string{from, to})
			}
			copies.Go(func() error { return t.copy(ctx, &sh, p, from) })
		}
	}
	err := copies.Wait()
	for si, held := range slots {
		if err == nil {
			err = t.writeRecord(si, held)
		}
	}
	return err
}

func (t *taking) mkdir(dir string) error {
	t.dirs[dir] = true
	return os.MkdirAll(dir, 0o700)
}

// copy makes a share file of ours of a part of a container.
func (t *taking) copy(ctx context.Context, sh *Takeover, p part, to string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	from, err := os.Open(sh.Path)
	if err != nil {
		return err
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	h := ondisk.Header{Kind: sh.Kind, Number: sh.Number, Index: sh.Index, Length: p.size, TubID: t.s.cfg.TubID, Who: Default}
	if sh.Kind == storage.Mutable {
		h.Enabler = sh.Enabler
	}
	if _, err := f.Write(h.Marshal()); err != nil {
		return err
	}
	n, err := io.Copy(f, io.NewSectionReader(from, p.at, p.size))
	if err != nil {
		return err
	}
	if n < p.size {
		return errors.New("a container became shorter while it was copied")
	}
	day := fileDay(t.now)
	return os.Chtimes(to, day, day)
}

// writeRecord makes the record of a slot that was not written to since.
func (t *taking) writeRecord(si caps.StorageIndex, held []Takeover) error {
	// The lowest number stands first among those of one server.
	slices.SortFunc(held, func(a, b Takeover) int {
		own := func(sh Takeover) int {
			if sh.NodeID == t.s.cfg.TubID {
				return 0
			}
			return 1
		}
		return cmp.Or(own(a)-own(b), int(a.Number)-int(b.Number))
	})
	r := &ondisk.Record{Index: si, Who: Default, TubID: t.s.cfg.TubID, Enabler: held[0].Enabler, Step: firstStep}
	takeState(r, held, held[0].NodeID == t.s.cfg.TubID)
	t.slots = append(t.slots, r)
	to := t.s.recordPath(si)
	from := filepath.Join(filepath.Dir(to), ".record.taken")
	if err := os.WriteFile(from, r.Marshal(), 0o600); err != nil {
		return err
	}
	day := fileDay(t.now)
	if err := os.Chtimes(from, day, day); err != nil {
		return err
	}
	t.renames = append(t.renames, [2]string{from, to})
	return nil
}

// name gives the shares their names, and then the slots theirs.
func (t *taking) name() error {
	day := fileDay(t.now)
	for _, l := range t.links {
		if err := t.relink(l[0], l[1]); err != nil {
			return err
		}
	}
	for _, r := range t.renames {
		if err := os.Rename(r[0], r[1]); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(filepath.Join(t.s.cfg.Dir, "taken")); err != nil {
		return err
	}
	for dir := range t.dirs {
		for _, d := range []string{dir, filepath.Dir(dir)} {
			if err := os.Chtimes(d, day, day); err != nil {
				return err
			}
		}
	}
	return nil
}

// relink makes to a link to from, in place of what an earlier try left.
func (t *taking) relink(from, to string) error {
	err := os.Link(from, to)
	if errors.Is(err, fs.ErrExist) {
		if err := os.Remove(to); err != nil {
			return err
		}
		err = os.Link(from, to)
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(to, linkedMode); err != nil {
		return err
	}
	day := fileDay(t.now)
	return os.Chtimes(to, day, day)
}

// addLeases gives each storage index the leases of its shares. Those without
// any get one that nobody can renew: nobody promised to, but nobody gave
// them up either.
func (t *taking) addLeases(shares []Takeover) error {
	type key struct {
		si    caps.StorageIndex
		lease ondisk.Lease
	}
	ends := map[key]uint32{}
	has := map[caps.StorageIndex]bool{}
	for _, sh := range shares {
		for _, l := range sh.Leases {
			k := key{sh.Index, l.Lease}
			ends[k], has[sh.Index] = max(ends[k], lastDay(&l)), true
		}
		if !has[sh.Index] {
			has[sh.Index] = true
			ends[key{sh.Index, nobodysLease()}] = leaseEnd(t.now)
		}
	}
	keys := make([]key, 0, len(ends))
	for k := range ends {
		keys = append(keys, k)
	}
	// Where there are too many, those that end last are kept.
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(bytes.Compare(a.si[:], b.si[:]), cmp.Compare(ends[b], ends[a]), bytes.Compare(a.lease.Renew[:], b.lease.Renew[:]))
	})
	return t.s.index.db.Update(func(tx *bolt.Tx) error {
		// What a crash leaves named is found by these.
		for _, k := range t.keys(shares) {
			if err := t.s.index.intend(tx, k, nil); err != nil {
				return err
			}
		}
		count := 0
		for i, k := range keys {
			if i == 0 || k.si != keys[i-1].si {
				count = 0
			}
			if count++; count > maxLeases {
				continue
			}
			if err := putLeaseUntil(tx, k.si, k.lease, ends[k], t.now); err != nil && !errors.Is(err, storage.ErrNoSpace) {
				return err
			}
		}
		return nil
	})
}

// lastDay is the day on which a lease ends, rounded up.
func lastDay(l *ondisk.ContainerLease) uint32 {
	const seconds = uint64(day / time.Second)
	return uint32((uint64(l.Ends) + seconds - 1) / seconds)
}

// note writes into the index what now stands. What it has is taken.
func (t *taking) note(shares []Takeover) error {
	err := t.s.index.db.Update(func(tx *bolt.Tx) error {
		for _, sh := range shares {
			if sh.Kind != storage.Immutable {
				continue
			}
			h := ondisk.Header{Kind: sh.Kind, Number: sh.Number, Index: sh.Index, Length: sh.Length, Who: Default}
			if err := tx.Bucket(bucketShares).Put(shareKey(sh.Index, sh.Number), shareValue(&h)); err != nil {
				return err
			}
		}
		for _, r := range t.slots {
			if err := tx.Bucket(bucketSlots).Put(r.Index[:], totalsOf(r).value()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, k := range t.keys(shares) {
		t.s.index.carriedOut(k)
	}
	return nil
}

// keys are those of what is taken in the index.
func (t *taking) keys(shares []Takeover) (out [][]byte) {
	for _, sh := range shares {
		if sh.Kind == storage.Immutable {
			out = append(out, shareKey(sh.Index, sh.Number))
		}
	}
	for _, r := range t.slots {
		out = append(out, r.Index[:])
	}
	return out
}
