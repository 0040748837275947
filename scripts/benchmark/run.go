package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lafs/onion"
	"lafs/onion/local"
	"lafs/onion/tor"
	"lafs/onion/tornet"
	"lafs/scripts/realgrid"
	"lafs/scripts/tahoe"
)

// Happiness is reached before the last share has its place, so that both
// times show.
const (
	servers = 5
	needed  = 3
	happy   = 4
	total   = 5
)

// tripRuns is how often the trip of the whole run is measured.
const tripRuns = 15

// A bench is everything that runs while it measures.
type bench struct {
	options
	*progress
	report *report
	failed []error // of groups

	dir     string
	lafs    string // the program
	network *tornet.Net
	// services are the servers' tors, one each, as theirs are.
	services []tornet.ClientTor
	grid     *realgrid.Grid
	plain    *plain
	ours     *side
	theirs   *side // nil if there is none
	// missing says why there is none.
	missing string
}

func run(ctx context.Context, o options) (err error) {
	b := &bench{options: o, progress: newProgress(os.Stderr)}
	b.report = &report{format: o.format, out: os.Stdout, before: b.done}
	if err := b.report.begin(settingOf(o)); err != nil {
		return err
	}
	if err := b.groupsWhere(ctx, true); err != nil {
		return err
	}
	for _, g := range groups {
		if !g.local && o.wants(g.name) {
			if err := b.runGrid(ctx); err != nil {
				return err
			}
			break
		}
	}
	b.done()
	if len(b.report.missed) > 0 {
		fmt.Fprintf(os.Stderr, "%d rows miss their targets: %s\n", len(b.report.missed), strings.Join(b.report.missed, "; "))
		if o.check {
			b.failed = append(b.failed, errors.New("not every target is met"))
		}
	}
	return errors.Join(b.failed...)
}

// groupsWhere runs the groups that are wanted, those without a network or
// those with one. One that fails does not keep others from being measured.
func (b *bench) groupsWhere(ctx context.Context, local bool) error {
	for _, g := range groups {
		if g.local != local || !b.wants(g.name) {
			continue
		}
		err := g.run(b, ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			b.done()
			err = fmt.Errorf("%s: %w", g.name, err)
			fmt.Fprintln(os.Stderr, "bench:", err)
			b.failed = append(b.failed, err)
		}
	}
	return nil
}

// runGrid starts all that there is in the network, and measures. Nothing is
// left of it.
func (b *bench) runGrid(ctx context.Context) (err error) {
	defer b.done()
	program := b.findTahoe(ctx)
	if b.dir, err = os.MkdirTemp("", "lafs-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	b.say("building lafs")
	if b.lafs, err = realgrid.Build(ctx, b.dir); err != nil {
		return err
	}
	tors := servers + 1
	if program != "" {
		tors++
	}
	b.say("starting a private Tor network, %v a link", b.delay)
	b.network, err = tornet.Start(ctx, tornet.Config{Dir: filepath.Join(b.dir, "net"), Delay: b.delay, Clients: tors})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.network.Close()) }()
	clients := b.network.Clients()
	b.services = clients[:servers]
	end, err := b.startPlain(ctx, clients[servers])
	defer end()
	if err != nil {
		return err
	}
	if err := b.startOurs(ctx, clients[servers]); err != nil {
		return err
	}
	defer b.grid.Close()
	if program != "" {
		stop, err := b.startTheirs(ctx, program, clients[servers+1])
		if err != nil {
			return err
		}
		defer stop()
	}
	if err := b.measureTrip(ctx); err != nil {
		return err
	}
	return b.groupsWhere(ctx, false)
}

// findTahoe returns the program tahoe, "" where Tahoe-LAFS has no part.
func (b *bench) findTahoe(ctx context.Context) string {
	if !b.tahoe {
		b.missing = "not asked"
		return ""
	}
	program, err := tahoe.Find(ctx)
	if err != nil {
		b.missing = "not installed"
		b.say("%v", err)
		return ""
	}
	return program
}

