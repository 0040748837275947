package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"lafs/introducer"
	introclient "lafs/introducer/client"
	"lafs/node/grid"
	"lafs/node/update"
	"lafs/onion"
	"lafs/onion/mux"
	"lafs/shares/caps"
	"lafs/shares/immutable"
	"lafs/shares/mutable"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// storageGroup is the group of circuits on which storage servers are asked.
// Introducers are asked on others.
const storageGroup = "storage"

// A client is the role of whoever stores and reads files.
type client struct {
	node  *Node
	intro *introclient.Client
	grid  *grid.Grid
	// engine is for mutable objects, and objects are those of both.
	engine  *update.Engine
	objects *Objects

	mu    sync.Mutex
	peers map[string]peer // guarded by mu; by server id
}

// A peer is a storage server with the way to it.
type peer struct {
	place    place
	swissnum string
	way      way
	storage  *gbs.Client
}

// buildClient makes the node a client.
func (n *Node) buildClient() error {
	c := &client{node: n, peers: map[string]peer{}}
	cfg := introclient.Config{
		Peer: func(a onion.Addr, group string) http.RoundTripper {
			return n.pool.Peer(a, group).RoundTripper(mux.Small)
		},
		Introducers: n.cfg.Introducers,
		Static:      n.cfg.Servers,
		Cache:       cacheDir(n.cfg.Dir),
		Log:         n.log,
		Now:         n.deps.Now,
	}
	if n.cfg.Storage {
		cfg.Publication = &introclient.Publication{
			Sign:   n.announcement,
			Seqnum: &seqnumFile{path: n.cfg.Dir.seqnumFile()},
		}
	}
	var err error
	if c.intro, err = introclient.New(cfg); err != nil {
		return err
	}
	if c.grid, err = c.newGrid(); err != nil {
		return err
	}
	if c.engine, err = c.newEngine(); err != nil {
		return errors.Join(err, c.grid.Close())
	}
	c.objects = NewObjects(c.grid, c.engine)
	n.client = c
	n.parts = append(n.parts, part{name: "introducers", run: c.intro.Run},
		part{name: "grid", close: c.grid.Close}, part{name: "mutable objects", close: c.engine.Close})
	return nil
}

// servers are those that files may be stored on and read from: what the
// introducers told, what the user named, and our own.
func (c *client) servers() []grid.Server {
	n := c.node
	var out []grid.Server
	if n.storage != nil {
		s := n.cfg.secrets
		out = append(out, grid.Server{
			ID: n.ownID(), Nickname: n.cfg.Nickname, Seed: s.seed, TubID: s.tubID, Storage: n.storage, Slots: n.storage,
		})
	}
	known := c.known()
	c.forget(known)
	for _, a := range known {
		client := c.peer(a).storage
		var way storage.Server = client
		if a.Stale {
			way = holdsOnly{way}
		}
		out = append(out, grid.Server{
			ID: a.ServerID(), Nickname: a.Nickname, Seed: a.PermutationSeed, TubID: a.TubID, Storage: way, Slots: client,
		})
	}
	return out
}

// peer returns the way to a server. It is the same as long as the server
// stays where it is.
func (c *client) peer(a *introducer.Announcement) peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := a.ServerID()
	at := placeOf(a)
	p, ok := c.peers[id]
	if ok && p.place == at && p.swissnum == a.Swissnum.Reveal() {
		return p
	}
	if ok {
		p.way.forget()
	}
	p = peer{place: at, swissnum: a.Swissnum.Reveal(), way: c.wayTo(at, groupOf(a.Swissnum))}
	p.storage = gbs.NewClient(p.way, storage.NewSwissnum(p.swissnum))
	c.peers[id] = p
	return p
}

// groupOf is the group of circuits on which a server is asked under one
// authority: two authorities must not be seen to be one client's.
func groupOf(sw *introducer.Swissnum) string {
	sum := sha256.Sum256([]byte(sw.Reveal()))
	return storageGroup + hex.EncodeToString(sum[:8])
}

// forget drops the ways to servers that are not known any more.
func (c *client) forget(known []*introducer.Announcement) {
	ids := make(map[string]bool, len(known))
	for _, a := range known {
		ids[a.ServerID()] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, p := range c.peers {
		if !ids[id] {
			p.way.forget()
			delete(c.peers, id)
		}
	}
}

// ownID is our own server id.
func (n *Node) ownID() string { return introducer.NewServerID(n.cfg.secrets.public()) }

// holdsOnly is a server that nobody has announced for long: what it holds
// counts, and it gets nothing new.
type holdsOnly struct{ storage.Server }

// Allocate lists what the server already has of the shares, and reserves
// nothing.
func (h holdsOnly) Allocate(ctx context.Context, si caps.StorageIndex, shares []storage.ShareNumber, _ int64, _ *storage.UploadSecret, lease *storage.LeaseSecrets) (storage.Allocation, error) {
	have, err := h.Shares(ctx, storage.Immutable, si)
	if err != nil || len(have) == 0 {
		return storage.Allocation{}, err
	}
	if err := h.AddLease(ctx, si, lease); err != nil {
		return storage.Allocation{}, err
	}
	have = slices.DeleteFunc(have, func(n storage.ShareNumber) bool { return !slices.Contains(shares, n) })
	return storage.Allocation{AlreadyHave: have}, nil
}

// newGrid is the engine that puts and gets files.
func (c *client) newGrid() (*grid.Grid, error) {
	cfg := c.node.cfg
	secret := immutable.NewConvergenceSecret(cfg.secrets.convergence)
	g, err := grid.New(grid.Config{
		Needed: cfg.Needed, Happy: cfg.Happy, Total: cfg.Total,
		Convergence: secret,
		LeaseSecret: grid.NewLeaseSecret(*cfg.secrets.lease),
		Servers:     c.servers,
		Network:     c.node.networkError,
		Log:         c.node.log,
		Now:         c.node.deps.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("tahoe.cfg: [client] %w", err)
	}
	return g, nil
}

// newEngine is the engine for mutable objects.
func (c *client) newEngine() (*update.Engine, error) {
	cfg := c.node.cfg
	e, err := update.New(update.Config{
		Needed: cfg.Needed, Happy: cfg.Happy, Total: min(cfg.Total, mutable.MaxTotal),
		Format:      cfg.MutableFormat,
		LeaseSecret: grid.NewLeaseSecret(*cfg.secrets.lease),
		Servers:     c.servers,
		Log:         c.node.log,
		Now:         c.node.deps.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("tahoe.cfg: [client] %w", err)
	}
	return e, nil
}

// checker looks after what the two engines keep.
func (c *client) checker() *checker {
	return &checker{c.grid, c.engine, grid.NewLeaseSecret(*c.node.cfg.secrets.lease), c.servers}
}
