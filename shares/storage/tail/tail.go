package tail

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// A Server is what a server of Tahoe-LAFS's does for mutable objects. Its
// methods are those of storage.Server and storage.Slots.
type Server interface {
	Shares(ctx context.Context, kind storage.Kind, si caps.StorageIndex) ([]storage.ShareNumber, error)
	Read(ctx context.Context, kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber, offset int64, p []byte) (int, error)
	ReadTestWrite(ctx context.Context, si caps.StorageIndex, enabler *storage.WriteEnabler, lease *storage.LeaseSecrets,
		writes map[storage.ShareNumber]storage.TestWrite, spans []storage.Span) (success bool, data map[storage.ShareNumber][][]byte, err error)
}

const (
	// tries bounds the read-test-writes of one step: others change the slot
	// in between, and each that fails has met one that succeeded.
	tries = 8
	// learnDelay is how long a Learn waits for a step that makes it needless.
	// It frees space and saves readers a doubt; nothing depends on it.
	learnDelay = 500 * time.Millisecond
	// remembered bounds the slots remembered, a few kB each.
	remembered = 256
)

// Slots carries out steps on one server. It implements storage.Slots; all
// methods may be called at once.
type Slots struct {
	server Server

	mu    sync.Mutex
	known map[caps.StorageIndex]*memory // guarded by mu
}

// A memory is what was last seen of a slot. It saves trips, and is not
// believed: what is written is tested, and what is answered was read.
type memory struct {
	slot *slot
	busy int // steps under way
}

// New returns what does steps on server.
func New(server Server) *Slots {
	return &Slots{server: server, known: map[caps.StorageIndex]*memory{}}
}

// OnlyTahoe reports that votes are not kept by the server itself: always.
func (s *Slots) OnlyTahoe() bool { return true }

// ReadTestWrite implements storage.Slots: it is the server's own.
func (s *Slots) ReadTestWrite(ctx context.Context, si caps.StorageIndex, enabler *storage.WriteEnabler, lease *storage.LeaseSecrets,
	writes map[storage.ShareNumber]storage.TestWrite, spans []storage.Span) (bool, map[storage.ShareNumber][][]byte, error) {
	s.forget(si)
	return s.server.ReadTestWrite(ctx, si, enabler, lease, writes, spans)
}

// Slot implements storage.Slots. A reading takes two trips, and one if the
// slot was read before or the request has the write enabler and lease
// secrets; a step takes one if the slot is as it was last seen, and one for
// each other that came in between. Steps need lease secrets. Errors are those
// of the server, and storage.ErrBusy for a slot that would not stand still.
func (s *Slots) Slot(ctx context.Context, si caps.StorageIndex, req storage.SlotRequest) (storage.SlotAnswer, error) {
	none := storage.SlotAnswer{}
	if err := ctx.Err(); err != nil {
		return none, err
	}
	if _, reads := req.Message.(agree.Read); !req.Valid() || !reads && req.Lease == nil {
		return none, storage.ErrBadRequest
	}
	switch m := req.Message.(type) {
	case agree.Read:
		return s.look(ctx, si, &req)
	case agree.Learn:
		if len(req.Shares) == 0 && s.needless(ctx, si, m) {
			return storage.SlotAnswer{Done: true}, ctx.Err()
		}
	}
	defer s.begin(si)()
	return s.step(ctx, si, &req)
}

// look answers a Read.
func (s *Slots) look(ctx context.Context, si caps.StorageIndex, req *storage.SlotRequest) (storage.SlotAnswer, error) {
	r := s.reader(si, req, wanted{req.From, req.Fetch})
	r.only = req.Numbers
	if len(req.Numbers) > 0 {
		r.enabler = nil // one share, perhaps a large one, and not for a step
	}
	got, err := r.read(ctx)
	if errors.Is(err, storage.ErrUnauthorized) && r.atomic() {
		// Who may not write may read.
		r.enabler = nil
		got, err = r.read(ctx)
	}
	if err != nil {
		return storage.SlotAnswer{}, err
	}
	if len(req.Numbers) == 0 {
		s.remember(si, got)
	}
	return got.answer(r.want, true, false), nil
}

// reader reads a slot for a request.
func (s *Slots) reader(si caps.StorageIndex, req *storage.SlotRequest, want wanted) *reader {
	return &reader{s: s, si: si, enabler: req.Enabler, lease: req.Lease, want: want, known: s.recall(si)}
}

