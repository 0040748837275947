// Benchmark measures lafs over a private Tor network of real tor processes,
// with real lafs processes, and prints a table or JSON lines.
//
// Every figure of one table comes from one run. Beside an operation that
// moves many bytes stands the limit: the same bytes on plain isolated onion
// streams, as many as lafs opens, between the same two tors, measured in
// the same run. The machine's noise is in both.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the command line's.
type options struct {
	delay  time.Duration
	runs   int
	json   bool
	groups []string // all if empty
}

// A group is rows that are measured together.
type group struct {
	name, what string
	run        func(*bench, context.Context) error
	local      bool // it needs no network
}

// groups are in the order in which they are measured.
var groups = []group{
	{"code", "encode and decode without a network, against what hashing and encrypting cost", (*bench).coding, true},
	{"start", "start of the command, cold start of a node to the first byte", (*bench).start, false},
	{"1KiB", "put, get, check and repair of 1 KiB", (*bench).tiny, false},
	{"1MiB", "put and get of 1 MiB, warm and cold", sized("1 MiB", 1<<20), false},
	{"10MiB", "put and get of 10 MiB, warm and cold", sized("10 MiB", 10<<20), false},
	{"100MiB", "put and get of 100 MiB, warm and cold", sized("100 MiB", 100<<20), false},
	{"mutable", "a mutable file and a directory: make, list, read, overwrite, put into, walk", (*bench).changes, false},
	{"many", "100 files of 1 KiB at once, a directory of 10,000 entries", (*bench).many, false},
	{"faults", "get 10 MiB with one server stalled and one at a tenth of its speed", (*bench).faults, false},
}

func main() {
	var o options
	var delay int
	var only string
	flag.IntVar(&delay, "delay", 40, "milliseconds that each link between relays takes one way; an onion trip is about 14 links")
	flag.IntVar(&o.runs, "runs", 5, "how often each operation is measured")
	flag.BoolVar(&o.json, "json", false, "print a JSON object a line and no table")
	flag.StringVar(&only, "only", "", "measure only these groups, separated by commas")
	flag.Usage = usage
	flag.Parse()
	if only != "" {
		o.groups = strings.Split(only, ",")
	}
	if flag.NArg() != 0 || delay < 0 || o.runs < 1 || !known(o.groups) {
		flag.Usage()
		os.Exit(2)
	}
	o.delay = time.Duration(delay) * time.Millisecond
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprint(os.Stderr, "usage: scripts/bench [--delay MS] [--runs N] [--only GROUP,...] [--json]\n\n"+
		"Starts a private Tor network, an introducer, five storage servers and a client,\n"+
		"and measures at 3-of-5. Needs tor on PATH.\n\nGroups:\n")
	for _, g := range groups {
		fmt.Fprintf(os.Stderr, "  %-8s %s\n", g.name, g.what)
	}
	fmt.Fprintln(os.Stderr)
	flag.PrintDefaults()
}

func known(names []string) bool {
	for _, name := range names {
		if !slices.ContainsFunc(groups, func(g group) bool { return g.name == name }) {
			fmt.Fprintf(os.Stderr, "scripts/bench: there is no group %q\n\n", name)
			return false
		}
	}
	return true
}

func (o *options) wants(group string) bool {
	return len(o.groups) == 0 || slices.Contains(o.groups, group)
}
