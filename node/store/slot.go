package store

import (
	"context"
	"crypto/subtle"
	"errors"
	"maps"
	"slices"

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
	if !validStep(&req) {
		return none, storage.ErrBadRequest
	}
	defer s.slots.lock(si)()
	r, err := s.voter(si)
	if err != nil {
		return none, err
	}
	if r != nil && req.Message != (agree.Read{}) && !r.allows(req.Enabler) {
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
	return out, s.answer(&out, r, req.From, req.Fetch)
}

// voter returns the record of a slot for a request that counts on it: one
// that this very server wrote, durably. nil: there is no such slot.
func (s *Store) voter(si caps.StorageIndex) (*record, error) {
	if s.stateLost {
		return nil, storage.ErrStateLost
	}
	r, err := s.readRecord(si)
	if err != nil || r == nil {
		return nil, err
	}
	if r.tubID != s.cfg.TubID {
		return nil, storage.ErrStateLost
	}
	if _, unsure := s.unsure.Load(si); unsure {
		// What can be read may not be on the disk.
		again := *r
		again.step += 2
		if err := s.writeRecord(&again); err != nil {
			return nil, s.fault("write a slot's record", err)
		}
		s.unsure.Delete(si)
		r = &again
	}
	return r, nil
}

func (r *record) allows(e *storage.WriteEnabler) bool {
	hash := hashEnabler(e)
	return subtle.ConstantTimeCompare(hash[:], r.enabler[:]) == 1
}

// validStep refuses what no rule has a meaning for.
func validStep(req *storage.SlotRequest) bool {
	switch m := req.Message.(type) {
	case agree.Read:
		return req.Fetch >= 0 && req.From >= 0
	case agree.Prepare:
	case agree.Fast:
		if m.New.IsZero() {
			return false
		}
	case agree.Accept:
		if m.Version.IsZero() || m.Base.Itself && !m.Base.Version.IsZero() {
			return false
		}
	case agree.Learn:
		if m.Version.IsZero() {
			return false
		}
	default:
		return false
	}
	return req.Enabler != nil && req.Fetch >= 0 && req.From >= 0 &&
		len(req.Ancestors) <= storage.MaxAncestors && len(req.Placement) <= storage.MaxPlacement
}

// step carries out a message that may change the slot, and returns its
// record afterwards. errMissing: it was not done, for want of shares.
func (s *Store) step(old *record, who Authority, si caps.StorageIndex, req *storage.SlotRequest) (*record, bool, error) {
	c := s.begin(old, s.blank(who, si, req.Enabler))
	defer c.end()
	r := c.next
	before := r.state
	after, done := before.Apply(req.Message)
	list, agreed := agree.Recorded(req.Message, before, after, r.placement, req.Placement)
	if !done || !agreed || after != before && r.refuses(req.Message) {
		return old, false, nil
	}
	r.state = after
	v, installs := installed(req.Message, after)
	if installs {
		if err := c.installAll(v, req); err != nil {
			return old, false, err
		}
		if after.Current != before.Current {
			r.ancestors = slices.Clone(req.Ancestors)
		}
		r.placement = slices.Clone(list)
	}
	switch req.Message.(type) {
	case agree.Prepare:
		r.seen = r.isForeign
	case agree.Accept:
		if after != before {
			r.foreign, r.isForeign, r.seen, r.lost = nil, false, false, false
		}
	}
	if old != nil && old.same(r) {
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

// refuses: votes wait until their writer knows what a Tahoe-LAFS client
// wrote here.
func (r *record) refuses(m agree.Message) bool {
	switch m.(type) {
	case agree.Fast:
		return r.isForeign
	case agree.Accept:
		return r.isForeign && !r.seen
	}
	return false
}

// installed says which version the message leaves as current, if it does.
func installed(m agree.Message, after agree.State) (agree.VersionID, bool) {
	var v agree.VersionID
	var b agree.Ballot
	switch m := m.(type) {
	case agree.Fast:
		v, b = m.New, m.Ballot.Next()
	case agree.Accept:
		v, b = m.Version, m.Ballot
	case agree.Learn:
		v, b = m.Version, m.Ballot
	default:
		return v, false
	}
	return v, after.Current == v && after.Accepted == b
}

// installAll brings the shares of the next record in line with its state.
func (c *change) installAll(v agree.VersionID, req *storage.SlotRequest) (err error) {
	r := c.next
	if r.current, err = c.install(v, req.Shares, r.step); err != nil {
		return err
	}
	var base agree.VersionID
	if !r.state.Committed && !r.state.Base.Itself {
		base = r.state.Base.Version
	}
	if r.base, err = c.install(base, req.Base, r.step-1); err != nil {
		return err
	}
	if len(r.current) == 0 || len(r.base) == 0 && !base.IsZero() {
		return errMissing
	}
	return nil
}

// same says that next has nothing that r has not.
func (r *record) same(next *record) bool {
	return r.state == next.state && r.seen == next.seen && r.isForeign == next.isForeign && r.lost == next.lost && slices.Equal(r.placement, next.placement) &&
		maps.Equal(r.current, next.current) && maps.Equal(r.base, next.base) && maps.Equal(r.foreign, next.foreign)
}

// answer tells the slot's state, with bytes of its shares.
func (s *Store) answer(out *storage.SlotAnswer, r *record, from, fetch int64) (err error) {
	out.State, out.Foreign, out.Lost = r.state, r.isForeign, r.lost
	out.Ancestors, out.Placement = slices.Clone(r.ancestors), slices.Clone(r.placement)
	if n := int64(len(r.current) + len(r.base) + len(r.foreign)); n > 0 {
		fetch = min(fetch, storage.MaxSlotFetch/n)
	}
	sets := []shareSet{r.current, r.base, nil}
	if r.isForeign {
		sets = []shareSet{r.foreign, r.current, r.base}
	}
	for i, set := range []*map[storage.ShareNumber]storage.SlotShare{&out.Current, &out.Base, &out.Older} {
		if *set, err = s.fetch(r.si, sets[i], from, fetch); err != nil {
			return err
		}
	}
	return nil
}

// fetch reads length bytes from byte from on of each share. One whose file
// is broken is left out.
func (s *Store) fetch(si caps.StorageIndex, set shareSet, from, length int64) (map[storage.ShareNumber]storage.SlotShare, error) {
	var out map[storage.ShareNumber]storage.SlotShare
	for n, ref := range set {
		f, err := s.openRef(si, n, ref)
		if errors.Is(err, errHeader) {
			continue
		}
		if err != nil {
			return nil, err
		}
		data := make([]byte, max(0, min(length, ref.length-from)))
		_, err = f.ReadAt(data, from)
		f.Close()
		if len(data) > 0 && err != nil {
			return nil, s.fault("read a share", err)
		}
		if out == nil {
			out = map[storage.ShareNumber]storage.SlotShare{}
		}
		out[n] = storage.SlotShare{Size: ref.length, Data: data}
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
