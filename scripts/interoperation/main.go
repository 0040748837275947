// Interoperation holds lafs against real Tahoe-LAFS: its client on our
// servers, our client on its servers, each reading and repairing what the
// other stored, over a private Tor network of real tor processes. Each step
// prints what it did and how long it took.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"lafs/scripts/tahoe"
)

// options are the command line's.
type options struct {
	delay time.Duration
	parts []string // all if empty
	keep  bool
	// install ends when Tahoe-LAFS is there.
	install bool
}

// exitSkipped is the status where Tahoe-LAFS cannot be had.
const exitSkipped = 77

func main() {
	var o options
	var delay int
	var only string
	flag.IntVar(&delay, "delay", 0, "milliseconds that each link between relays takes one way; an onion trip is about 14 links")
	flag.StringVar(&only, "only", "", "only these parts, separated by commas")
	flag.BoolVar(&o.install, "install", false, "only install Tahoe-LAFS where it is missing")
	flag.Usage = usage
	flag.Parse()
	if only != "" {
		o.parts = strings.Split(only, ",")
	}
	if flag.NArg() != 0 || delay < 0 || !known(o.parts) {
		flag.Usage()
		os.Exit(2)
	}
	o.delay = time.Duration(delay) * time.Millisecond
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	switch {
	case errors.Is(err, tahoe.ErrNone):
		fmt.Printf("skipped: %v\n", err)
		os.Exit(exitSkipped)
	case err != nil:
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintf(os.Stderr, `usage: scripts/interop [--delay MS] [--only PART,...] [--install]

Runs Tahoe-LAFS %s and lafs against each other over a private Tor network.
Needs tor on PATH, and Tahoe-LAFS: the one that $LAFS_TAHOE names, or else one
that it installs from PyPI into the user's cache directory the first time.
Exit status 0: all holds; %d: Tahoe-LAFS cannot be had; else something does not.

Parts:
`, tahoe.Version, exitSkipped)
	for _, p := range parts {
		fmt.Fprintf(os.Stderr, "  %-9s %s\n", p.name, p.what)
	}
	fmt.Fprintln(os.Stderr)
	flag.PrintDefaults()
}

func known(names []string) bool {
	for _, name := range names {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			fmt.Fprintf(os.Stderr, "scripts/interop: there is no part %q\n\n", name)
			return false
		}
	}
	return true
}

func (o *options) wants(part string) bool { return len(o.parts) == 0 || slices.Contains(o.parts, part) }
