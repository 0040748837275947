package tail

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"maps"
	"slices"

	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// A change is one step on a slot, worked out but not carried out.
type change struct {
	old           *slot
	done, missing bool
	// writes: something is to be written. If not, the answer is old.
	writes bool
	// files is what becomes of the share numbers; those not in it stay.
	files map[storage.ShareNumber]*file
	// absent are numbers that must not be there.
	absent []storage.ShareNumber
}

// A file is what becomes of one share number.
type file struct {
	// share replaces what is there; nil leaves it.
	share []byte
	// base replaces the base share; nil leaves it if keepBase, else there is
	// none then.
	base     []byte
	keepBase bool
	// drop removes the whole file.
	drop bool
	rec  *record
	body []byte
}

// plan works a step out: what node/store's slots do with it, on what is to be
// found behind shares.
func (s *Slots) plan(ctx context.Context, si caps.StorageIndex, old *slot, req *storage.SlotRequest) (*change, error) {
	c := &change{old: old, files: map[storage.ShareNumber]*file{}}
	after, done := old.state.Apply(req.Message)
	var placement []byte
	if old.top != nil {
		placement = old.top.placement
	}
	list, agreed := agree.Recorded(req.Message, old.state, after, placement, req.Placement)
	if !done || !agreed || after != old.state && old.refuses(req) {
		return c, nil
	}
	c.done = true
	next := record{state: after, step: 1}
	if old.top != nil {
		next.step = old.top.step + 1
		next.ancestors, next.placement = old.top.ancestors, placement
	}
	rand.Read(next.nonce[:]) // it never fails
	v, installs := agree.Installed(req.Message, after)
	switch {
	case installs:
		if after.Current != old.state.Current {
			next.ancestors = req.Ancestors
		}
		next.placement = list
		if err := c.install(ctx, s, si, req, v, after); err != nil {
			return nil, err
		}
		if c.missing {
			return c, nil
		}
	case after != old.state, old.foreign && !old.seen:
		next.seen, next.lost = old.foreign, old.lost
		c.promise(req.Numbers)
	default:
		return c, nil
	}
	body := next.setBody()
	for n, f := range c.files {
		if f.drop {
			continue
		}
		sh := old.shares[n]
		if err := f.finish(ctx, s, si, old, sh, after, &next); err != nil {
			return nil, err
		}
		f.body = body
		f.rec.number, f.rec.of = n, f.versionOf(sh)
	}
	c.writes = after != old.state || !c.idle(&next)
	return c, nil
}

// idle: the step leaves all as it was.
func (c *change) idle(next *record) bool {
	for _, f := range c.files {
		if f.share != nil || f.drop {
			return false
		}
	}
	return c.old.top != nil && c.old.top.bodyHash == next.bodyHash && !(c.old.foreign && !c.old.seen)
}

// refuses: votes wait until their writer knows what a Tahoe-LAFS client wrote
// here, or shows that he does: he builds on it. What a Learn would drop may
// be all that is left of its version.
func (s *slot) refuses(req *storage.SlotRequest) bool {
	switch m := req.Message.(type) {
	case agree.Fast:
		return s.foreign
	case agree.Learn:
		return s.foreign && !s.under(m.Version, req.Ancestors)
	case agree.Accept:
		return s.foreign && !s.seen && !s.under(m.Version, req.Ancestors)
	}
	return false
}

// under: all that a Tahoe-LAFS client wrote here is v or one of its
// ancestors.
func (s *slot) under(v agree.VersionID, ancestors []agree.VersionID) bool {
	for _, sh := range s.shares {
		if sh.header != nil && sh.version != s.state.Current && !s.lags(sh) && sh.version != v && !slices.Contains(ancestors, sh.version) {
			return false
		}
	}
	return true
}

// promise writes the record again behind all shares; where there is none, it
// stands alone in the place of the first share that the server is to hold.
func (c *change) promise(numbers []storage.ShareNumber) {
	alone := true
	for n, sh := range c.old.shares {
		if sh.header != nil {
			alone = false
		}
		if sh.header != nil && !c.old.lags(sh) || sh.header == nil && sh.rec != nil {
			c.files[n] = &file{keepBase: c.old.hasBase(sh)}
		}
	}
	if alone && len(c.files) == 0 {
		first := storage.ShareNumber(0)
		if len(numbers) > 0 {
			first = slices.Min(numbers)
		}
		c.files[first] = &file{}
	}
	for _, n := range numbers {
		if c.files[n] == nil && c.old.shares[n] == nil {
			c.absent = append(c.absent, n)
		}
	}
}

