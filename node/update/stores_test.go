package update_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"lafs/node/grid"
	"lafs/node/store"
	"lafs/node/update"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
	"lafs/shares/storage/tail"
)

// A fault is what is wrong at present between a client and a server.
type fault int

const (
	healthy    fault = iota
	dead             // refuses at once
	stalled          // never answers, and does nothing
	forgets          // does it, and the answer is lost
	halfForget       // forgets half of the time
	late             // does it, long after anybody waits
	cut              // does it, and says that the connection broke
	faults

	slow // does it, and takes most of a trip more
)

// A storeGrid is real stores, on files in memory, behind links that fail.
type storeGrid struct {
	t       *testing.T
	rtt     time.Duration
	servers []*storeServer
	flight  sync.WaitGroup // messages on their way
	end     chan struct{}  // closed when nothing answers any more

	mu     sync.Mutex
	rng    *rand.Rand       // guarded by mu
	links  map[[2]int]fault // guarded by mu; by client and server
	nobody int              // guarded by mu; clients

	// after runs under mu after each step of a server that may have changed
	// something; nil: nothing.
	after func(s *storeServer)
	// deny, if not nil, says that a step of a client does not reach a server.
	// It is set before anything is sent.
	deny  func(client, server int, m agree.Message) bool
	happy int // Config.Happy of the clients
}

// A storeServer is one server. Its store answers one request at a time, so
// that what it holds after each can be seen.
type storeServer struct {
	g      *storeGrid
	number int
	id     string
	tubID  [20]byte
	turn   chan struct{} // held by whoever uses what follows
	dir    string
	st     *store.Store // nil while it is down
	life   int          // counts the starts
	plain  bool         // clients take it for one that knows only Tahoe-LAFS's protocol

	held holdings // guarded by g.mu
}

// tmpDir is a directory in memory, if there is such a place: the files of a
// test are worth no wait for a disk.
func tmpDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "lafs-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// newStoreGrid starts n servers with their files in dir, of which clients
// take the first for servers that know only Tahoe-LAFS's protocol. close must
// be called in the bubble.
func newStoreGrid(t *testing.T, dir string, n, plain int, rtt time.Duration, seed uint64) *storeGrid {
	t.Helper()
	g := &storeGrid{t: t, rtt: rtt, end: make(chan struct{}), rng: rand.New(rand.NewPCG(seed, 1)), links: map[[2]int]fault{}}
	for i := range n {
		s := &storeServer{g: g, number: i, id: fmt.Sprintf("v0-server%d", i), tubID: [20]byte{byte(i + 1)}, turn: make(chan struct{}, 1),
			dir: filepath.Join(dir, fmt.Sprintf("%d.%d", seed, i)), plain: i < plain}
		g.servers = append(g.servers, s)
		s.start()
	}
	return g
}

// close ends all that is on its way, and the stores.
func (g *storeGrid) close() {
	close(g.end)
	g.flight.Wait()
	for _, s := range g.servers {
		s.stop()
		os.RemoveAll(s.dir)
	}
}

func (s *storeServer) start() {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	st, err := store.Open(store.Config{Dir: s.dir, TubID: s.tubID})
	if err != nil {
		s.g.t.Errorf("open a store: %v", err)
		return
	}
	s.st = st
	s.life++
}

func (s *storeServer) stop() {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.st == nil {
		return
	}
	if err := s.st.Close(); err != nil {
		s.g.t.Errorf("close a store: %v", err)
	}
	s.st = nil
}

// crash stops the server as kill -9 does: it will start with the files as
// they are, and nothing was put in order.
func (s *storeServer) crash() {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.st == nil {
		return
	}
	after := fmt.Sprintf("%s+", s.dir)
	if err := os.CopyFS(after, os.DirFS(s.dir)); err != nil {
		s.g.t.Errorf("copy a store: %v", err)
	}
	s.st.Close()
	os.RemoveAll(s.dir)
	s.st, s.dir = nil, after
}

// step carries out one request, and says in which life of the server.
func (s *storeServer) step(do func(st *store.Store)) (life int, up bool) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.st == nil {
		return s.life, false
	}
	do(s.st)
	return s.life, true
}

// slot is a step by our own protocol, and looks at what came of it.
func (s *storeServer) slot(st *store.Store, si caps.StorageIndex, req storage.SlotRequest) (storage.SlotAnswer, error) {
	a, err := st.Slot(context.Background(), si, req)
	if s.g.after != nil && err == nil {
		s.look(st, si, a.State)
	}
	return a, err
}

// A link is a client's way to a server.
type link struct {
	client int
	*storeServer
}

// set makes the ways of all clients to a server fail, or well again.
func (g *storeGrid) set(server int, f fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.nobody {
		g.links[[2]int{c, server}] = f
	}
}

