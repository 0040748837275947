// Storebench measures a storage server that holds many shares, without a
// network: see scripts/bench --store --help.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

const usage = `usage: scripts/bench --store [--shares N] [--dir DIR] [--keep] [--only PART,...]

Fills a storage directory with N shares of 1 KiB and measures on it: starts
after a clean stop and after kill -9, memory, the speed of each operation beside
that with 1,000 shares, durable stores of 1 KiB, 64 at once, beside bare files
that are written, synced and renamed, and large reads beside bare files over
the same socket, in turns. The parts are starts, speeds, stores and reads. A million shares take about 9 GiB of the disk while it runs
(each has a directory of its own), and some minutes to make.

`

func main() {
	if dir, ok := os.LookupEnv(childEnv); ok {
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, "storebench:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "storebench:", err)
		os.Exit(1)
	}
}

// few is how many shares the directory has that the other is compared with.
const few = 1000

func command(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("scripts/bench --store", flag.ContinueOnError)
	shares := flags.Int("shares", 1_000_000, "how many shares there are")
	dir := flags.String("dir", os.TempDir(), "a directory on the disk that is measured")
	keep := flags.Bool("keep", false, "use what an earlier run made in DIR, and leave it")
	only := flags.String("only", "", "of what is measured, these parts")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if flags.NArg() > 0 || *shares < few {
		return errors.New("see --help")
	}
	base := filepath.Join(*dir, "lafs-storebench")
	if !*keep {
		defer os.RemoveAll(base)
	}
	b := &bench{dir: base, shares: *shares}
	parts := []struct {
		name string
		do   func(context.Context) error
	}{{"starts", b.starts}, {"speeds", b.speeds}, {"stores", b.stores}, {"reads", b.reads}}
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(*only, ",") {
		wanted[name] = true
	}
	if err := b.fill(ctx); err != nil {
		return err
	}
	for _, part := range parts {
		if *only != "" && !wanted[part.name] {
			continue
		}
		if err := part.do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// A bench measures in dir.
type bench struct {
	dir    string
	shares int
}

// large and small are the two directories.
func (b *bench) large() string { return filepath.Join(b.dir, fmt.Sprint(b.shares)) }
func (b *bench) small() string { return filepath.Join(b.dir, fmt.Sprint(few)) }

func row(what, format string, args ...any) {
	fmt.Printf("%-46s %s\n", what, fmt.Sprintf(format, args...))
}