// install puts the shares of v in place and those of its base behind them.
// What is held is not sent again, but for a share that is given: the one that
// is held may be damaged.
func (c *change) install(ctx context.Context, s *Slots, si caps.StorageIndex, req *storage.SlotRequest, v agree.VersionID, after agree.State) error {
	old := c.old
	for n, data := range req.Shares {
		if err := checkShare(n, data, v); err != nil {
			return err
		}
		c.files[n] = &file{share: data}
		if sh := old.shares[n]; sh != nil && sh.version == v && sh.header != nil && after == old.state {
			c.files[n].share = nil
		}
	}
	for n, sh := range old.shares {
		if c.files[n] != nil {
			continue
		}
		switch {
		case sh.header != nil && sh.version == v:
			c.files[n] = &file{}
		case old.hasBase(sh) && old.state.Kept() == v:
			data, err := s.whole(ctx, si, sh, true)
			if err != nil {
				return err
			}
			c.files[n] = &file{share: data}
		}
	}
	if len(c.files) == 0 {
		c.done, c.missing = false, true
		return nil
	}
	if err := c.installBase(ctx, s, si, req, after.Kept()); err != nil || c.missing {
		return err
	}
	for n := range old.shares {
		if c.files[n] == nil {
			c.files[n] = &file{drop: true}
		}
	}
	return nil
}

func (c *change) installBase(ctx context.Context, s *Slots, si caps.StorageIndex, req *storage.SlotRequest, v agree.VersionID) error {
	if v.IsZero() {
		return nil
	}
	given := req.Base
	if len(given) == 0 && req.Replaced != nil {
		given = req.Replaced()
	}
	found := false
	for n, f := range c.files {
		sh := c.old.shares[n]
		switch {
		case sh != nil && c.old.hasBase(sh) && c.old.state.Kept() == v && f.share == nil:
			f.keepBase = true
		case given[n] != nil:
			if err := checkShare(n, given[n], v); err != nil {
				return err
			}
			f.base = given[n]
		case sh != nil && c.old.hasBase(sh) && c.old.state.Kept() == v:
			data, err := s.whole(ctx, si, sh, true)
			if err != nil {
				return err
			}
			f.base = data
		case sh != nil && sh.header != nil && sh.version == v:
			data, err := s.whole(ctx, si, sh, false)
			if err != nil {
				return err
			}
			f.base = data
		}
		found = found || f.keepBase || f.base != nil
	}
	if !found {
		c.done, c.missing = false, true
	}
	return nil
}

// checkShare refuses a share that is not whole, or of another version.
func checkShare(n storage.ShareNumber, data []byte, v agree.VersionID) error {
	h, err := mutable.ParseHeader(data[:min(mutable.HeaderSize, len(data))])
	if err != nil || v != storage.VersionOf(h) || int64(len(data)) != h.ShareSize() || int(n) >= h.Total {
		return storage.ErrBadRequest
	}
	return nil
}

// whole reads a share, or the base behind it. That it was all of one moment
// is what the tests of the step show, and a hash.
func (s *Slots) whole(ctx context.Context, si caps.StorageIndex, sh *share, base bool) ([]byte, error) {
	span := storage.Span{Size: sh.length()}
	if base {
		span = storage.Span{Offset: sh.baseAt(), Size: sh.rec.baseSize}
	}
	if span.Size > storage.MaxSlotShare {
		return nil, storage.ErrTooLarge
	}
	data, ok := sh.pieces.get(span.Offset, span.Size)
	if !ok {
		var err error
		if data, err = readSpan(ctx, s.server, si, sh.number, span); err != nil {
			return nil, err
		}
	}
	v := sh.version
	if base {
		if v = sh.rec.state.Kept(); sha256.Sum256(data) != sh.rec.baseHash {
			return nil, storage.ErrBusy
		}
	}
	if checkShare(sh.number, data, v) != nil {
		return nil, storage.ErrBusy // it changed meanwhile, or is cut
	}
	return data, nil
}

// versionOf is the version of the share that readers will see.
func (f *file) versionOf(sh *share) agree.VersionID {
	switch {
	case f.share != nil:
		h, _ := mutable.ParseHeader(f.share[:min(mutable.HeaderSize, len(f.share))])
		return storage.VersionOf(h)
	case sh != nil:
		return sh.version
	}
	return agree.VersionID{}
}

// finish makes the file's record. A base that stays must stay where it is.
func (f *file) finish(ctx context.Context, s *Slots, si caps.StorageIndex, old *slot, sh *share, after agree.State, next *record) error {
	r := *next
	f.rec = &r
	if f.keepBase && sh.rec.bodyHash != r.bodyHash {
		data, err := s.whole(ctx, si, sh, true)
		if err != nil {
			return err
		}
		f.base, f.keepBase = data, false
	}
	switch {
	case f.keepBase:
		r.baseSize, r.baseHash = sh.rec.baseSize, sh.rec.baseHash
	case f.base != nil:
		r.baseSize, r.baseHash = int64(len(f.base)), sha256.Sum256(f.base)
	}
	return nil
}

