package grid

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"lafs/shares/storage"
)

// patienceAhead is how long a server has to say which shares it holds before
// what it was asked for ahead is asked of others.
func patienceAhead(trip time.Duration) time.Duration { return trip + trip/2 }

// An ahead are the first parts of a download, asked of the servers that are
// likely to hold shares together with the question which they hold: a
// download waits one trip less. A server reads them from whatever share it
// has, and sends nothing if it has none. Where they lie in a share is a
// guess, which is right for files of today's segment size, and otherwise
// still brings bytes that the download needs.
type ahead struct {
	s       *search
	cut     cut      // of a large file, as guessed
	account *account // of the download
	base    *hold    // the download's own, nil once it took it over
	holds   []*hold  // one for each span that was asked for and that the download has not taken over
	parts   []*part
	due     []*time.Timer
}

// A part is the bytes of one share that one server was asked for ahead.
type part struct {
	h          *holder
	begin, end int64
	pieces     []*piece
	asked      time.Time
	expect     time.Duration // how long it takes, as far as was known
	owed       int64         // bytes that the server's pace counts; guarded by the search
	flying     bool          // a flight has taken the part over; guarded by the search
}

// A piece is one request of a part.
type piece struct {
	begin, end int64
	cancel     context.CancelFunc
	done       chan struct{} // closed when the request has ended

	mu   sync.Mutex
	n    int    // guarded by mu; the share that it is from
	data []byte // guarded by mu; what came, shorter where the share ends
	good bool   // guarded by mu; it came, and nobody has taken it
}

// take returns what came if that is of share n. It can be had once.
func (p *piece) take(n int) (data []byte, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.good || p.n != n {
		return nil, false
	}
	data, p.data, p.good = p.data, nil, false
	return data, true
}

// may reports whether the piece may be of use for share n.
func (p *piece) may(n int) bool {
	select {
	case <-p.done:
	default:
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.good && p.n == n
}

// askAhead asks for the first parts of length bytes from offset. nil: nothing
// was asked for. The caller holds mu.
func (s *search) askAhead(offset, length int64) *ahead {
	if s.likelyShareSize() <= storage.MaxWholeShare {
		return nil // it comes with the answer
	}
	var able []*holder
	for _, h := range s.holders[:min(len(s.holders), s.cap.Total)] {
		if _, ok := h.server.Storage.(storage.AnyReader); !ok {
			continue
		}
		if t, ok := h.server.Storage.(interface{ OnlyTahoe() bool }); ok && t.OnlyTahoe() {
			continue
		}
		able = append(able, h)
	}
	if len(able) < s.cap.Needed {
		return nil
	}
	a := &ahead{s: s, account: s.g.account()}
	if s.whole() {
		for _, h := range s.quickest(able, nil, s.likelyShareSize()) {
			a.ask(h, 0, s.likelyShareSize(), false)
		}
	} else {
		a.askSpans(able, offset, length)
	}
	if len(a.parts) == 0 {
		if a.base != nil {
			a.base.release()
		}
		return nil
	}
	for _, h := range able {
		if h.ahead == nil {
			continue
		}
		a.due = append(a.due, time.AfterFunc(patienceAhead(heard(h.server).Trip), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			h.overdue = true
			s.wake()
		}))
	}
	return a
}

// askSpans asks for as many of a large file's first spans as servers have
// room for and memory goes.
func (a *ahead) askSpans(able []*holder, offset, length int64) {
	s := a.s
	cut := newCut(s.dec.LikelySegmentSize(), s.cap, offset, length)
	a.cut = cut
	if a.base = a.account.tryTake(cut.base(), 1); a.base == nil {
		return
	}
	own := make(map[*pace]int64)
	for first := cut.first; first <= cut.last; first += cut.perSpan {
		count := cut.count(first)
		begin, end := s.dec.LikelyBlocks(first, count)
		best := s.quickest(able, own, end-begin)
		if best == nil {
			return
		}
		h := a.account.tryTake(cut.cost(), 1)
		if h == nil {
			return
		}
		a.holds = append(a.holds, h)
		for _, holder := range best {
			own[s.g.pace(holder.server)] += end - begin
			a.ask(holder, begin, end, true)
		}
	}
}

// quickest returns the k holders that are likely to have sent size bytes
// first; nil if not so many have room, beside what each was asked for
// already. The caller holds mu.
func (s *search) quickest(able []*holder, own map[*pace]int64, size int64) []*holder {
	most := s.fairRate()
	type candidate struct {
		h     *holder
		after time.Duration
	}
	var list []candidate
	for _, h := range able {
		known, pace := heard(h.server), s.g.pace(h.server)
		if own != nil && !pace.room(size, own[pace], known.Trip, most) {
			continue
		}
		after := pace.after(size, known.Trip, most)
		if pace.silent(known) {
			after += readTimeout
		}
		list = append(list, candidate{h, after})
	}
	if len(list) < s.cap.Needed {
		return nil
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(a.after, b.after) })
	var out []*holder
	for _, c := range list[:s.cap.Needed] {
		out = append(out, c.h)
	}
	return out
}

