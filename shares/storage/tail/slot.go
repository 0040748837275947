package tail

import (
	"maps"
	"slices"

	"lafs/shares/agree"
	"lafs/shares/storage"
)

// A slot is what one server holds of one object, as it was at one moment. It
// is not changed once it is made.
type slot struct {
	shares map[storage.ShareNumber]*share
	// top is the newest record of all, nil if there is none.
	top   *record
	state agree.State
	// foreign, seen and lost are those of storage.SlotAnswer and record.
	foreign, seen, lost bool
}

// assemble sums up shares that are complete.
func assemble(shares map[storage.ShareNumber]*share) *slot {
	s := &slot{shares: shares}
	for _, sh := range shares {
		if r := sh.rec; r != nil && (s.top == nil || s.top.step < r.step || s.top.step == r.step && string(s.top.nonce[:]) < string(r.nonce[:])) {
			s.top = r
		}
	}
	if s.top != nil {
		s.state = s.top.state
	}
	s.seen = s.top != nil && s.top.seen
	for _, sh := range shares {
		if sh.header == nil {
			continue
		}
		if sh.version != s.state.Current && !s.lags(sh) {
			s.foreign = true
			s.seen = s.seen && s.inLine(sh) && sh.rec.of == sh.version
		}
	}
	s.seen = s.seen && s.foreign
	s.lost = s.foreign && (s.top == nil || s.top.lost)
	return s
}

// inLine: the share's record is of the slot's last step.
func (s *slot) inLine(sh *share) bool {
	return sh.rec != nil && sh.rec.step == s.top.step && sh.rec.nonce == s.top.nonce
}

// lags: the share is as an earlier step left it. A server of Tahoe-LAFS's
// that fell down in the middle of a step leaves such.
func (s *slot) lags(sh *share) bool {
	return sh.rec != nil && sh.rec.of == sh.version && !s.inLine(sh)
}

// even: all shares are of one step. If not, they may have been read while
// one was carried out.
func (s *slot) even() bool {
	for _, sh := range s.shares {
		if (sh.header != nil || sh.rec != nil) && (s.top == nil || !s.inLine(sh)) {
			return s.top == nil
		}
	}
	return true
}

// same: another reading shows the same.
func (s *slot) same(t *slot) bool {
	return t != nil && maps.EqualFunc(s.shares, t.shares, func(a, b *share) bool {
		return string(a.first) == string(b.first) && string(a.recHead) == string(b.recHead)
	})
}

// unknown: there is a share that this program must not touch.
func (s *slot) unknown() bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(s.shares)), func(sh *share) bool { return sh.unknown })
}

// bodies are the lists that the records have, by their hash.
func (s *slot) bodies() map[[32]byte][]byte {
	out := map[[32]byte][]byte{}
	if s != nil {
		for _, sh := range s.shares {
			if sh.rec != nil {
				out[sh.rec.bodyHash] = sh.body
			}
		}
	}
	return out
}

// hasBase: the share's record brings the base of the slot's state.
func (s *slot) hasBase(sh *share) bool {
	v := s.state.Kept()
	return sh.rec != nil && sh.rec.baseSize > 0 && !v.IsZero() && sh.rec.state.Kept() == v
}

// wanted says which bytes of shares and bases an answer shall bring.
type wanted struct{ from, fetch int64 }

// ofShare and ofBase are the spans of a file that it wants.
func (w wanted) ofShare(sh *share) storage.Span {
	return storage.Span{Offset: w.from, Size: max(0, min(w.fetch, sh.length()-w.from))}
}

func (w wanted) ofBase(sh *share) storage.Span {
	return storage.Span{Offset: sh.baseAt() + min(w.from, sh.rec.baseSize), Size: max(0, min(w.fetch, sh.rec.baseSize-w.from))}
}

// needs lists, for each share, the wanted spans that are not known.
func (s *slot) needs(w wanted) map[storage.ShareNumber][]storage.Span {
	out := map[storage.ShareNumber][]storage.Span{}
	for n, sh := range s.shares {
		var spans []storage.Span
		if sh.header != nil {
			spans = append(spans, w.ofShare(sh))
		}
		if s.hasBase(sh) {
			spans = append(spans, w.ofBase(sh))
		}
		for _, span := range spans {
			if _, ok := sh.pieces.get(span.Offset, span.Size); !ok && span.Size > 0 {
				out[n] = append(out[n], span)
			}
		}
	}
	return out
}

// answer tells the state, with the wanted bytes as far as they are known.
func (s *slot) answer(w wanted, done, missing bool) storage.SlotAnswer {
	a := storage.SlotAnswer{Done: done, Missing: missing, State: s.state, Foreign: s.foreign, Lost: s.lost}
	if s.top != nil {
		a.Ancestors, a.Placement = slices.Clone(s.top.ancestors), slices.Clone(s.top.placement)
	}
	put := func(to *map[storage.ShareNumber]storage.SlotShare, sh *share, size int64, span storage.Span) {
		data, ok := sh.pieces.get(span.Offset, span.Size)
		if span.Size > 0 && (!ok || int64(len(data)) < span.Size) {
			return // it ends before its end
		}
		if *to == nil {
			*to = map[storage.ShareNumber]storage.SlotShare{}
		}
		(*to)[sh.number] = storage.SlotShare{Size: size, Data: data}
	}
	current, base := &a.Current, &a.Base
	if s.foreign {
		base = &a.Older
	}
	for _, sh := range s.shares {
		if sh.header != nil {
			is := sh.version == s.state.Current
			if is && !s.foreign || s.foreign {
				put(current, sh, sh.length(), w.ofShare(sh))
			}
			if is && s.foreign {
				put(&a.Base, sh, sh.length(), w.ofShare(sh))
			}
		}
		if s.hasBase(sh) {
			put(base, sh, sh.rec.baseSize, w.ofBase(sh))
		}
	}
	return a
}
