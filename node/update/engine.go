package update

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"lafs/node/grid"
	"lafs/shares/caps"
	"lafs/shares/mutable"
)

const (
	// askTimeout is for one request. Over Tor an answer may take tens of
	// seconds; nothing waits that long for one server of many.
	askTimeout = 45 * time.Second
	// leastRate is what a way through Tor carries at the least, in bytes a
	// second: a large share has that much more time.
	leastRate = 32 << 10
	// leastGrace is how long an operation that could go on waits for more
	// answers at the least; else as long again as it has waited.
	leastGrace = 20 * time.Millisecond
	// patience bounds one operation whose context has no deadline.
	patience = 10 * time.Minute
	// cachedBytes bounds the contents that an engine remembers.
	cachedBytes = 32 << 20
	// queued bounds the requests under way at one server that has stopped
	// answering.
	queued = 8
)

// A Config says how an Engine works.
type Config struct {
	// Needed and Total are k and N of new objects; 0 means 3 and 10.
	Needed, Total int
	// Happy is how many servers hold a version before it is acknowledged,
	// where so many answer: servers that have stopped answering are not
	// waited for. A quorum must hold it in any case.
	Happy int
	// Format is that of new objects.
	Format mutable.Format
	// LeaseSecret is required.
	LeaseSecret *grid.LeaseSecret
	// Servers returns the servers known at present. It is called from
	// several goroutines at once. Required.
	Servers func() []grid.Server
	// Log gets what a person may want to know later; nil discards it.
	Log *slog.Logger
	// Now is the clock of ballots; nil means time.Now. It only saves time:
	// clocks that disagree do no harm.
	Now func() time.Time
	// Rand makes ballots unique and waits uneven; nil means a random one.
	Rand rand.Source
}

func (c *Config) complete() error {
	if c.Needed == 0 {
		c.Needed = grid.DefaultNeeded
	}
	if c.Total == 0 {
		c.Total = grid.DefaultTotal
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.NewPCG(rand.Uint64(), rand.Uint64())
	}
	switch {
	case c.Servers == nil:
		return errors.New("update: Config.Servers is nil")
	case c.LeaseSecret == nil:
		return errors.New("update: Config.LeaseSecret is nil")
	case c.Needed < 1 || c.Needed > c.Total || c.Total > mutable.MaxTotal:
		return errors.New("update: shares.needed and shares.total must satisfy 1 <= needed <= total <= 255")
	}
	return nil
}

// An Engine makes, reads and changes mutable objects. All methods may be
// called at once.
type Engine struct {
	cfg    Config
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup // requests and operations under way

	mu      sync.Mutex
	closed  bool                          // guarded by mu
	rng     *rand.Rand                    // guarded by mu
	peers   map[string]*peer              // guarded by mu, and so is what they hold; by server id
	objects map[caps.StorageIndex]*object // guarded by mu
	cached  int64                         // guarded by mu; bytes of contents in objects
	spares  spares                        // guarded by mu
}

// New returns an Engine that works with cfg. It does no I/O. Close it.
func New(cfg Config) (*Engine, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, rng: rand.New(cfg.Rand), peers: map[string]*peer{}, objects: map[caps.StorageIndex]*object{}}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e, nil
}

// Close ends all operations, whose outcome is then unknown, and waits for
// them.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.cancel()
	e.work.Wait()
	return nil
}

// background runs f, which Close ends and waits for. It is false, and f is
// not run, when the engine is closed.
func (e *Engine) background(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.work.Go(f)
	return true
}

// bound returns a context that ends with ctx, the engine or the patience of
// one operation.
func (e *Engine) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	stop := context.AfterFunc(e.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

func (e *Engine) nonce() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.rng.Uint64()
}

// within returns a random duration below d.
func (e *Engine) within(d time.Duration) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return time.Duration(e.rng.Int64N(int64(max(d, 1))))
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
