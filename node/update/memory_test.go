package update_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"lafs/node/grid"
	"lafs/node/update"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
	"lafs/shares/storage/storagetest"
	"lafs/shares/storage/tail"
)

// stateLost: says that it forgot its votes.
const stateLost fault = 100

// barred: knows another write enabler.
const barred fault = 101

// A memServer keeps slots in memory behind package agree's rules.
type memServer struct {
	id  string
	rtt time.Duration
	// exact: every answer takes the rtt, and no longer.
	exact bool

	mu    *sync.Mutex // of the grid
	fault fault
	rest  fault // instead, of requests for the rest of one share
	rng   *rand.Rand
	slots map[caps.StorageIndex]*memSlot
	after func(s *memServer, si caps.StorageIndex) // runs under mu after each change
	// plain, if not nil, is what the server is: one that knows only
	// Tahoe-LAFS's protocol.
	plain *storagetest.Plain
}

type memSlot struct {
	state         agree.State
	ancestors     []agree.VersionID
	placement     []byte
	current, base map[storage.ShareNumber][]byte
}

func (s *memServer) set(f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

func (s *memServer) ReadTestWrite(context.Context, caps.StorageIndex, *storage.WriteEnabler, *storage.LeaseSecrets,
	map[storage.ShareNumber]storage.TestWrite, []storage.Span) (bool, map[storage.ShareNumber][][]byte, error) {
	return false, nil, storage.ErrBroken
}

func (s *memServer) setRest(f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = f
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *memServer) Slot(ctx context.Context, si caps.StorageIndex, req storage.SlotRequest) (a storage.SlotAnswer, err error) {
	s.mu.Lock()
	f := s.fault
	if len(req.Numbers) > 0 && req.Message == (agree.Read{}) {
		f = cmp.Or(s.rest, f)
	}
	s.mu.Unlock()
	faulty := s.tripWith(ctx, f, func() {
		s.mu.Lock()
		closed := s.fault == barred && req.Message != (agree.Read{})
		s.mu.Unlock()
		if closed {
			err = storage.ErrUnauthorized
			return
		}
		a, err = s.step(si, req)
	})
	if faulty != nil {
		return storage.SlotAnswer{}, faulty
	}
	return a, err
}

// trip carries a request to the server, where do does what it says, and the
// answer back.
func (s *memServer) trip(ctx context.Context, do func()) error {
	s.mu.Lock()
	f := s.fault
	s.mu.Unlock()
	return s.tripWith(ctx, f, do)
}

func (s *memServer) tripWith(ctx context.Context, f fault, do func()) error {
	s.mu.Lock()
	jitter := time.Duration(0)
	if s.rtt > 0 && !s.exact {
		jitter = time.Duration(s.rng.Int64N(int64(s.rtt)/4 + 1))
	}
	lost := f == forgets || f == halfForget && s.rng.IntN(2) == 0
	s.mu.Unlock()
	if err := sleep(ctx, s.rtt/2+jitter); err != nil && f != forgets {
		return err
	}
	switch f {
	case dead:
		return storage.ErrUnreachable
	case stateLost:
		return cmp.Or(sleep(ctx, s.rtt/2), storage.ErrStateLost)
	case stalled:
		<-ctx.Done()
		return ctx.Err()
	}
	do()
	if lost {
		<-ctx.Done()
		return ctx.Err()
	}
	return sleep(ctx, s.rtt/2)
}

// step does what a message says.
func (s *memServer) step(si caps.StorageIndex, req storage.SlotRequest) (storage.SlotAnswer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := s.slots[si]
	if slot == nil {
		slot = &memSlot{}
	}
	next, done := slot.state.Apply(req.Message)
	list, agreed := agree.Recorded(req.Message, slot.state, next, slot.placement, req.Placement)
	if !agreed {
		next, done = slot.state, false
	}
	a := storage.SlotAnswer{Done: done}
	if done && next != slot.state {
		held := func(v agree.VersionID, given map[storage.ShareNumber][]byte) map[storage.ShareNumber][]byte {
			if v.IsZero() {
				return nil
			}
			out := map[storage.ShareNumber][]byte{}
			if v == slot.state.Current {
				maps.Copy(out, slot.current)
			} else if v == slot.state.Base.Version {
				maps.Copy(out, slot.base)
			}
			maps.Copy(out, given)
			return out
		}
		n := &memSlot{state: next, ancestors: slot.ancestors, placement: slot.placement}
		n.current = held(next.Current, req.Shares)
		if !next.Committed && !next.Base.Itself {
			n.base = held(next.Base.Version, req.Base)
		}
		if !next.Current.IsZero() && len(n.current) == 0 || !next.Committed && !next.Base.Itself && !next.Base.Version.IsZero() && len(n.base) == 0 {
			a.Done, a.Missing = false, true
		} else {
			for _, data := range n.current {
				h, err := mutable.ParseHeader(data)
				if err != nil || storage.VersionOf(h) != next.Current {
					return storage.SlotAnswer{}, storage.ErrBadRequest
				}
			}
			if next.Current != slot.state.Current {
				n.ancestors = req.Ancestors
			}
			if !next.Current.IsZero() {
				n.placement = list
			}
			s.slots[si], slot = n, n
			if s.after != nil {
				s.after(s, si)
			}
		}
	}
	cut := func(set map[storage.ShareNumber][]byte) map[storage.ShareNumber]storage.SlotShare {
		out := map[storage.ShareNumber]storage.SlotShare{}
		for n, data := range set {
			from := min(req.From, int64(len(data)))
			to := min(from+req.Fetch, int64(len(data)))
			out[n] = storage.SlotShare{Size: int64(len(data)), Data: data[from:to]}
		}
		return out
	}
	a.State, a.Ancestors, a.Placement = slot.state, slot.ancestors, slot.placement
	a.Current, a.Base = cut(slot.current), cut(slot.base)
	return a, nil
}

// A memGrid is servers in memory.
type memGrid struct {
	mu      *sync.Mutex
	servers []*memServer // add and list hold mu
}

func newMemGrid(n int, rtt time.Duration, seed uint64) *memGrid {
	mu := new(sync.Mutex)
	g := &memGrid{mu: mu}
	for i := range n {
		g.servers = append(g.servers, &memServer{mu: mu, id: fmt.Sprintf("v0-server%d", i), rtt: rtt,
			rng: rand.New(rand.NewPCG(seed, uint64(i))), slots: map[caps.StorageIndex]*memSlot{}})
	}
	return g
}

// add makes more servers.
func (g *memGrid) add(t *testing.T, n int) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for range n {
		i := len(g.servers)
		g.servers = append(g.servers, &memServer{mu: g.mu, id: fmt.Sprintf("v0-server%d", i), rtt: g.servers[0].rtt,
			rng: rand.New(rand.NewPCG(uint64(i), 77)), slots: map[caps.StorageIndex]*memSlot{}})
	}
}