// ask sends off the requests for one part. The caller holds the search's mu.
func (a *ahead) ask(h *holder, begin, end int64, paced bool) {
	s, p := a.s, &part{h: h, begin: begin, end: end, asked: time.Now()}
	pace := s.g.pace(h.server)
	if paced {
		p.owed = end - begin
		p.expect = pace.ask(p.owed, heard(h.server))
	}
	size := int64(pieceSize(end - begin))
	for at := begin; at < end; at += size {
		ctx, cancel := context.WithTimeout(s.ctx, readTimeout)
		piece := &piece{begin: at, end: min(at+size, end), cancel: cancel, done: make(chan struct{})}
		p.pieces = append(p.pieces, piece)
		s.work.Go(func() {
			defer cancel()
			defer close(piece.done)
			data := make([]byte, piece.end-piece.begin)
			n, got, err := h.server.Storage.(storage.AnyReader).ReadAny(ctx, s.si, piece.begin, data)
			if err != nil {
				return
			}
			pace.came(int64(got), heard(h.server).Trip)
			piece.mu.Lock()
			defer piece.mu.Unlock()
			piece.n, piece.data, piece.good = int(n), data[:got], true
		})
	}
	a.parts = append(a.parts, p)
	h.ahead = append(h.ahead, p)
}

// end cancels what nobody has taken over, and gives its memory back.
func (a *ahead) end() {
	if a == nil {
		return
	}
	for _, t := range a.due {
		t.Stop()
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	for _, p := range a.parts {
		p.cancelLocked(a.s)
		p.h.ahead = nil
	}
	for _, h := range a.holds {
		h.release()
	}
	a.holds = nil
	if a.base != nil {
		a.base.release()
		a.base = nil
	}
}

// cancelLocked ends what nobody waits for any more. The caller holds the
// search's mu.
func (p *part) cancelLocked(s *search) {
	if p.owed > 0 {
		s.g.pace(p.h.server).drop(p.owed, heard(p.h.server).Trip)
		p.owed = 0
	}
	for _, piece := range p.pieces {
		piece.cancel()
	}
}

// spare ends the parts from begin to end that no flight has taken over: there
// is enough without them.
func (s *search) spare(begin, end int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.holders {
		for _, p := range h.ahead {
			if p.covers(begin, end) && !p.flying {
				p.cancelLocked(s)
			}
		}
	}
}

// covers reports whether the part has nearly all bytes from begin to end: what
// is missing is asked for when it is.
func (p *part) covers(begin, end int64) bool {
	return min(p.end, end)-max(p.begin, begin) >= (end-begin)*9/10
}

// promised returns the part that covers what is from begin to end, if its
// server was asked for it ahead, no flight has taken it over, and it may be of
// share n. The caller holds mu.
func (h *holder) promised(n int, begin, end int64) *part {
	for _, p := range h.ahead {
		if p.covers(begin, end) && !p.flying && p.pieces[0].may(n) {
			return p
		}
	}
	return nil
}

// awaited counts the servers that were asked ahead for what is from begin to
// end and may still say which share they hold.
func (s *search) awaited(begin, end int64) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.awaitedLocked(begin, end)
}

func (s *search) awaitedLocked(begin, end int64) (n int) {
	for _, h := range s.holders {
		if h.answered || h.err != nil || h.overdue {
			continue
		}
		for _, p := range h.ahead {
			if p.covers(begin, end) {
				n++
			}
		}
	}
	return n
}

// take has a flight take over what r's server was asked for ahead, and what
// its pace counts for it; nil if it was not asked.
func (s *search) take(r *remote, begin, end int64) *part {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := r.h.promised(r.n, begin, end)
	if p == nil {
		return nil
	}
	pace, known := s.g.pace(r.h.server), heard(r.h.server)
	if more := p.owed - (end - begin); more > 0 {
		pace.drop(more, known.Trip)
	} else if more < 0 {
		pace.ask(-more, known)
	}
	p.flying, p.owed = true, 0
	return p
}

// fit has a download cut the file as it was asked for ahead, as far as its
// segments allow, and reports whether it can take over what a holds. Segments
// of 128 KiB do, eight at a time.
func (a *ahead) fit(c *cut) bool {
	if a == nil || a.base == nil || c.segment > a.cut.segment {
		return false
	}
	want := a.cut.segment * int64(a.cut.perSpan)
	perSpan := (want + c.segment/2) / c.segment
	if off := perSpan*c.segment - want; max(off, -off) > want/100 {
		return false
	}
	c.perSpan = int(perSpan)
	return true
}

// hold hands over the memory of one span, nil if there is none left.
func (a *ahead) hold() (h *hold) {
	if a != nil && len(a.holds) > 0 {
		h, a.holds = a.holds[0], a.holds[1:]
	}
	return h
}

// pieceAt returns the piece that holds the byte at offset, and else where the
// next one begins, end if none does before.
func (s *search) pieceAt(h *holder, offset, end int64) (*piece, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range h.ahead {
		for _, piece := range p.pieces {
			if piece.begin <= offset && offset < piece.end {
				return piece, min(end, piece.end)
			}
			if piece.begin > offset {
				end = min(end, piece.begin)
			}
		}
	}
	return nil, end
}
