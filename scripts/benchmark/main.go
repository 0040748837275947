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
	"syscall"
	"time"
)

// options are the command line's.
type options struct {
	delay time.Duration
	runs  int
	json  bool
}

func main() {
	var o options
	var delay int
	flag.IntVar(&delay, "delay", 40, "milliseconds that each link between relays takes one way; an onion trip is about 14 links")
	flag.IntVar(&o.runs, "runs", 5, "how often each operation is measured; the table gives the median and the slowest")
	flag.BoolVar(&o.json, "json", false, "print a JSON object a line and no table")
	flag.Usage = func() {
		fmt.Fprint(os.Stderr, "usage: scripts/bench [--delay MS] [--runs N] [--json]\n\n"+
			"Starts a private Tor network, an introducer, five storage servers and a client,\n"+
			"and measures put and get at 3-of-5. Needs tor on PATH.\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 0 || delay < 0 || o.runs < 1 {
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
