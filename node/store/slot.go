package store

import (
	"context"
	"errors"
	"slices"

	"lafs/node/store/ondisk"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// errMissing ends a step that needs shares which nobody sent.
var errMissing = errors.New("shares are missing")

// slot is Slot for one authority.
func (s *Store) slot(ctx context.Context, who Authority, si caps.StorageIndex, req storage.SlotRequest) (storage.SlotAnswer, error) {
	none := storage.SlotAnswer{}
	if err := ctx.Err(); err != nil {
		return none, err
	}
	if !req.Valid() {
		return none, storage.ErrBadRequest
	}
	defer s.slots.lock(si)()
	r, err := s.voter(si)
	if err != nil {
		return none, err
	}
	if r != nil && req.Message != (agree.Read{}) && !r.Allows(req.Enabler) {
		return none, storage.ErrUnauthorized
	}
	out := storage.SlotAnswer{Done: true}
	if (req.Message != agree.Read{}) {
		if r, out.Done, err = s.step(r, who, si, &req); errors.Is(err, errMissing) {
			out.Missing = true
		} else if err != nil {
			return none, s.slotFault(err)
		}
	}
	if r == nil {
		return out, nil
	}
	return out, s.answer(&out, r, &req)
}

// voter returns the record of a slot for a request that counts on it: one
// that this very server wrote, durably. nil: there is no such slot.
func (s *Store) voter(si caps.StorageIndex) (*ondisk.Record, error) {
	if s.stateLost {
		return nil, storage.ErrStateLost
	}
	r, err := s.readRecord(si)
	if err != nil || r == nil {
		return nil, err
	}
	if r.TubID != s.cfg.TubID {
		return nil, storage.ErrStateLost
	}
	if _, unsure := s.unsure.Load(si); unsure {
		// What can be read may not be on the disk.
		again := *r
		again.Step += 2
		if err := s.writeRecord(&again); err != nil {
			return nil, s.fault("write a slot's record", err)
		}
		s.unsure.Delete(si)
		r = &again
	}
	return r, nil
}

// step carries out a message that may change the slot, and returns its
// record afterwards. errMissing: it was not done, for want of shares.
func (s *Store) step(old *ondisk.Record, who Authority, si caps.StorageIndex, req *storage.SlotRequest) (*ondisk.Record, bool, error) {
	c := s.begin(old, s.blank(who, si, req.Enabler))
	defer c.end()
	r := c.next
	before := r.State
	after, done := before.Apply(req.Message)
	list, agreed := agree.Recorded(req.Message, before, after, r.Placement, req.Placement)
	if !done || !agreed || after != before && r.Refuses(req.Message) {
		return old, false, nil
	}
	r.State = after
	v, installs := agree.Installed(req.Message, after)
	if installs {
		if err := c.installAll(v, req); err != nil {
			return old, false, err
		}
		if after.Current != before.Current {
			r.Ancestors = slices.Clone(req.Ancestors)
		}
		r.Placement = slices.Clone(list)
	}
	switch req.Message.(type) {
	case agree.Prepare:
		r.Seen = r.IsForeign
	case agree.Accept:
		if after != before {
			r.Foreign, r.IsForeign, r.Seen, r.Lost = nil, false, false, false
		}
	}
	if old != nil && old.Same(r) {
		return old, true, nil
	}
	lease := req.Lease
	if !installs {
		lease = nil
	}
	if err := c.commit(lease); err != nil {
		return old, false, err
	}
	return r, true, nil
}

// installAll brings the shares of the next record in line with its state.
func (c *change) installAll(v agree.VersionID, req *storage.SlotRequest) (err error) {
	r := c.next
	if r.Current, err = c.install(v, req.Shares, r.Step); err != nil {
		return err
	}
	base := r.State.Kept()
	if r.Base, err = c.install(base, req.Base, r.Step-1); err != nil {
		return err
	}
	if len(r.Current) == 0 || len(r.Base) == 0 && !base.IsZero() {
		return errMissing
	}
	return nil
}

// answer tells the slot's state, with those bytes of its shares that the
// request asks for.
func (s *Store) answer(out *storage.SlotAnswer, r *ondisk.Record, req *storage.SlotRequest) (err error) {
	out.State, out.Foreign, out.Lost = r.State, r.IsForeign, r.Lost
	out.Ancestors, out.Placement = slices.Clone(r.Ancestors), slices.Clone(r.Placement)
	wanted := func(storage.ShareNumber) bool { return true }
	if _, read := req.Message.(agree.Read); read && len(req.Numbers) > 0 {
		wanted = func(n storage.ShareNumber) bool { return slices.Contains(req.Numbers, n) }
	}
	n := int64(0)
	for _, set := range []ondisk.Shares{r.Current, r.Base, r.Foreign} {
		for number := range set {
			if wanted(number) {
				n++
			}
		}
	}
	fetch := min(req.Fetch, storage.MaxSlotFetch/max(n, 1))
	sets := []ondisk.Shares{r.Current, r.Base, nil}
	if r.IsForeign {
		sets = []ondisk.Shares{r.Foreign, r.Current, r.Base}
	}
	if total := bytesOf(sets, wanted, req.From, fetch); total > 0 && req.Room != nil && !req.Room(total) {
		if (req.Message == agree.Read{}) {
			return storage.ErrBusy
		}
		fetch = 0
	}
	for i, set := range []*map[storage.ShareNumber]storage.SlotShare{&out.Current, &out.Base, &out.Older} {
		if *set, err = s.fetch(r.Index, sets[i], wanted, req.From, fetch); err != nil {
			return err
		}
	}
	return nil
}

// bytesOf is how much fetch reads of the sets.
func bytesOf(sets []ondisk.Shares, wanted func(storage.ShareNumber) bool, from, length int64) (total int64) {
	for _, set := range sets {
		for n, ref := range set {
			if wanted(n) {
				total += max(0, min(length, ref.Length-from))
			}
		}
	}
	return total
}

// fetch reads length bytes from byte from on of each share that is wanted, and
// none of the others. One whose file is broken is left out.
func (s *Store) fetch(si caps.StorageIndex, set ondisk.Shares, wanted func(storage.ShareNumber) bool, from, length int64) (map[storage.ShareNumber]storage.SlotShare, error) {
	var out map[storage.ShareNumber]storage.SlotShare
	for n, ref := range set {
		f, err := s.openRef(si, n, ref)
		if errors.Is(err, ondisk.ErrHeader) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var data []byte
		if wanted(n) {
			data = make([]byte, max(0, min(length, ref.Length-from)))
		}
		_, err = f.ReadAt(data, from)
		f.Close()
		if len(data) > 0 && err != nil {
			return nil, s.fault("read a share", err)
		}
		if out == nil {
			out = map[storage.ShareNumber]storage.SlotShare{}
		}
		out[n] = storage.SlotShare{Size: ref.Length, Data: data}
	}
	return out, nil
}

// slotFault is fault for what a step returns, which may be an answer of the
// protocol already.
func (s *Store) slotFault(err error) error {
	for _, answer := range []error{storage.ErrBadRequest, storage.ErrNoSpace, storage.ErrBroken, storage.ErrTooLarge} {
		if errors.Is(err, answer) {
			return answer
		}
	}
	return s.fault("change a slot", err)
}
