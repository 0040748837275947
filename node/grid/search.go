package grid

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"lafs/shares/caps"
	"lafs/shares/immutable"
	"lafs/shares/placement"
	"lafs/shares/storage"
)

// A search finds the shares of one file and keeps what is known of them. It
// lives as long as the File.
type search struct {
	g    *Grid
	cap  *caps.CHKVerifier
	si   caps.StorageIndex
	dec  *immutable.Decoder
	ctx  context.Context // of listing and opening shares, which serve all copies
	stop context.CancelFunc
	work sync.WaitGroup
	once sync.Once

	reads  bool  // shares are going to be read; set before start
	held   *once // guards memory
	memory *hold // of a file whose shares are read whole

	mu      sync.Mutex
	changed chan struct{} // guarded by mu; closed and replaced when anything below changes
	holders []*holder     // guarded by mu
	pending int           // guarded by mu; servers that have not answered
	shares  []*remote     // guarded by mu
}

// A holder is one server in a search. Its fields are guarded by the search.
type holder struct {
	server   Server
	answered bool
	err      error // why it did not answer
	failures int
	retryAt  time.Time // not before, after a failure
	corrupt  bool      // it holds a corrupt share
	inFlight int       // reads under way
	pace     time.Duration
	reviving bool // it will be asked again
	revivals int  // how often it was asked again
	ahead    []*part
	overdue  bool // its answer is, so that nobody waits for what it was asked for ahead
}

// A remote is one share at one server. Its fields are guarded by the search,
// except share and err, which opened guards.
type remote struct {
	h       *holder
	n       int
	data    []byte         // the share itself, if it came with the list
	head    immutable.Head // what opens it, if that did
	bad     bool           // it is of no use
	corrupt bool           // because its bytes are wrong
	opened  chan struct{}  // nil before somebody opens it; closed when that ended
	share   *immutable.Share
	err     error
}

func (g *Grid) newSearch(c *caps.CHKVerifier, dec *immutable.Decoder) *search {
	s := &search{g: g, cap: c, si: c.Index, dec: dec, changed: make(chan struct{}), held: newOnce()}
	s.ctx, s.stop = context.WithCancel(g.ctx)
	return s
}

func (s *search) close() {
	s.stop()
	s.work.Wait()
	if s.memory != nil {
		s.memory.release()
		s.memory = nil
	}
}

// start asks all known servers at once which shares they hold, and, where
// length bytes from offset are about to be read, for what opens them and for
// the first parts. End what it returns.
func (s *search) start(offset, length int64) (ahead *ahead) {
	s.once.Do(func() {
		s.reads = length > 0
		servers := placement.Permute(s.si, s.g.cfg.Servers(), func(s Server) []byte { return s.Seed })
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pending = len(servers)
		for i, server := range servers {
			if i < s.cap.Total {
				s.widen(server, length, min(len(servers), s.cap.Total))
			}
			h := &holder{server: server}
			s.holders = append(s.holders, h)
			s.work.Go(func() { s.list(h, listTries) })
		}
		if s.reads {
			ahead = s.askAhead(offset, length)
		}
	})
	return ahead
}

// widen has lanes opened to a server that is likely to be read from, while it
// is asked: as many as its part of length bytes needs, if each of so many
// servers gives the same.
func (s *search) widen(server Server, length int64, servers int) {
	if s.likelyShareSize() <= storage.MaxWholeShare {
		return // it comes with the answer
	}
	if s.whole() {
		servers = min(s.cap.Needed, servers)
	}
	expect(server, length/int64(servers))
}

// list asks a server which shares it holds.
func (s *search) list(h *holder, tries int) {
	var held []*remote
	var err error
	for try := range tries {
		if try > 0 && !pause(s.ctx, retryDelay) {
			break
		}
		ctx, cancel := context.WithTimeout(s.ctx, askTimeout)
		held, err = s.ask(ctx, h)
		cancel()
		if !broken(err) {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending--
	h.reviving = false
	h.err = err
	if err == nil {
		h.answered = true
		slices.SortFunc(held, func(a, b *remote) int { return cmp.Compare(a.n, b.n) })
		for _, r := range slices.CompactFunc(held, func(a, b *remote) bool { return a.n == b.n }) {
			if r.n < s.cap.Total {
				s.shares = append(s.shares, r)
			}
		}
	}
	s.wake()
}

// listTries is how often a server is asked for its shares when the
// connection breaks.
const listTries = 2

// wake tells all that wait that something changed. The caller holds mu.
func (s *search) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

const (
	// readFailures end a server's part in a download.
	readFailures = 3
	// untriedPace stands for the pace of a server that has not been read yet.
	untriedPace = time.Second
)

// pick returns a share with a number not in taken, from the server that is
// likely to answer first, and counts it as being read. If there is none now,
// it returns a channel that is closed when there may be, and whether that
// can still happen at all. Of the wanted shares, as many are left to servers
// that were asked for theirs ahead as have yet to say which they hold.
func (s *search) pick(taken map[int]bool, wanted int) (r *remote, changed <-chan struct{}, hope bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	others := !s.whole() || s.awaitedLocked(0, s.likelyShareSize()) < wanted
	var best *remote
	hope = s.pending > 0
	for _, r := range s.shares {
		if r.bad || taken[r.n] || r.h.failures >= readFailures {
			continue
		}
		hope = true
		if now.Before(r.h.retryAt) || !others && !s.comes(r) {
			continue
		}
		if best == nil || s.better(r, best) {
			best = r
		}
	}
	if best != nil {
		best.h.inFlight++
	}
	return best, s.changed, hope
}

// changes returns a channel that is closed at the next change.
func (s *search) changes() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// soonest returns the share, with a number not in taken, whose server is
// likely to have sent size bytes from begin first, and counts it as being
// read; whether the server has room for that now, beside what it owes the
// download already; and, if there is none, whether there may be one later. A
// server that was asked for them ahead comes first, and has room.
func (s *search) soonest(taken map[int]bool, begin, size int64, owes map[*pace]int64) (best *remote, room, hope bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	hope = s.pending > 0
	most := s.fairRate()
	var least time.Duration
	for _, r := range s.shares {
		if r.bad || taken[r.n] || r.h.failures >= readFailures {
			continue
		}
		hope = true
		if now.Before(r.h.retryAt) {
			continue
		}
		known := heard(r.h.server)
		trip, pace := known.Trip, s.g.pace(r.h.server)
		promised := r.h.promised(r.n, begin, begin+size) != nil
		after := time.Duration(r.h.failures) * retryDelay
		if !promised {
			after += pace.after(size, trip, most)
		}
		if r.share == nil && !promised {
			after += trip
		}
		if pace.silent(known) {
			after += readTimeout
		}
		// Low numbers are the file's own bytes and need no arithmetic.
		if best == nil || after < least || after == least && r.n < best.n {
			best, least = r, after
			room = promised || pace.room(size, owes[pace], trip, most)
		}
	}
	if best != nil {
		best.h.inFlight++
	}
	return best, room, hope
}

// fairRate is the rate that half of the holders have, and a quarter more: what
// was measured above it scatters. The caller holds mu.
func (s *search) fairRate() float64 {
	var rates []float64
	for _, h := range s.holders {
		if h.answered {
			rates = append(rates, s.g.pace(h.server).known())
		}
	}
	if len(rates) == 0 {
		return usualRate
	}
	slices.Sort(rates)
	return rates[len(rates)/2] * 5 / 4
}

// undo takes back what soonest counted.
func (s *search) undo(r *remote) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.h.inFlight--
}

// openAll opens every share that nobody has opened, so that its server can be
// read from when it has room.
func (s *search) openAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.shares {
		if !r.bad && r.opened == nil && r.err == nil && r.h.failures == 0 {
			s.startOpening(r)
		}
	}
}

