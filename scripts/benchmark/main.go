// Benchmark measures lafs over a private Tor network of real tor processes,
// with real lafs processes, and, where it is installed, real Tahoe-LAFS in the
// same network. It prints a table or JSON lines.
//
// Every figure of one table comes from one run, and what is compared was
// measured in turns. Beside an operation stands its limit: for one that moves
// many bytes, the same bytes on plain isolated onion streams, as many as lafs
// opens, between the same two tors; for a small one, round trips. The
// machine's noise is in all of them.
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
	command  string // itself
	delay    time.Duration
	runs     int
	format   string   // "text", "markdown" or "json"
	groups   []string // all if empty
	tahoe    bool
	foolscap bool
	// patience is what Tahoe-LAFS may take in one row.
	patience time.Duration
	check    bool
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
	{"1MiB", "put and get of 1 MiB, warm and cold", sized("1 MiB", 1<<20, asked{}), false},
	{"10MiB", "put and get of 10 MiB, warm and cold", sized("10 MiB", 10<<20, asked{1.3, 1.25, 2.5, 4}), false},
	{"100MiB", "put and get of 100 MiB, warm and cold", sized("100 MiB", 100<<20, asked{1.2, 1.15, 0, 0}), false},
	{"mutable", "a mutable file and a directory: make, list, read, overwrite, put into, walk", (*bench).changes, false},
	{"many", "100 files of 1 KiB at once, a directory of 10,000 entries", (*bench).many, false},
	{"faults", "get 10 MiB with one server stalled and one at a tenth of its speed", (*bench).faults, false},
}

func main() {
	var o options
	var delay int
	var asJSON, asMarkdown bool
	var only string
	flag.IntVar(&delay, "delay", 40, "milliseconds that each link between relays takes one way; an onion trip is about 14 links")
	flag.IntVar(&o.runs, "runs", 5, "how often each operation is measured")
	flag.BoolVar(&asJSON, "json", false, "print a JSON object a line and no table")
	flag.BoolVar(&asMarkdown, "markdown", false, "print the table as README.md has it")
	flag.StringVar(&only, "only", "", "measure only these groups, separated by commas")
	flag.BoolVar(&o.tahoe, "tahoe", true, "measure Tahoe-LAFS too, if it is installed")
	flag.BoolVar(&o.foolscap, "foolscap", false, "let Tahoe-LAFS speak its old protocol, which it does not by default")
	flag.DurationVar(&o.patience, "tahoe-time", 4*time.Minute, "what Tahoe-LAFS may take in one row; then it is stopped, and the row says so")
	flag.BoolVar(&o.check, "check", false, "exit with status 1 if a row misses its target")
	flag.Usage = usage
	flag.Parse()
	if only != "" {
		o.groups = strings.Split(only, ",")
	}
	if flag.NArg() != 0 || delay < 0 || o.runs < 1 || o.patience <= 0 || asJSON && asMarkdown || !known(o.groups) {
		flag.Usage()
		os.Exit(2)
	}
	o.command = strings.Join(append([]string{"scripts/bench"}, os.Args[1:]...), " ")
	o.delay = time.Duration(delay) * time.Millisecond
	o.format = "text"
	if asJSON {
		o.format = "json"
	} else if asMarkdown {
		o.format = "markdown"
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprint(os.Stderr, "usage: scripts/bench [--delay MS] [--runs N] [--only GROUP,...] [--json | --markdown] [--check]\n"+
		"                     [--tahoe=false] [--foolscap] [--tahoe-time D]\n"+
		"       scripts/bench --store ...\n\n"+
		"Starts a private Tor network, an introducer, five storage servers and a client,\n"+
		"and measures at 3-of-5. Needs tor on PATH. Where Tahoe-LAFS is installed, five\n"+
		"servers and a client of it run in the same network and do the same in turns:\n"+
		"$LAFS_TAHOE names the program tahoe, or else the one is taken that\n"+
		"scripts/interop has installed. Progress goes to standard error.\n\n"+
		"Exit status 0: all was measured, whatever came out; with --check, 1 if a row\n"+
		"misses its target.\n\nGroups:\n")
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
