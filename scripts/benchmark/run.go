package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"lafs/onion/local"
	"lafs/onion/tor"
	"lafs/onion/tornet"
	"lafs/scripts/realgrid"
)

const (
	servers = 5
	needed  = 3
	total   = 5
)

// A bench is everything that runs while it measures.
type bench struct {
	options
	dir     string
	lafs    string
	network *tornet.Net
	// slow carries the last server and nothing else, so that it alone can be
	// slowed down.
	slow   tornet.ClientTor
	grid   *realgrid.Grid
	plain  *plain
	client http.RoundTripper
	report *report
}

func run(ctx context.Context, o options) error {
	if err := (&bench{options: o, report: newReport(o.json, 0)}).measure(ctx, true); err != nil {
		return err
	}
	for _, g := range groups {
		if !g.local && o.wants(g.name) {
			return runGrid(ctx, o)
		}
	}
	return nil
}

// measure runs the groups that are wanted, those without a network or those
// with one.
func (b *bench) measure(ctx context.Context, local bool) error {
	for _, g := range groups {
		if g.local != local || !b.wants(g.name) {
			continue
		}
		if err := g.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
	}
	return nil
}

func runGrid(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "lafs-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	network, err := tornet.Start(ctx, tornet.Config{Dir: filepath.Join(dir, "net"), Delay: o.delay, Clients: 3})
	if err != nil {
		return err
	}
	defer network.Close()
	tors := network.Clients()
	b := &bench{options: o, dir: dir, network: network, slow: tors[2]}
	service, err := b.attach(ctx, tors[0], "tor-service")
	if err != nil {
		return err
	}
	defer service.Close()
	client, err := b.attach(ctx, tors[1], "tor-client")
	if err != nil {
		return err
	}
	defer client.Close()
	b.plain, err = startPlain(ctx, service, client, servers)
	defer b.plain.stop()
	if err != nil {
		return err
	}
	if err := b.plain.open(ctx, 1); err != nil {
		return err
	}
	trips, err := b.plain.trip(15)
	if err != nil {
		return err
	}
	if b.lafs, err = realgrid.Build(ctx, dir); err != nil {
		return err
	}
	mode := func(t tornet.ClientTor) string { return "control=" + t.Control }
	b.grid, err = realgrid.Start(ctx, realgrid.Options{Dir: dir, Lafs: b.lafs, Servers: servers, Clients: 1,
		ServiceTor: mode(tors[0]), LastServerTor: mode(b.slow), ClientTor: mode(tors[1]), Needed: needed, Happy: total, Total: total})
	if err != nil {
		return err
	}
	defer b.grid.Close()
	b.client = local.UnixClient(filepath.Join(b.grid.Clients[0].Dir, "private", "gateway.sock"))
	b.report = newReport(o.json, trips.median())
	return b.measure(ctx, false)
}

// attach opens a connection of our own to a tor that carries the grid.
func (b *bench) attach(ctx context.Context, t tornet.ClientTor, name string) (*tor.Tor, error) {
	mode, err := tor.ParseMode("control=" + t.Control)
	if err != nil {
		return nil, err
	}
	return tor.Start(ctx, tor.Config{Mode: mode, DataDir: filepath.Join(b.dir, name)})
}

// restart gives the client a new start, without sessions, that knows all
// servers.
func (b *bench) restart(ctx context.Context) error {
	node := b.grid.Clients[0]
	node.Stop()
	if err := node.Start(ctx); err != nil {
		return err
	}
	return node.AwaitServers(ctx, servers)
}
