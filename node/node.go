package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	introserver "lafs/introducer/server"
	"lafs/node/authority"
	"lafs/node/store"
	"lafs/onion"
	"lafs/onion/door"
	"lafs/onion/mux"
)

// Deps are what a node is given from outside.
type Deps struct {
	// Network is required: a node has no other way to anybody.
	Network onion.Network
	// NetworkStatus says how it is doing, for the status; nil is unknown.
	NetworkStatus func() onion.Status
	// Log gets no secrets; nil discards.
	Log *slog.Logger
	// Ready is called once, when everything that Run starts can be used; nil
	// is nobody.
	Ready func()
	// Now is the clock of leases and announcements; nil is time.Now.
	Now func() time.Time
}

// A Node is one node, assembled. The caller holds its directory (Hold).
type Node struct {
	cfg  *Config
	deps Deps
	log  *slog.Logger
	// troubles and traffic are for the status and the metrics.
	troubles *troubles
	traffic  *traffic
	leases   leaseCount

	budget     *mux.Budget // what peers make us hold
	pool       *mux.Pool
	doors      *door.Pool          // to storage servers of Tahoe-LAFS's
	storage    *store.Store        // nil without that role
	book       *authority.Book     // who may store; nil without that role
	introducer *introserver.Server // nil without that role
	client     *client             // nil without that role

	// parts run together and are closed in reverse.
	parts   []part
	waiting atomic.Int32 // parts that are not ready yet
	ready   sync.Once
	isReady atomic.Bool
	// handlers are the requests being answered.
	handlers sync.WaitGroup
	// published says that the onion service was up when we last looked.
	published atomic.Bool
}

// A part is one thing that a node does. Its run blocks until ctx ends, and
// returns an error only for what the node cannot go on without.
type part struct {
	name  string
	run   func(ctx context.Context) error
	close func() error
}

// New assembles a node. What it opens is closed by Run, which must be
// called.
func New(cfg *Config, deps Deps) (*Node, error) {
	if err := onion.Require(deps.Network); err != nil {
		return nil, err
	}
	if cfg.secrets == nil {
		return nil, errors.New("the configuration was not read by Load")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	n := &Node{cfg: cfg, deps: deps, budget: newBudget(), troubles: newTroubles(deps.Now), traffic: newTraffic(deps.Now)}
	n.log = slog.New(n.troubles.handler(deps.Log.Handler()))
	if err := n.assemble(); err != nil {
		return nil, errors.Join(err, n.close())
	}
	n.tellNotices()
	return n, nil
}

// assemble builds the parts, in the order in which they depend on each
// other.
func (n *Node) assemble() error {
	for _, step := range []struct {
		wanted bool
		build  func() error
	}{
		{true, n.buildPool},
		{n.cfg.Storage, n.buildStorage},
		{n.cfg.Introducer, n.buildIntroducer},
		{n.cfg.Client, n.buildClient},
		{true, n.buildWeb},
		{true, n.buildMetrics},
		{true, n.buildReady},
	} {
		if !step.wanted {
			continue
		}
		if err := step.build(); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) buildPool() error {
	pool, err := mux.NewPool(n.deps.Network, mux.Config{BulkLanes: n.cfg.Lanes, Sessions: n.cfg.Sessions, Log: n.log})
	if err != nil {
		return err
	}
	n.pool = pool
	n.parts = append(n.parts, part{name: "connections", close: pool.Close})
	if n.doors, err = door.NewPool(n.deps.Network); err != nil {
		return err
	}
	n.parts = append(n.parts, part{name: "connections to Tahoe-LAFS servers", close: n.doors.Close})
	return nil
}

// Run runs the node until ctx ends and everything has stopped. Its error is
// nil then; any other is something that the node cannot go on without.
func (n *Node) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, p := range n.parts {
		if p.run == nil {
			continue
		}
		wg.Go(func() {
			if err := p.run(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("%s: %w", p.name, err))
			}
		})
	}
	<-ctx.Done()
	wg.Wait()
	var err error
	if n.handlersEnd() {
		err = n.close()
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return errors.Join(cause, err)
	}
	return err
}

// handlersEnd waits for the requests under way, which have been told to end.
// It reports false for those that hang: then nothing is closed under their
// feet, since everything on the disk is as durable as it would be after.
func (n *Node) handlersEnd() bool {
	ended := make(chan struct{})
	go func() { n.handlers.Wait(); close(ended) }()
	select {
	case <-ended:
		return true
	case <-time.After(handlersTimeout):
		n.log.Warn("requests did not end in time; stopping without them")
		return false
	}
}

// handlersTimeout leaves room in the ten seconds in which a node stops.
const handlersTimeout = 3 * time.Second

// close closes the parts in reverse.
func (n *Node) close() error {
	var errs []error
	for i := len(n.parts) - 1; i >= 0; i-- {
		if p := n.parts[i]; p.close != nil {
			if err := p.close(); err != nil {
				errs = append(errs, fmt.Errorf("close %s: %w", p.name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// done counts parts that have become ready, and tells Ready of the last.
func (n *Node) done(parts int32) {
	if n.waiting.Add(-parts) > 0 {
		return
	}
	n.ready.Do(func() {
		n.isReady.Store(true)
		if n.deps.Ready != nil {
			n.deps.Ready()
		}
	})
}

func (n *Node) tellNotices() {
	for _, text := range n.cfg.Notices {
		n.log.Warn("tahoe.cfg: " + text)
	}
	for _, r := range n.cfg.Refused {
		n.log.Warn("not used: "+r.Name, "reason", r.Reason)
	}
}