func (g *storeGrid) setLink(client, server int, f fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.links[[2]int{client, server}] = f
}

func (g *storeGrid) heal() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.links)
}

// within returns a random duration up to d.
func (g *storeGrid) within(d time.Duration) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Duration(g.rng.Int64N(int64(d) + 1))
}

// travel takes its time, if it takes any.
func travel(d time.Duration) {
	if d > 0 {
		time.Sleep(d)
	}
}

// trip sends a request, which travels on when nobody waits any more, and
// brings the answer back. What do fills is the caller's once trip returns
// nil.
func (l link) trip(ctx context.Context, do func(st *store.Store)) error {
	came := make(chan error, 1)
	l.g.mu.Lock()
	f := l.g.links[[2]int{l.client, l.number}]
	if f == halfForget && l.g.rng.IntN(2) == 0 {
		f = forgets
	}
	l.g.mu.Unlock()
	l.g.flight.Go(func() {
		travel(l.g.rtt/2 + l.g.within(l.g.rtt/4))
		switch f {
		case dead:
			came <- storage.ErrUnreachable
			return
		case stalled:
			return
		case slow:
			travel(l.g.rtt * 4 / 5)
		case late:
			travel(l.g.within(2 * time.Minute))
		}
		life, up := l.step(do)
		travel(l.g.rtt / 2)
		switch {
		case f == forgets, f == late:
		case f == cut, !up, !l.lives(life):
			came <- storage.ErrUnreachable
		default:
			came <- nil
		}
	})
	select {
	case err := <-came:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-l.g.end:
		return storage.ErrUnreachable
	}
}

// lives: the server has not gone down since.
func (s *storeServer) lives(life int) bool {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return s.st != nil && s.life == life
}

// What a link carries. An answer that comes late must not be written where
// somebody reads.

func (l link) Slot(ctx context.Context, si caps.StorageIndex, req storage.SlotRequest) (storage.SlotAnswer, error) {
	var a storage.SlotAnswer
	var err error
	if l.g.deny != nil && l.g.deny(l.client, l.number, req.Message) {
		travel(l.g.rtt)
		return a, storage.ErrUnreachable
	}
	if fault := l.trip(ctx, func(st *store.Store) { a, err = l.slot(st, si, req) }); fault != nil {
		return storage.SlotAnswer{}, fault
	}
	return a, err
}

func (l link) Shares(ctx context.Context, kind storage.Kind, si caps.StorageIndex) ([]storage.ShareNumber, error) {
	var out []storage.ShareNumber
	var err error
	if fault := l.trip(ctx, func(st *store.Store) { out, err = st.Shares(context.Background(), kind, si) }); fault != nil {
		return nil, fault
	}
	return out, err
}

func (l link) Read(ctx context.Context, kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber, offset int64, p []byte) (int, error) {
	b := make([]byte, len(p))
	var got int
	var err error
	if fault := l.trip(ctx, func(st *store.Store) { got, err = st.Read(context.Background(), kind, si, n, offset, b) }); fault != nil {
		return 0, fault
	}
	return copy(p, b[:got]), err
}

func (l link) ReadTestWrite(ctx context.Context, si caps.StorageIndex, enabler *storage.WriteEnabler, lease *storage.LeaseSecrets,
	writes map[storage.ShareNumber]storage.TestWrite, spans []storage.Span) (bool, map[storage.ShareNumber][][]byte, error) {
	var ok bool
	var data map[storage.ShareNumber][][]byte
	var err error
	if fault := l.trip(ctx, func(st *store.Store) {
		ok, data, err = st.ReadTestWrite(context.Background(), si, enabler, lease, writes, spans)
	}); fault != nil {
		return false, nil, fault
	}
	return ok, data, err
}

// client makes an engine with ways of its own to all servers.
func (g *storeGrid) client(needed, total int, seed uint64) (*update.Engine, int) {
	g.mu.Lock()
	number := g.nobody
	g.nobody++
	g.mu.Unlock()
	var list []grid.Server
	for _, s := range g.servers {
		server := grid.Server{ID: s.id, Seed: []byte(s.id), TubID: s.tubID, Slots: link{number, s}}
		if s.plain {
			server.Slots = tail.New(link{number, s})
		}
		list = append(list, server)
	}
	e, err := update.New(update.Config{Needed: needed, Total: total, Happy: g.happy, LeaseSecret: grid.NewLeaseSecret([32]byte{byte(number)}),
		Servers: func() []grid.Server { return list }, Rand: rand.NewPCG(seed, uint64(number))})
	if err != nil {
		panic(err)
	}
	return e, number
}

// keys are made once: making one is slow.
var keys = sync.OnceValue(func() (out []*mutable.Key) {
	for range 4 {
		k, err := mutable.GenerateKey()
		if err != nil {
			panic(err)
		}
		out = append(out, k)
	}
	return out
})
