package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"lafs/onion/tornet"
	"lafs/scripts/realgrid"
	"lafs/scripts/tahoe"
)

const (
	servers = 5
	needed  = 3
	happy   = 4
	total   = 5
)

// stepTimeout bounds one step: a Tahoe-LAFS client gives up on nothing by
// itself.
const stepTimeout = 2 * time.Minute

// A part is steps that belong together.
type part struct {
	name, what string
	run        func(*world, context.Context) error
}

// parts are in the order in which they run; later ones use what earlier ones
// stored.
var parts = []part{
	{"ours", "Tahoe-LAFS's client and ours on five of our servers", (*world).onOurs},
	{"theirs", "our client on five servers of Tahoe-LAFS's", (*world).onTheirs},
	{"contract", "the contract of storage servers on one of Tahoe-LAFS's", (*world).contract},
}

// A world is everything that runs.
type world struct {
	options
	dir     string
	lafs    string // the program
	tahoe   string // the program
	network *tornet.Net
	// Three tors: one carries servers, one our clients, one Tahoe-LAFS's.
	service, client, foreign tornet.ClientTor
	theirs                   []*tahoe.Server // once started
	failed                   int
}

var errFailed = errors.New("not everything holds")

func run(ctx context.Context, o options) error {
	start := time.Now()
	program, err := tahoe.Install(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("Tahoe-LAFS %s: %s, after %s\n", tahoe.Version, program, seconds(time.Since(start)))
	if o.install {
		return nil
	}
	dir, err := os.MkdirTemp("", "lafs-interop-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w := &world{options: o, dir: dir, tahoe: program}
	if w.lafs, err = realgrid.Build(ctx, dir); err != nil {
		return err
	}
	up := time.Now()
	if w.network, err = tornet.Start(ctx, tornet.Config{Dir: filepath.Join(dir, "net"), Delay: o.delay, Clients: 3}); err != nil {
		return err
	}
	defer w.network.Close()
	tors := w.network.Clients()
	w.service, w.client, w.foreign = tors[0], tors[1], tors[2]
	fmt.Printf("a private Tor network runs after %s, %v a link\n", seconds(time.Since(up)), o.delay)
	defer w.stopTheirs()
	for _, p := range parts {
		if !o.wants(p.name) {
			continue
		}
		fmt.Printf("\n%s\n", p.what)
		if err := p.run(w, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	fmt.Printf("\nin all %s\n", seconds(time.Since(start)))
	if w.failed > 0 {
		return fmt.Errorf("%w: %d steps failed", errFailed, w.failed)
	}
	return nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// step does one thing and prints a line about it. A step that fails does not
// keep later ones from being tried; it reports whether it went well.
func (w *world) step(ctx context.Context, what string, do func(ctx context.Context) error) bool {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	start := time.Now()
	err := do(ctx)
	took := time.Since(start)
	if err == nil {
		fmt.Printf("  ok    %6.2f s  %s\n", took.Seconds(), what)
		return true
	}
	w.failed++
	fmt.Printf("  FAIL  %6.2f s  %s: %v\n", took.Seconds(), what, err)
	return false
}