// step carries out a message that may change the slot.
func (s *Slots) step(ctx context.Context, si caps.StorageIndex, req *storage.SlotRequest) (storage.SlotAnswer, error) {
	none := storage.SlotAnswer{}
	want := wanted{req.From, req.Fetch}
	old, fresh := s.recall(si), false
	if m, ok := req.Message.(agree.Fast); old == nil && ok && m.Old.IsZero() && m.Ballot == (agree.Ballot{}) {
		old = &slot{} // it is thought to make the object
	}
	var took time.Duration
	for try := range tries {
		var err error
		if old == nil {
			if old, err = s.reader(si, req, want).read(ctx); err != nil {
				return none, err
			}
			fresh = true
		}
		if old.unknown() {
			return none, storage.ErrStateLost
		}
		c, err := s.plan(ctx, si, old, req)
		if err != nil {
			return none, err
		}
		if !c.writes {
			if !fresh {
				old = nil // what is only remembered is no answer
				continue
			}
			s.remember(si, old)
			return s.answer(ctx, si, old, want, req, c.done, c.missing)
		}
		start := time.Now()
		writes, spans := c.request(want)
		ok, data, err := s.server.ReadTestWrite(ctx, si, req.Enabler, req.Lease, writes, spans)
		took = time.Since(start)
		if err != nil {
			// It may have been done or not. The next step reads first.
			s.forget(si)
			return none, err
		}
		if ok {
			next := c.result(spans, data)
			s.remember(si, next)
			return s.answer(ctx, si, next, want, req, c.done, false)
		}
		s.forget(si)
		r := &reader{known: old, shares: sharesOf(spans, data)}
		if len(r.parse()) == 0 {
			old, fresh = assemble(r.shares), true
		} else {
			old, fresh = nil, false
		}
		if try > 0 && !pause(ctx, rand.N(max(took, time.Millisecond)<<min(try, 5))) {
			return none, ctx.Err()
		}
	}
	return none, storage.ErrBusy
}

// answer brings the bytes wanted, reading them if they are not at hand.
func (s *Slots) answer(ctx context.Context, si caps.StorageIndex, at *slot, want wanted, req *storage.SlotRequest, done, missing bool) (storage.SlotAnswer, error) {
	if len(at.needs(want)) > 0 {
		more, err := s.reader(si, req, want).read(ctx)
		if err != nil {
			return storage.SlotAnswer{}, err
		}
		if !more.same(at) {
			// Somebody was quick. What was done was done.
			a := at.answer(wanted{}, done, missing)
			a.Current, a.Base, a.Older = nil, nil, nil
			return a, nil
		}
		at = more
	}
	return at.answer(want, done, missing), nil
}

// needless waits for a step that makes a Learn so, and says whether one came.
func (s *Slots) needless(ctx context.Context, si caps.StorageIndex, m agree.Learn) bool {
	if !pause(ctx, learnDelay) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.known[si]
	return k != nil && (k.busy > 0 || k.slot != nil && m.Ballot.Less(k.slot.state.Accepted))
}

// pause waits; it is false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// begin counts a step under way, and returns what ends it.
func (s *Slots) begin(si caps.StorageIndex) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entry(si).busy++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.known[si].busy--
	}
}

// entry returns what is remembered of a slot, making room for it. The caller
// holds mu.
func (s *Slots) entry(si caps.StorageIndex) *memory {
	k := s.known[si]
	if k == nil {
		for old, m := range s.known {
			if len(s.known) < remembered {
				break
			}
			if m.busy == 0 {
				delete(s.known, old)
			}
		}
		k = &memory{}
		s.known[si] = k
	}
	return k
}

func (s *Slots) recall(si caps.StorageIndex) *slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.known[si]; k != nil {
		return k.slot
	}
	return nil
}

// remember keeps a slot without the bytes of its shares. Of two that were
// read at once the later step stays.
func (s *Slots) remember(si caps.StorageIndex, at *slot) {
	kept := *at
	kept.shares = make(map[storage.ShareNumber]*share, len(at.shares))
	bodies := at.bodies()
	for hash, body := range bodies {
		bodies[hash] = slices.Clone(body)
	}
	for n, sh := range at.shares {
		c := *sh
		c.pieces = nil
		c.first, c.past = slices.Clone(sh.first), slices.Clone(sh.past)
		if sh.rec != nil {
			c.body = bodies[sh.rec.bodyHash]
		}
		kept.shares[n] = &c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.entry(si)
	if k.slot == nil || k.slot.top == nil || kept.top != nil && kept.top.step >= k.slot.top.step {
		k.slot = &kept
	}
}

func (s *Slots) forget(si caps.StorageIndex) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.known[si]; k != nil {
		k.slot = nil
	}
}
