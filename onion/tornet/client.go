package tornet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

// ErrNoClient says that a client tor is not of this network, or was killed.
var ErrNoClient = errors.New("no such client tor in this network")

var errClosed = errors.New("the tor network is closed")

// startClients starts all clients at once and records the finished network.
func (n *Net) startClients(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	var all []*client
	for range n.cfg.Clients {
		c, err := n.newClient()
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		all = append(all, c)
	}
	for _, c := range all {
		g.Go(func() error { return n.runClient(gctx, c) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return n.save(true)
}

// AddClient starts one more client tor and returns when it has bootstrapped.
func (n *Net) AddClient(ctx context.Context) (ClientTor, error) {
	c, err := n.newClient()
	if err != nil {
		return ClientTor{}, err
	}
	if err := n.runClient(ctx, c); err != nil {
		return ClientTor{}, err
	}
	return c.tor, n.save(true)
}

// KillClient kills a client tor as a crash would, and waits for its end. Its
// data directory stays, so RestartClient continues with it.
func (n *Net) KillClient(tor ClientTor) error {
	c, err := n.find(tor)
	if err != nil {
		return err
	}
	n.mu.Lock()
	p := c.proc
	c.proc = nil
	n.mu.Unlock()
	if p == nil {
		return ErrNoClient
	}
	p.kill()
	return n.save(true)
}

// RestartClient starts a killed client tor again, under its old addresses,
// and returns when it has bootstrapped. One that runs is killed first.
func (n *Net) RestartClient(ctx context.Context, tor ClientTor) error {
	if err := n.KillClient(tor); err != nil && !errors.Is(err, ErrNoClient) {
		return err
	}
	c, err := n.find(tor)
	if err != nil {
		return err
	}
	if err := n.runClient(ctx, c); err != nil {
		return err
	}
	return n.save(true)
}

func (n *Net) find(tor ClientTor) (*client, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.clients {
		if c.tor == tor {
			return c, nil
		}
	}
	return nil, ErrNoClient
}

// newClient makes the directory of the next client, seeded for a fast start.
func (n *Net) newClient() (*client, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, errClosed
	}
	name := fmt.Sprintf("%s%d", clientPrefix, len(n.clients)+1)
	dir := n.path(name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	lines, err := clientTorrc(n.cfg.Dir, name)
	if err != nil {
		return nil, err
	}
	if err := writeLines(filepath.Join(dir, "torrc"), lines); err != nil {
		return nil, err
	}
	if err := copySeed(n.path(authorityName), dir); err != nil {
		return nil, err
	}
	c := &client{name: name, tor: ClientTor{
		Control: "unix:" + controlPath(n.cfg.Dir, name),
		Socks:   "unix:" + socksPath(n.cfg.Dir, name),
	}}
	n.clients = append(n.clients, c)
	return c, nil
}

// runClient starts c and waits until it can be used. A client whose first
// circuits fail, as on a busy machine, holds its guards for dead and then
// waits for minutes: such a one starts again with new guards.
func (n *Net) runClient(ctx context.Context, c *client) error {
	for try := 1; ; try++ {
		p, err := n.launchClient(c)
		if err != nil {
			return err
		}
		err = waitClient(ctx, p)
		if err == nil || ctx.Err() != nil || try == clientTries {
			return err
		}
		p.kill()
		if err := os.Remove(filepath.Join(p.dir, "state")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
}

func (n *Net) launchClient(c *client) (*process, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, errClosed
	}
	p, err := n.launch(c.name)
	if err == nil {
		c.proc = p
	}
	return p, err
}

func waitClient(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	return p.bootstrapped(ctx)
}
