package store

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"

	"lafs/node/durable"
	"lafs/node/store/ondisk"
	"lafs/shares/agree"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// firstStep is the step of a slot's first record. Steps rise by two: the
// shares that a step writes as base are named one below the others.
const firstStep = 2

// A change is one step on a slot, which is locked. New share files are
// written beside the old ones, synced with their names, and then a new
// record takes the old one's place: until that instant the old step stands,
// whole, and from then on the new one. What no record names is removed
// later.
type change struct {
	s *Store
	// old is nil if there is no such slot yet; next is what commit writes.
	old, next *ondisk.Record
	wrote     []string // share files
	charge    int64    // what of s.pending is for them
	claimed   int64    // what of the account's disk is for next alone
	// before is what was counted for the slot until now.
	before slotTotals
}

// begin starts a change of the slot that old is the record of.
func (s *Store) begin(old *ondisk.Record, blank ondisk.Record) *change {
	c := &change{s: s, old: old, before: s.counted(old)}
	if old != nil {
		blank = *old
	}
	blank.Step += 2
	c.next = &blank
	return c
}

// blank is what a slot is before its first step.
func (s *Store) blank(who Authority, si [16]byte, e *storage.WriteEnabler) ondisk.Record {
	return ondisk.Record{Index: si, Who: who, TubID: s.cfg.TubID, Enabler: ondisk.HashEnabler(e)}
}

// held are the shares of a version that the slot holds, as whatever.
func (c *change) held(v agree.VersionID) ondisk.Shares {
	switch r := c.old; {
	case r == nil || v.IsZero():
		return nil
	case v == r.State.Current:
		return r.Current
	case v == r.State.Base.Version:
		return r.Base
	default:
		out := ondisk.Shares{}
		for n, ref := range r.Foreign {
			if h, ok := c.s.shareHeader(r, n, ref); ok && v == storage.VersionOf(h) {
				out[n] = ref
			}
		}
		return out
	}
}

// shareHeader reads what a share says of its version.
func (s *Store) shareHeader(r *ondisk.Record, n storage.ShareNumber, ref ondisk.Ref) (*mutable.Header, bool) {
	f, err := s.openRef(r.Index, n, ref)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	b := make([]byte, min(mutable.HeaderSize, ref.Length))
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, false
	}
	h, err := mutable.ParseHeader(b)
	return h, err == nil
}

// install returns the shares of v that the slot has after the step: those
// it holds, and those given. step names the files written.
func (c *change) install(v agree.VersionID, given map[storage.ShareNumber][]byte, step uint64) (ondisk.Shares, error) {
	if v.IsZero() {
		return nil, nil
	}
	out := maps.Clone(c.held(v))
	if out == nil {
		out = ondisk.Shares{}
	}
	for n, data := range given {
		if err := checkVersion(n, data, v); err != nil {
			return nil, err
		}
		if ref, ok := out[n]; ok && c.equal(n, ref, data) {
			continue
		}
		if err := c.write(n, step, int64(len(data)), bytes.NewReader(data)); err != nil {
			return nil, err
		}
		out[n] = ondisk.Ref{Step: step, Length: int64(len(data))}
	}
	return out, nil
}

// checkVersion refuses a share that is not whole, or of another version.
func checkVersion(n storage.ShareNumber, data []byte, v agree.VersionID) error {
	h, err := mutable.ParseHeader(data[:min(mutable.HeaderSize, len(data))])
	if err != nil || v != storage.VersionOf(h) || int64(len(data)) != h.ShareSize() || int(n) >= h.Total {
		return storage.ErrBadRequest
	}
	return nil
}

// equal compares a share held with bytes.
func (c *change) equal(n storage.ShareNumber, ref ondisk.Ref, data []byte) bool {
	if ref.Length != int64(len(data)) {
		return false
	}
	f, err := c.s.openRef(c.next.Index, n, ref)
	if err != nil {
		return false
	}
	defer f.Close()
	buf := make([]byte, min(64<<10, len(data)))
	for at := 0; at < len(data); at += len(buf) {
		p := buf[:min(len(buf), len(data)-at)]
		if _, err := f.ReadAt(p, int64(at)); err != nil || !bytes.Equal(p, data[at:at+len(p)]) {
			return false
		}
	}
	return true
}

// write makes a share file of length bytes from r, synced.
func (c *change) write(n storage.ShareNumber, step uint64, length int64, r io.Reader) error {
	return c.writeFile(n, step, length, func(f file) error {
		_, err := io.Copy(io.NewOffsetWriter(f, ondisk.HeaderSize), r)
		return err
	})
}

// writeFile makes a share file whose bytes fill writes.
func (c *change) writeFile(n storage.ShareNumber, step uint64, length int64, fill func(file) error) error {
	if err := c.reserve(cost(length)); err != nil {
		return err
	}
	if err := c.s.mkSlot(c.next.Index); err != nil {
		return err
	}
	path := c.s.slotShare(c.next.Index, n, step)
	// One may lie here from a step that a crash cut off.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := c.s.open(path)
	if err != nil {
		return err
	}
	c.wrote = append(c.wrote, path)
	defer f.Close()
	h := ondisk.Header{Kind: storage.Mutable, Number: n, Index: c.next.Index, Length: length, TubID: c.s.cfg.TubID, Enabler: c.next.Enabler, Who: c.next.Who}
	if _, err := f.WriteAt(h.Marshal(), 0); err != nil {
		return err
	}
	if err := fill(f); err != nil {
		return err
	}
	day := fileDay(c.s.cfg.Now())
	if err := os.Chtimes(path, day, day); err != nil {
		return err
	}
	return f.Sync()
}