// better prefers servers without failures, then the share that is likely to
// be there first, then low numbers: they are the file's own bytes and need no
// arithmetic.
func (s *search) better(a, b *remote) bool {
	return cmp.Or(
		cmp.Compare(a.h.failures, b.h.failures),
		cmp.Compare(s.expected(a), s.expected(b)),
		cmp.Compare(a.n, b.n),
	) < 0
}

// expected guesses when a read from r would be done: after those that the
// server is at, and one more if the share is yet to be opened. A small share
// is there as a whole when it is open, or was asked for ahead.
func (s *search) expected(r *remote) time.Duration {
	h := r.h
	pace := h.pace
	if pace == 0 {
		pace = untriedPace
	}
	reads := h.inFlight + 1
	switch {
	case s.whole() && (r.opened != nil || s.comes(r)):
		reads = 0
	case r.opened == nil:
		reads++
	}
	// Paces within a factor of the trip's own scatter count as equal.
	return time.Duration(reads) * pace.Round(untriedPace/4)
}

// comes reports whether r was asked for ahead as a whole. The caller holds mu.
func (s *search) comes(r *remote) bool { return r.h.promised(r.n, 0, s.likelyShareSize()) != nil }

// read notes the end of a read that took so long, with its outcome.
func (s *search) read(r *remote, took time.Duration, err error, cancelled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.wake()
	h := r.h
	h.inFlight--
	switch {
	case cancelled:
		// It lost against others: at least as slow as this.
		h.pace = max(h.pace, took)
	case err == nil:
		h.failures = 0
		if h.pace == 0 {
			h.pace = took
		}
		h.pace = (3*h.pace + took) / 4
	case errors.Is(err, immutable.ErrCorrupt):
		s.corrupt(r)
	case errors.Is(err, storage.ErrNotFound):
		r.bad = true
	default:
		h.failures++
		h.err = err
		if errors.Is(err, storage.ErrPeer) {
			h.failures = readFailures
		}
		h.retryAt = time.Now().Add(time.Duration(h.failures) * retryDelay)
		s.g.cfg.Log.Debug("reading a share went wrong", "server", h.server.label(), "share", r.n, "file", s.si, "err", err)
	}
}

// corrupt drops a share and tells its server. The caller holds mu.
func (s *search) corrupt(r *remote) {
	if r.bad {
		return
	}
	r.bad, r.corrupt, r.h.corrupt = true, true, true
	server := r.h.server
	s.g.cfg.Log.Warn("a storage server holds a corrupt share", "server", server.label(), "share", r.n, "file", s.si)
	s.g.later(func(ctx context.Context) {
		// Best effort: the server's operator learns of it another time.
		_ = server.Storage.AdviseCorrupt(ctx, storage.Immutable, s.si, storage.ShareNumber(r.n), "a hash of the share does not match")
	})
}

// notEnough describes why there is no hope.
func (s *search) notEnough() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := &NotEnoughSharesError{Needed: s.cap.Needed, Total: s.cap.Total, Network: s.g.cfg.Network()}
	good := make(map[int]bool)
	for _, r := range s.shares {
		if !r.bad && r.h.failures < readFailures {
			good[r.n] = true
		}
	}
	e.Found = len(good)
	for _, h := range s.holders {
		e.Network = networkError(e.Network, h.err)
		name := h.server.label()
		if h.answered && h.failures < readFailures {
			e.Asked = append(e.Asked, name)
		} else {
			e.Unreached = append(e.Unreached, name)
		}
		if h.corrupt {
			e.Corrupt = append(e.Corrupt, name)
		}
	}
	return e
}