// where is where the file's record will begin.
func (f *file) where(sh *share) int64 {
	switch {
	case f.share != nil:
		return int64(len(f.share)) + gap
	case sh != nil:
		return sh.at
	}
	return 0
}

// request says what to test, to write and to read.
func (c *change) request(want wanted) (map[storage.ShareNumber]storage.TestWrite, []storage.Span) {
	writes := map[storage.ShareNumber]storage.TestWrite{}
	spans := []storage.Span{{Size: mutable.HeaderSize}}
	for n, sh := range c.old.shares {
		if sh.header == nil && sh.rec == nil {
			continue
		}
		spans = append(spans, storage.Span{Offset: sh.at, Size: headSize})
		if f := c.files[n]; f != nil && !f.drop && f.share == nil && sh.header != nil {
			spans = append(spans, want.ofShare(sh))
			if f.keepBase {
				spans = append(spans, want.ofBase(sh))
			}
		}
	}
	for n, f := range c.files {
		writes[n] = f.testWrite(c.old.shares[n])
	}
	for _, n := range c.absent {
		writes[n] = storage.TestWrite{Tests: tests(nil), NewLength: new(int64)}
	}
	spans = slices.DeleteFunc(compact(spans), func(s storage.Span) bool { return s.Size == 0 || s.Size > storage.MaxWholeShare })
	return writes, spans[:min(len(spans), maxSpans)]
}

// tests are that a share, with what stands behind it, is still as it was.
func tests(sh *share) []storage.Test {
	switch {
	case sh == nil:
		return []storage.Test{{Span: storage.Span{Size: 1}}}
	case sh.header == nil && sh.rec == nil:
		return []storage.Test{{Span: storage.Span{Size: mutable.HeaderSize}, Specimen: sh.first}}
	}
	record := sh.past
	if sh.rec != nil {
		record = sh.recHead
	}
	return []storage.Test{{Span: storage.Span{Size: mutable.HeaderSize}, Specimen: sh.first},
		{Span: storage.Span{Offset: sh.at, Size: headSize}, Specimen: record}}
}

func (f *file) testWrite(sh *share) storage.TestWrite {
	w := storage.TestWrite{Tests: tests(sh)}
	if f.drop {
		w.NewLength = new(int64)
		return w
	}
	at := f.where(sh)
	if f.share != nil {
		w.Patches = append(w.Patches, storage.Patch{Data: f.share})
		// Nothing that looks like a record may stay before it.
		if left := min(gap, sh.end()-int64(len(f.share))); left > 0 {
			w.Patches = append(w.Patches, storage.Patch{Offset: int64(len(f.share)), Data: make([]byte, left)})
		}
	}
	head := f.rec.head()
	if f.share != nil || sh == nil || sh.rec == nil || sh.rec.bodyHash != f.rec.bodyHash || f.base != nil {
		head = slices.Concat(head, f.body, f.base)
	}
	w.Patches = append(w.Patches, storage.Patch{Offset: at, Data: head})
	end := at + f.rec.size()
	w.NewLength = &end
	return w
}

// end is where a file may have bytes up to.
func (sh *share) end() int64 {
	switch {
	case sh == nil:
		return 0
	case sh.rec != nil:
		return sh.at + sh.rec.size()
	}
	return 1 << 62
}

// result is the slot after the step, with the bytes at hand.
func (c *change) result(spans []storage.Span, data map[storage.ShareNumber][][]byte) *slot {
	before := sharesOf(spans, data)
	shares := maps.Clone(c.old.shares)
	if shares == nil {
		shares = map[storage.ShareNumber]*share{}
	}
	for n, f := range c.files {
		if f.drop {
			delete(shares, n)
			continue
		}
		old := c.old.shares[n]
		sh := &share{number: n, rec: f.rec, recHead: f.rec.head(), body: f.body, at: f.where(old), version: f.rec.of, complete: true}
		switch {
		case f.share != nil:
			sh.first = f.share[:min(mutable.HeaderSize, len(f.share))]
			sh.header, _ = mutable.ParseHeader(sh.first)
			sh.pieces = pieces{{data: f.share}}
		case old != nil && old.header != nil:
			sh.first, sh.header = old.first, old.header
			sh.pieces = slices.Clone(old.pieces)
			if b := before[n]; b != nil {
				sh.pieces = append(sh.pieces, b.pieces...)
			}
		default:
			all := slices.Concat(sh.recHead, f.body, f.base)
			sh.first = all[:mutable.HeaderSize]
		}
		if f.base != nil {
			sh.pieces = append(pieces{{at: sh.baseAt(), data: f.base}}, sh.pieces...)
		}
		shares[n] = sh
	}
	return assemble(shares)
}