// list is the grid as one client sees it.
func (g *memGrid) list() []grid.Server {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []grid.Server
	for i, s := range g.servers {
		server := grid.Server{ID: s.id, Seed: []byte(s.id), TubID: [20]byte{byte(i)}, Slots: s}
		if s.plain != nil {
			server.Slots = tail.New(plainServer{s})
		}
		out = append(out, server)
	}
	return out
}

// newPlainGrid is a grid of which the first servers know only Tahoe-LAFS's
// protocol.
func newPlainGrid(n, plain int, rtt time.Duration, seed uint64) *memGrid {
	g := newMemGrid(n, rtt, seed)
	for _, s := range g.servers[:plain] {
		s.plain = &storagetest.Plain{}
	}
	return g
}

// A plainServer is a memServer with a plain one behind its faults.
type plainServer struct{ s *memServer }

func (p plainServer) Shares(ctx context.Context, kind storage.Kind, si caps.StorageIndex) (out []storage.ShareNumber, err error) {
	if fault := p.s.trip(ctx, func() { out, err = p.s.plain.Shares(context.Background(), kind, si) }); fault != nil {
		return nil, fault
	}
	return out, err
}

func (p plainServer) Read(ctx context.Context, kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber, offset int64, b []byte) (got int, err error) {
	if fault := p.s.trip(ctx, func() { got, err = p.s.plain.Read(context.Background(), kind, si, n, offset, b) }); fault != nil {
		return 0, fault
	}
	return got, err
}

func (p plainServer) ReadTestWrite(ctx context.Context, si caps.StorageIndex, enabler *storage.WriteEnabler, lease *storage.LeaseSecrets,
	writes map[storage.ShareNumber]storage.TestWrite, spans []storage.Span) (ok bool, data map[storage.ShareNumber][][]byte, err error) {
	if fault := p.s.trip(ctx, func() {
		ok, data, err = p.s.plain.ReadTestWrite(context.Background(), si, enabler, lease, writes, spans)
	}); fault != nil {
		return false, nil, fault
	}
	return ok, data, err
}

func (g *memGrid) engine(needed, total int, seed uint64) *update.Engine {
	servers := g.list()
	var mu sync.Mutex
	see := func() []grid.Server {
		mu.Lock()
		defer mu.Unlock()
		if now := g.list(); len(now) > len(servers) {
			servers = slices.Concat(servers, now[len(servers):])
		}
		return servers
	}
	e, err := update.New(update.Config{Needed: needed, Total: total, LeaseSecret: grid.NewLeaseSecret([32]byte{byte(seed)}),
		Servers: see, Rand: rand.NewPCG(seed, 7)})
	if err != nil {
		panic(err)
	}
	return e
}