// startPlain publishes the plain services. end has to be called in any case.
func (b *bench) startPlain(ctx context.Context, forClients tornet.ClientTor) (end func(), err error) {
	var ends []func()
	end = func() {
		for _, f := range ends {
			f()
		}
	}
	b.say("publishing plain onion services")
	var services []onion.Network
	for i, t := range b.services {
		service, err := b.attach(ctx, t, fmt.Sprintf("tor-service%d", i))
		if err != nil {
			return end, err
		}
		ends = append(ends, func() { service.Close() })
		services = append(services, service)
	}
	client, err := b.attach(ctx, forClients, "tor-client")
	if err != nil {
		return end, err
	}
	b.plain, err = startPlain(ctx, services, client)
	ends = append([]func(){b.plain.stop, func() { client.Close() }}, ends...)
	if err != nil {
		return end, err
	}
	return end, b.plain.open(ctx, 1)
}

// attach opens a connection of our own to a tor that carries a grid.
func (b *bench) attach(ctx context.Context, t tornet.ClientTor, name string) (*tor.Tor, error) {
	mode, err := tor.ParseMode("control=" + t.Control)
	if err != nil {
		return nil, err
	}
	return tor.Start(ctx, tor.Config{Mode: mode, DataDir: filepath.Join(b.dir, name)})
}

func (b *bench) startOurs(ctx context.Context, forClient tornet.ClientTor) (err error) {
	b.say("starting an introducer, %d storage servers and a client of lafs", servers)
	mode := func(t tornet.ClientTor) string { return "control=" + t.Control }
	var modes []string
	for _, t := range b.services {
		modes = append(modes, mode(t))
	}
	b.grid, err = realgrid.Start(ctx, realgrid.Options{Dir: b.dir, Lafs: b.lafs, Servers: servers, Clients: 1,
		ServiceTors: modes, ClientTor: mode(forClient), Needed: needed, Happy: happy, Total: total})
	if err != nil {
		return err
	}
	node := b.grid.Clients[0]
	b.ours = &side{
		name: "lafs", ours: true, host: "lafs",
		way:    local.UnixClient(filepath.Join(node.Dir, "private", "gateway.sock")),
		client: func() []int { return []int{node.Pid()} },
		servers: func() (pids []int) {
			for _, s := range b.grid.Servers {
				pids = append(pids, s.Pid())
			}
			return pids
		},
		stop:  func() { node.Stop() },
		start: node.Start,
		ready: func(ctx context.Context) error { return node.AwaitServers(ctx, servers) },
	}
	for _, s := range b.grid.Servers {
		b.ours.dirs = append(b.ours.dirs, s.Dir)
	}
	return nil
}

// measureTrip measures the trip that rows without one beside them are counted
// in.
func (b *bench) measureTrip(ctx context.Context) error {
	b.say("measuring round trips")
	var times sample
	for range tripRuns {
		took, err := b.plain.trip(ctx)
		if err != nil {
			return errors.Join(ctx.Err(), err)
		}
		times = append(times, took)
	}
	b.report.trip = times.median()
	return b.report.add(row{operation: "one round trip to an onion service", times: times, alone: true})
}

// theirStart is what a Tahoe-LAFS client may take until it is connected to
// all its servers.
const theirStart = 2 * time.Minute

// startTheirs runs servers and a client of Tahoe-LAFS.
func (b *bench) startTheirs(ctx context.Context, program string, forClient tornet.ClientTor) (stop func(), err error) {
	b.say("starting %d storage servers and a client of Tahoe-LAFS", servers)
	var controls []string
	for _, t := range b.services {
		controls = append(controls, t.Control)
	}
	g, err := tahoe.StartGrid(ctx, tahoe.GridOptions{Program: program, Dir: filepath.Join(b.dir, "tahoe"), Servers: servers,
		ServerControls: controls, Client: tahoe.ClientOptions{Control: forClient.Control, Socks: forClient.Socks,
			Foolscap: b.foolscap, Needed: needed, Happy: happy, Total: total}})
	if err != nil {
		return nil, err
	}
	b.theirs = &side{
		name: "Tahoe-LAFS", host: "127.0.0.1", way: g.Client,
		client: func() []int { return []int{g.Client.Pid()} },
		servers: func() (pids []int) {
			for _, s := range g.Servers {
				pids = append(pids, s.Pid())
			}
			return pids
		},
		stop:  g.Client.Kill,
		start: g.Client.Start,
		ready: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, theirStart)
			defer cancel()
			return g.Client.AwaitServers(ctx, servers)
		},
	}
	for _, s := range g.Servers {
		b.theirs.dirs = append(b.theirs.dirs, s.Dir)
	}
	return g.Close, nil
}
