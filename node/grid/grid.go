// Package grid is the client's engine: it puts files on a grid of storage
// servers and gets them back. It knows servers only as storage.Server; how
// they are reached is not its business.
//
// Files are Tahoe-LAFS's immutable files (FORMATS.md section 3): encrypted,
// cut into segments, erasure-coded into N shares of which any k rebuild
// them. Nothing that a server sends is believed before its hash is checked.
//
// Round trips, on warm sessions: a small file takes 1 each way, since its
// shares go out with the first question, and come with the first answer
// (storage.Whole). So does a download of one of some MiB, whose first parts
// are asked for with the question which shares there are
// (storage.AnyReader); its upload takes 2, of which the first asks all
// servers for space and brings the first segments. A check that does not
// verify takes 1. Larger files keep several requests in flight at every
// server, within a bound on memory that holds for the process.
package grid

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"lafs/shares/caps"
	"lafs/shares/immutable"
	"lafs/shares/storage"
)

// A Server is one storage server as the grid's client sees it.
type Server struct {
	// ID is the server's lasting name, "v0-...".
	ID string
	// Nickname is what its operator calls it; may be empty. Foreign text.
	Nickname string
	// Seed is the permutation seed (FORMATS.md section 3.6).
	Seed []byte
	// TubID seeds the lease secrets for this server.
	TubID [20]byte
	// Storage carries requests to it.
	Storage storage.Server
	// Slots carries requests for mutable objects to it; nil if the server
	// does not speak them.
	Slots storage.Slots
}

// label names the server for a person: its nickname cut to what a terminal
// can show, or the start of its id.
func (s Server) label() string {
	const longest = 32
	name := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s.Nickname)
	if r := []rune(name); len(r) > longest {
		name = string(r[:longest]) + "…"
	}
	if strings.TrimSpace(name) != "" {
		return name
	}
	id := strings.TrimPrefix(s.ID, "v0-")
	if len(id) > 8 {
		id = id[:8] + "…"
	}
	return id
}

// A LeaseSecret is the node's master secret from which the lease and upload
// secrets of every server and file are made (FORMATS.md section 6). Secret:
// no verb prints it, and it travels as a pointer.
type LeaseSecret struct{ secret [32]byte }

// NewLeaseSecret holds a copy of b.
func NewLeaseSecret(b [32]byte) *LeaseSecret { return &LeaseSecret{b} }

