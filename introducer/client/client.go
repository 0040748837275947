// Package client is the other side of an introducer: it learns from several
// introducers at once which storage servers there are, remembers them for
// when no introducer is up, and announces our own server.
//
// No introducer is trusted: what one sends is verified, bounded in number
// and size, and merged with what the others say, the highest sequence number
// of each server deciding.
package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"lafs/introducer"
	"lafs/onion"
)

// A Cache keeps what was learnt, one text an introducer, under its petname.
// The texts hold swissnums, so their files have mode 0600.
type Cache interface {
	// Load returns what was saved last, nil if nothing ever was.
	Load(petname string) ([]byte, error)
	Save(petname string, announcements []byte) error
}

// A Config says which introducers to ask, and what to make of it.
type Config struct {
	// Peer gives the way to a service: mux's Pool.Peer with its round
	// tripper for small requests. Two groups never share a circuit.
	// Required.
	Peer func(a onion.Addr, group string) http.RoundTripper
	// Introducers are the FURLs by petname. None is allowed.
	Introducers map[string]*introducer.FURL
	// Static servers are known without an introducer; they stand before
	// what is learnt of the same server.
	Static []*introducer.Announcement
	// Pinned, if not empty, lists the server ids that are learnt at all.
	Pinned []string
	// MaxServers bounds the servers learnt from one introducer; 0 is 256.
	// Pinned servers do not count.
	MaxServers int
	// Cache may be nil: nothing is remembered.
	Cache Cache
	// Publication is our own announcement, sent through those introducers
	// whose FURL allows it. Nil: we announce nothing.
	Publication *Publication
	// OnChange is called after the servers or a status changed, from one
	// goroutine. It may call the Client.
	OnChange func()
	// Log gets no addresses and no secrets. Nil discards.
	Log *slog.Logger
	// Now is the clock of the status, and the one that the calendars start
	// from by which announcements expire. Nil is time.Now.
	Now func() time.Time
}

const defaultServers = 256

// A Client keeps the list of servers. Its methods may be called at once.
type Client struct {
	cfg    Config
	pinned map[string]bool
	intros []*intro
	dirty  chan struct{} // holds one entry when something changed

	mu     sync.Mutex // guards what follows, and each intro's fields that say so
	pubErr string
}

// New checks cfg and loads the cache; it does no other I/O. A cache that
// cannot be read is left out and logged.
func New(cfg Config) (*Client, error) {
	if cfg.Peer == nil {
		return nil, onion.ErrNoNetwork
	}
	if cfg.MaxServers == 0 {
		cfg.MaxServers = defaultServers
	}
	if cfg.MaxServers < 0 {
		return nil, errors.New("introducer client: the limit of servers is negative")
	}
	if p := cfg.Publication; p != nil && (p.Sign == nil || p.Seqnum == nil) {
		return nil, errors.New("introducer client: a publication needs a signer and a sequence number")
	}
	if cfg.OnChange == nil {
		cfg.OnChange = func() {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Client{cfg: cfg, pinned: make(map[string]bool), dirty: make(chan struct{}, 1)}
	for _, id := range cfg.Pinned {
		if _, err := introducer.ParseServerID(id); err != nil {
			return nil, fmt.Errorf("pinned server: %w", err)
		}
		c.pinned[id] = true
	}
	for _, petname := range slices.Sorted(maps.Keys(cfg.Introducers)) {
		if cfg.Introducers[petname] == nil {
			return nil, fmt.Errorf("introducer client: introducer %q has no FURL", petname)
		}
		c.intros = append(c.intros, c.newIntro(petname, cfg.Introducers[petname]))
	}
	return c, nil
}

// Run subscribes and announces until ctx is done, and saves the cache. It is
// called once.
func (c *Client) Run(ctx context.Context) error {
	var work sync.WaitGroup
	for _, in := range c.intros {
		work.Go(func() { c.subscribe(ctx, in) })
	}
	if c.cfg.Publication != nil {
		work.Go(func() { c.publish(ctx) })
	}
	keeping := make(chan struct{})
	stop := make(chan struct{})
	go func() { defer close(keeping); c.keep(stop) }()
	<-ctx.Done()
	work.Wait()
	close(stop)
	<-keeping
	return nil
}

// Servers returns all servers known, ordered by id: static ones, and the
// newest announcement of each other. Those marked Stale get no new shares,
// and may still hold old ones.
func (c *Client) Servers() []*introducer.Announcement {
	newest := make(map[string]introducer.Kept)
	stale := make(map[string]bool)
	c.mu.Lock()
	for _, in := range c.intros {
		for id, k := range in.servers.entries {
			old, ok := newest[id]
			// Of one announcement, the day on which it was first seen
			// counts: showing it again elsewhere does not renew it.
			if !ok || k.Seqnum > old.Seqnum || k.Seqnum == old.Seqnum && k.Day < old.Day {
				newest[id] = k
				stale[id] = k.Expired(in.calendar.Today())
			}
		}
	}
	c.mu.Unlock()
	all := make(map[string]*introducer.Announcement)
	for id, k := range newest {
		a := *k.Announcement
		a.Stale = stale[id]
		all[id] = &a
	}
	for _, a := range c.cfg.Static {
		all[a.ServerID()] = a
	}
	// Two introducers may tell of two servers with one tub id: those that
	// the user named come first, then who was there first.
	byAge := slices.SortedFunc(maps.Values(all), func(a, b *introducer.Announcement) int {
		age := func(a *introducer.Announcement) int64 {
			if a.Static {
				return math.MinInt64
			}
			return newest[a.ServerID()].Day
		}
		return cmp.Or(cmp.Compare(age(a), age(b)), strings.Compare(a.ServerID(), b.ServerID()))
	})
	tubs := make(map[[20]byte]bool)
	out := slices.DeleteFunc(byAge, func(a *introducer.Announcement) bool {
		taken := tubs[a.TubID]
		tubs[a.TubID] = true
		return taken
	})
	slices.SortFunc(out, func(a, b *introducer.Announcement) int { return strings.Compare(a.ServerID(), b.ServerID()) })
	return out
}

// changed wakes keep.
func (c *Client) changed() {
	select {
	case c.dirty <- struct{}{}:
	default:
	}
}
