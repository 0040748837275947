// Crashing kills a storage server, again and again, and says whether it kept
// its promises: see scripts/crash --help.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

const usage = `usage: scripts/crash [--kills N] [--points N | --all-points] [--seed N]

Breaks a storage server in two ways, and looks after each whether every
acknowledged share, slot and lease is there and right, and whether nothing
that was not acknowledged shows as whole:

  kills   kill -9 of a server process under a load of uploads, changes of slots
          by both protocols, leases and restarts, at random moments
  points  a run is recorded, system call by system call; for each of them the
          disk is made that a loss of power leaves there, without all that was
          not synced, and once more with some of it (needs ptrace; amd64)

`

func main() {
	if run, ok := os.LookupEnv(childEnv); ok {
		if err := child(run); err != nil {
			fmt.Fprintln(os.Stderr, "crashing:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "crashing:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("scripts/crash", flag.ContinueOnError)
	kills := flags.Int("kills", 200, "how often the server is killed; 0: never")
	points := flags.Int("points", 300, "at how many system calls the power is lost; 0: none")
	all := flags.Bool("all-points", false, "at every system call that changes what is on the disk")
	seed := flags.Uint64("seed", uint64(time.Now().UnixNano()), "repeats the choices of an earlier run")
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
	if flags.NArg() > 0 || *kills < 0 || *points < 0 {
		return errors.New("see --help")
	}
	fmt.Printf("seed %d\n", *seed)
	if *kills > 0 {
		began := time.Now()
		sum, err := Kill(ctx, *kills, *seed)
		if err != nil {
			return err
		}
		fmt.Printf("kills: %v in %.0f s\n", sum, time.Since(began).Seconds())
	}
	if *all {
		*points = -1
	}
	if *points != 0 {
		began := time.Now()
		sum, err := Points(ctx, *points, *seed)
		if err != nil {
			return err
		}
		fmt.Printf("points: %v in %.0f s\n", sum, time.Since(began).Seconds())
	}
	return nil
}