// Format prints [secret], whatever the verb.
func (*LeaseSecret) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// LogValue logs [secret].
func (*LeaseSecret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// Defaults of Config.
const (
	DefaultNeeded = 3
	DefaultHappy  = 7
	DefaultTotal  = 10
	DefaultMemory = 48 << 20
)

// A Config says how a Grid works.
type Config struct {
	// Needed, Happy and Total are k, happy and N of uploads: any k of N
	// shares rebuild a file, and an upload is a success once its happiness
	// is at least happy and some k shares are durable. Zero means the default.
	// 1 <= k <= N <= 256, and 1 <= happy <= N.
	Needed, Happy, Total int
	// MaxSegmentSize is the largest segment in bytes; 0 means 1 MiB.
	MaxSegmentSize int64
	// Memory bounds what all transfers together hold of files, in bytes; 0
	// means 48 MiB. One transfer holds up to a third, and a little more where
	// it is alone.
	Memory int64
	// Convergence makes equal files get equal caps; nil means a random key
	// for every upload.
	Convergence *immutable.ConvergenceSecret
	// LeaseSecret is required.
	LeaseSecret *LeaseSecret
	// Servers returns the servers known at present. It is called at the
	// start of every transfer, from several goroutines at once. Required.
	Servers func() []Server
	// Network says what is wrong with the network itself at present, nil if
	// nothing is known to be; for the errors of transfers that reached too
	// few servers. A nil Network never knows.
	Network func() error
	// Log gets what a person may want to know later; nil discards it.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (c *Config) complete() error {
	setDefault(&c.Needed, DefaultNeeded)
	setDefault(&c.Happy, DefaultHappy)
	setDefault(&c.Total, DefaultTotal)
	setDefault(&c.Memory, DefaultMemory)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Network == nil {
		c.Network = func() error { return nil }
	}
	switch {
	case c.Servers == nil:
		return errors.New("grid: Config.Servers is nil")
	case c.LeaseSecret == nil:
		return errors.New("grid: Config.LeaseSecret is nil")
	}
	return checkParams(c.Needed, c.Happy, c.Total)
}

func setDefault[T int | int64](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}

func checkParams(needed, happy, total int) error {
	if needed < 1 || needed > total || happy < 1 || happy > total || total > 256 {
		return fmt.Errorf("shares.needed %d, shares.happy %d, shares.total %d: they must satisfy 1 <= needed <= total <= 256 and 1 <= happy <= total", needed, happy, total)
	}
	return nil
}

// A Grid puts, gets, checks and repairs files. All methods may be called at once.
type Grid struct {
	cfg    Config
	memory *memory // bytes of files held by all transfers

	// Work that nobody waits for but Close: aborts and corruption reports.
	ctx    context.Context
	cancel context.CancelFunc
	tidy   sync.WaitGroup
	slots  chan struct{}

	repairs chan struct{} // holds the repair under way
	fresh   atomic.Bool   // the latest upload went well and found nothing of its file

	mu      sync.Mutex
	closed  bool                                // guarded by mu
	uploads map[caps.StorageIndex]chan struct{} // guarded by mu; one upload at a time for a file
	paces   map[string]*pace                    // guarded by mu; by server id
	late    map[string]bool                     // guarded by mu; late servers by id, and whether one is being looked for
}

// New returns a Grid that works with cfg. It does no I/O. Close it.
func New(cfg Config) (*Grid, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	g := &Grid{
		cfg:     cfg,
		memory:  newMemory(cfg.Memory),
		slots:   make(chan struct{}, tidyAtOnce),
		repairs: make(chan struct{}, 1),
		uploads: make(map[caps.StorageIndex]chan struct{}),
		paces:   make(map[string]*pace),
		late:    make(map[string]bool),
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g, nil
}

// Close ends the background work and waits for it. Transfers that are under
// way go on; end them by their own contexts.
func (g *Grid) Close() error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.cancel()
	g.tidy.Wait()
	return nil
}

const (
	// tidyAtOnce bounds the background requests under way at once.
	tidyAtOnce = 16
	// tidyTimeout is for one background request. A server that does not
	// answer drops an upload by itself after 30 minutes.
	tidyTimeout = 60 * time.Second
)

// background runs f without anybody waiting for it. When too much is under
// way already, or the grid is closed, it does not and reports false.
func (g *Grid) background(f func(ctx context.Context)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	select {
	case g.slots <- struct{}{}:
	default:
		return false
	}
	g.tidy.Go(func() {
		defer func() { <-g.slots }()
		ctx, cancel := context.WithTimeout(g.ctx, tidyTimeout)
		defer cancel()
		f(ctx)
	})
	return true
}

// later is background that waits for its turn.
func (g *Grid) later(f func(ctx context.Context)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.tidy.Go(func() {
		select {
		case g.slots <- struct{}{}:
		case <-g.ctx.Done():
			return
		}
		defer func() { <-g.slots }()
		ctx, cancel := context.WithTimeout(g.ctx, tidyTimeout)
		defer cancel()
		f(ctx)
	})
}

// lockUpload makes uploads of one file take turns: they would share upload
// secrets, and the second finds what the first has sent.
func (g *Grid) lockUpload(ctx context.Context, si caps.StorageIndex) (unlock func(), err error) {
	for {
		g.mu.Lock()
		busy, ok := g.uploads[si]
		if !ok {
			done := make(chan struct{})
			g.uploads[si] = done
			g.mu.Unlock()
			return func() {
				g.mu.Lock()
				delete(g.uploads, si)
				g.mu.Unlock()
				close(done)
			}, nil
		}
		g.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
