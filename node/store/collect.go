package store

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"lafs/node/durable"
	"lafs/node/store/ondisk"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// The pace of collection. A pass goes over the whole index once a day, one
// page every collectEvery: it reads collectPage entries with their leases
// from the index, no share file, and removes the shares of at most
// collectRemovals storage indexes, with about three syncs each. That is an
// hour for a million shares, and some hundred thousand removals a day.
const (
	collectEvery    = time.Second
	collectPage     = 256
	collectRemovals = 8
	// collectSave is how often, in pages, the place is noted from which a
	// pass goes on after a restart; Close notes it too.
	collectSave = 64
)

// keyCollect: where collection is, see crawl.marshal.
var keyCollect = []byte("collect")

// A Freed is what a pass removed of one kind of share, or would.
type Freed struct {
	Indexes int64 // buckets or slots
	Shares  int64 // that readers see
	Bytes   int64 // of data
	Disk    int64 // in blocks, as a quota counts it
}

func (f *Freed) add(g Freed) {
	f.Indexes += g.Indexes
	f.Shares += g.Shares
	f.Bytes += g.Bytes
	f.Disk += g.Disk
}

// A Collection is what a pass removed, or would.
type Collection struct {
	Immutable, Mutable Freed
	// Kept is what is held beside that; Collectable counts it.
	Kept Freed
}

func (c *Collection) of(kind storage.Kind) *Freed {
	if kind == storage.Immutable {
		return &c.Immutable
	}
	return &c.Mutable
}

// ErrNoExpiry: collection is off, or can not be: see Expiry and
// Stats.StateLost.
var ErrNoExpiry = errors.New("the expiry of leases is off")

// collectable says whether anything may be removed. Leases of a directory
// that is an older copy were renewed since.
func (s *Store) collectable() bool { return s.cfg.Expire.Enabled && !s.stateLost }

// Collectable tells what a pass would remove now. Where expiry is off, it is
// what leases that have ended as they were given leave. It only reads the
// index.
func (s *Store) Collectable(ctx context.Context) (Collection, error) {
	rule := s.cfg.Expire
	if !rule.Enabled {
		rule = Expiry{Immutable: true, Mutable: true}
	}
	if err := s.flush(); err != nil {
		return Collection{}, err
	}
	p := pass{s: s, rule: rule, at: &crawl{}, dry: true}
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return p.sum, err
		}
		var err error
		if more, err = p.step(16 * collectPage); err != nil {
			return p.sum, s.fault("look for ended leases", err)
		}
	}
	return p.sum, nil
}

// Collect makes a whole pass now, and not at the pace of Run. ErrNoExpiry:
// nothing is collected here, or not yet (see Resting).
func (s *Store) Collect(ctx context.Context) (Collection, error) {
	if _, resting := s.Resting(); !s.collectable() || resting {
		return Collection{}, ErrNoExpiry
	}
	p := pass{s: s, rule: s.cfg.Expire, at: &crawl{}}
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return p.sum, err
		}
		var err error
		if more, err = p.step(collectPage); err != nil {
			return p.sum, s.fault("collect shares", err)
		}
	}
	return p.sum, nil
}

// A pass goes over the index, first buckets and then slots, in the order of
// storage indexes.
type pass struct {
	s    *Store
	rule Expiry
	at   *crawl
	dry  bool
	sum  Collection
}

// A find is a bucket or a slot without a live lease.
type find struct {
	si   caps.StorageIndex
	none bool // it has no lease at all
	size Freed
}

// step looks at one page, and removes of it what it may. It reports false at
// the end of the pass.
func (p *pass) step(page int) (more bool, err error) {
	kind := storage.Immutable
	if p.at.mutable {
		kind = storage.Mutable
	}
	found, next, err := p.find(kind, page)
	if err != nil {
		return false, err
	}
	for i, f := range found {
		if !p.dry && i == collectRemovals {
			// The rest of the page comes again.
			p.at.next = f.si[:]
			return true, nil
		}
		if p.dry {
			p.sum.of(kind).add(f.size)
			continue
		}
		freed, err := p.remove(kind, f)
		if err != nil {
			// One that fails must not stand before all others.
			_ = p.s.fault("collect a share", err)
		}
		p.sum.of(kind).add(freed)
	}
	switch {
	case next != nil:
		p.at.next = next
	case kind == storage.Immutable:
		p.at.mutable, p.at.next = true, nil
	default:
		p.at.mutable, p.at.next = false, nil
		return false, nil
	}
	return true, nil
}