// reserve finds room for n bytes more. Where nothing new is taken, slots
// that are there already may still change.
func (c *change) reserve(n int64) error {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.old == nil && s.cfg.ReadOnly {
		return storage.ErrNoSpace
	}
	room, err := s.room()
	if err != nil {
		return err
	}
	// What is held already may be what goes: commit counts it exactly.
	if n > room || c.charge+n > s.account(c.next.Who).left()+c.before.disk {
		return storage.ErrNoSpace
	}
	s.pending += n
	c.charge += n
	return nil
}

// claim charges what the slot takes more to who made it. One that shrinks is
// never refused.
func (c *change) claim() error {
	more := totalsOf(c.next).disk - c.before.disk
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	a := c.s.account(c.next.Who)
	if more > 0 && more > a.left() {
		return storage.ErrNoSpace
	}
	a.Disk += more
	c.claimed = more
	return nil
}

// end gives back what commit did not use. It must be called once.
func (c *change) end() {
	c.s.mu.Lock()
	c.s.pending -= c.charge
	c.s.account(c.next.Who).Disk -= c.claimed
	c.s.mu.Unlock()
	for _, path := range c.wrote {
		os.Remove(path)
	}
}

// commit makes the next record the slot's, durably.
func (c *change) commit(lease *storage.LeaseSecrets) error {
	s, r := c.s, c.next
	if c.old == nil && len(c.wrote) == 0 {
		if err := c.reserve(cost(0)); err != nil {
			return err
		}
		if err := s.mkSlot(r.Index); err != nil {
			return err
		}
	}
	if err := c.claim(); err != nil {
		return err
	}
	if err := c.note(lease); err != nil {
		return err
	}
	if len(c.wrote) > 0 {
		// The names before the record that says them.
		if err := durable.SyncDir(s.slotDir(r.Index)); err != nil {
			return err
		}
	}
	if err := s.writeRecord(r); err != nil {
		// Nobody knows which of the two a power loss would leave: the files
		// of both must stay.
		c.wrote = nil
		return errors.Join(err, c.unnote())
	}
	c.wrote, c.claimed = nil, 0
	c.count()
	if c.old == nil {
		s.index.carriedOut(r.Index[:])
	}
	s.tidy(r)
	return nil
}

// note tells the index of the lease, and of a new slot, which it knows before
// the first record is there: one that it knows and that has no record is
// lost, unless a crash left that to be decided, see bucketIntents.
func (c *change) note(secrets *storage.LeaseSecrets) error {
	s, r := c.s, c.next
	var l *ondisk.Lease
	if secrets != nil {
		h := ondisk.HashLease(secrets)
		l = &h
	}
	switch {
	case c.old == nil:
		return s.index.addSlot(totalsOf(r), l, s.cfg.Now())
	case l != nil:
		return s.index.renewLease(r.Index, *l, s.cfg.Now())
	}
	return nil
}

// unnote takes back what note said of a slot whose first record did not
// come.
func (c *change) unnote() error {
	s, si := c.s, c.next.Index
	if c.old != nil {
		return nil
	}
	if _, err := os.Lstat(s.recordPath(si)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := s.index.dropSlot(si); err != nil {
		return err
	}
	s.index.carriedOut(si[:])
	return nil
}

// writeRecord replaces the slot's record, durably.
func (s *Store) writeRecord(r *ondisk.Record) error {
	f, err := durable.Create(s.recordPath(r.Index), 0o600)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(r.Marshal()); err != nil {
		return err
	}
	day := fileDay(s.cfg.Now())
	if err := os.Chtimes(f.Name(), day, day); err != nil {
		return err
	}
	if err := f.Commit(); err != nil {
		s.unsure.Store(r.Index, true)
		return err
	}
	return nil
}

// count notes what the slot has more, or less, than before. What it takes of
// the disk is counted by claim.
func (c *change) count() {
	s, before, now := c.s, c.before, totalsOf(c.next)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shares += now.shares - before.shares
	s.bytes += now.bytes - before.bytes
	s.account(now.who).Shares += now.shares - before.shares
	s.touched[now.si] = now
}

// tidy removes the files of a slot that its record does not name.
func (s *Store) tidy(r *ondisk.Record) {
	dir := s.slotDir(r.Index)
	entries, err := os.ReadDir(dir)
	if err != nil {
		s.cfg.Log.Warn("old shares can not be removed", "error", reason(err))
		return
	}
	for _, e := range entries {
		n, step, ok := parseSlotShare(e.Name())
		if e.Name() == "record" || ok && r.Refers(n, step) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			s.cfg.Log.Warn("an old share can not be removed", "error", reason(err))
		}
	}
	day := fileDay(s.cfg.Now())
	for _, d := range []string{dir, filepath.Dir(dir), s.slotsDir()} {
		if err := os.Chtimes(d, day, day); err != nil {
			s.cfg.Log.Warn("a directory's time can not be set", "error", reason(err))
		}
	}
}