// find reads one page of the index. next is nil at the end.
func (p *pass) find(kind storage.Kind, page int) (found []find, next []byte, err error) {
	now, bucket := p.s.cfg.Now(), bucketShares
	if kind == storage.Mutable {
		bucket = bucketSlots
	}
	err = p.s.index.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucket).Cursor()
		k, v := c.Seek(p.at.next)
		for read := 0; k != nil; {
			if read >= page {
				next = slices.Clone(k[:min(16, len(k))])
				return nil
			}
			if len(k) < 16 {
				k, v = c.Next()
				continue
			}
			f := find{si: caps.StorageIndex(k[:16]), size: Freed{Indexes: 1}}
			// All entries of one storage index are in one page.
			for ; len(k) >= 16 && caps.StorageIndex(k[:16]) == f.si; k, v = c.Next() {
				f.size.add(sizeOf(kind, v))
				read++
			}
			if f.size.Shares == 0 && f.size.Bytes == 0 {
				continue // A slot of which only the votes are kept.
			}
			end, none := lastEnd(tx, f.si)
			if f.none = none; !p.rule.collects(kind) || !none && p.rule.live(end, now) || none && p.dry {
				if p.dry {
					p.sum.Kept.add(f.size)
				}
				continue
			}
			found = append(found, f)
		}
		return nil
	})
	return found, next, err
}

func sizeOf(kind storage.Kind, v []byte) (f Freed) {
	if kind == storage.Immutable {
		if length, _, ok := parseShareValue(v); ok {
			f = Freed{Shares: 1, Bytes: length, Disk: cost(length)}
		}
	} else if t, ok := parseSlotValue(v); ok {
		f = Freed{Shares: t.shares, Bytes: t.bytes, Disk: t.disk - cost(0)}
	}
	return f
}

// remove takes away the shares of one storage index, unless somebody has got
// a lease on them meanwhile. Until it ends, nobody is promised anything
// there. What has no lease at all was left by a fault or by a client that
// sent none: it gets the time of one.
func (p *pass) remove(kind storage.Kind, f find) (Freed, error) {
	s, now := p.s, p.s.cfg.Now()
	if f.none {
		return Freed{}, s.index.addLease(f.si, nobodysLease(), now)
	}
	defer s.keep.lock(f.si)()
	if kind == storage.Mutable {
		defer s.slots.lock(f.si)()
	} else {
		defer s.naming.lock(f.si)()
	}
	var end uint32
	var none bool
	err := s.index.db.View(func(tx *bolt.Tx) error {
		end, none = lastEnd(tx, f.si)
		return nil
	})
	if err != nil || none || p.rule.live(end, now) {
		return Freed{}, err
	}
	if kind == storage.Mutable {
		return s.removeShares(f.si)
	}
	return s.removeBucket(f.si)
}

// removeBucket removes the shares of a bucket, first their files; an intent
// says so beforehand (see bucketIntents). s.keep and s.naming have si.
func (s *Store) removeBucket(si caps.StorageIndex) (freed Freed, err error) {
	type share struct {
		n      storage.ShareNumber
		length int64
		who    Authority
	}
	var shares []share
	err = s.index.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketShares).Cursor()
		for k, v := c.Seek(si[:]); len(k) == 17 && caps.StorageIndex(k[:16]) == si; k, v = c.Next() {
			if length, who, ok := parseShareValue(v); ok {
				shares = append(shares, share{storage.ShareNumber(k[16]), length, who})
			}
		}
		return nil
	})
	if err != nil {
		return freed, err
	}
	if len(shares) == 0 {
		return freed, nil
	}
	var gone []share
	for _, sh := range shares {
		if s.index.isLodged(shareKey(si, sh.n)) {
			// Once the index has no bytes of it, its file decides.
			if err := s.lay(); err != nil && s.index.isLodged(shareKey(si, sh.n)) {
				return freed, err
			}
		}
		if _, err := s.readHeader(storage.Immutable, si, sh.n); !errors.Is(err, ondisk.ErrNewer) {
			gone = append(gone, sh)
		}
	}
	err = s.index.batch(func(tx *bolt.Tx) error {
		for _, sh := range gone {
			if err := s.index.intend(tx, shareKey(si, sh.n), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return freed, err
	}
	for _, sh := range gone {
		for _, path := range []string{s.sharePath(si, sh.n), s.advisoryPath(si, sh.n)} {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return freed, err
			}
		}
	}
	dir := s.bucketDir(si)
	// Where something else lies in it, its names must last.
	if os.Remove(dir) != nil {
		if err := durable.SyncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return freed, err
		}
	}
	if err := durable.SyncDir(filepath.Dir(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return freed, err
	}
	err = s.index.batch(func(tx *bolt.Tx) error {
		for _, sh := range gone {
			if err := tx.Bucket(bucketShares).Delete(shareKey(si, sh.n)); err != nil {
				return err
			}
		}
		return dropIdleLeases(tx, si)
	})
	if err != nil {
		return freed, err
	}
	for _, sh := range gone {
		s.index.carriedOut(shareKey(si, sh.n))
	}
	freed.Indexes = 1
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sh := range gone {
		freed.add(Freed{Shares: 1, Bytes: sh.length, Disk: cost(sh.length)})
		a := s.account(sh.who)
		a.Shares--
		a.Disk -= cost(sh.length)
	}
	s.shares -= freed.Shares
	s.bytes -= freed.Bytes
	return freed, nil
}

// removeShares removes the shares of a slot and keeps its record, with all
// that it promised and voted for, who may write to it, and who holds it: a
// server that forgot a vote could give it again to somebody else, and undo
// what others were told. A record takes 8 KiB, and stays charged to who made
// the slot. It is forgotten where nothing was promised, as in slots that only
// Tahoe-LAFS clients wrote to, and where it is of an identity that this
// server no longer has. s.keep and s.slots have si.
func (s *Store) removeShares(si caps.StorageIndex) (freed Freed, err error) {
	if _, unsure := s.unsure.Load(si); unsure {
		return freed, nil // Whoever uses it next mends it.
	}
	r, err := s.readRecord(si)
	if errors.Is(err, storage.ErrStateLost) || err == nil && r == nil {
		return freed, nil // That is for fsck.
	}
	if err != nil {
		return freed, err
	}
	before := totalsOf(r)
	if before.shares == 0 && before.bytes == 0 {
		return freed, nil
	}
	c := s.begin(r, ondisk.Record{})
	defer c.end()
	next := c.next
	next.Current, next.Base, next.Foreign, next.IsForeign, next.Seen = nil, nil, nil, false, false
	if err := c.commit(nil); err != nil {
		return freed, err
	}
	for _, n := range r.Numbers() {
		os.Remove(s.advisoryPath(si, n))
	}
	after := totalsOf(next)
	if next.TubID != s.cfg.TubID || next.State == (agree.State{}) {
		if err := s.removeSlot(next); err != nil {
			return freed, err
		}
		after = slotTotals{}
	}
	err = s.index.batch(func(tx *bolt.Tx) error {
		if tx.Bucket(bucketSlots).Get(si[:]) != nil {
			if err := tx.Bucket(bucketSlots).Put(si[:], after.value()); err != nil {
				return err
			}
		}
		k, _ := tx.Bucket(bucketShares).Cursor().Seek(si[:])
		if len(k) == 17 && caps.StorageIndex(k[:16]) == si {
			return nil
		}
		return dropLeases(tx, si)
	})
	return Freed{Indexes: 1, Shares: before.shares, Bytes: before.bytes, Disk: before.disk - after.disk}, err
}

// A crawl is where collection is, and what it knows of days, all counted
// from 1970.
type crawl struct {
	mutable bool   // it is at the slots
	next    []byte // storage index to go on at, nil at the beginning
	passDay uint32 // when the last pass that ended began
	began   uint32 // when this one did; 0: none is under way
	seenDay uint32 // the last day on which the server was seen to run
	restDay uint32 // nothing is removed before it
}

// marshal writes flags (1 byte: 1 slots, 2 next is set), next (16), passDay,
// began, seenDay, restDay (4 each).
func (c *crawl) marshal() []byte {
	var flags byte
	if c.mutable {
		flags |= 1
	}
	var next [16]byte
	if copy(next[:], c.next) > 0 {
		flags |= 2
	}
	b := append([]byte{flags}, next[:]...)
	for _, d := range []uint32{c.passDay, c.began, c.seenDay, c.restDay} {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return b
}

// parseCrawl begins anew where b is not a crawl.
func parseCrawl(b []byte) *crawl {
	c := &crawl{}
	if len(b) != 33 || b[0] > 3 {
		return c
	}
	c.mutable = b[0]&1 != 0
	if b[0]&2 != 0 {
		c.next = slices.Clone(b[1:17])
	}
	for i, d := range []*uint32{&c.passDay, &c.began, &c.seenDay, &c.restDay} {
		*d = binary.BigEndian.Uint32(b[17+4*i:])
	}
	return c
}
