package main

import (
	"context"
	"os/exec"
	"time"

	"lafs/onion"
)

// start measures what comes before the first byte.
func (b *bench) start(ctx context.Context) error {
	if err := b.command(ctx); err != nil {
		return err
	}
	return b.coldStart(ctx)
}

// command measures what every command costs before it does anything, and
// the one that asks the running node.
func (b *bench) command(ctx context.Context) error {
	times, err := measure(b.runs, func() error { return exec.CommandContext(ctx, b.lafs, "--version").Run() })
	if err != nil {
		return err
	}
	if err := b.report.add(row{operation: "lafs --version", times: times}); err != nil {
		return err
	}
	times, err = measure(b.runs, func() error {
		_, err := b.grid.Clients[0].Lafs(ctx, nil, "status", "--json")
		return err
	})
	if err != nil {
		return err
	}
	return b.report.add(row{operation: "lafs status", times: times})
}

// coldStart measures from starting a client's node, with a tor that is
// connected, to the first byte of a small file; and beside it what a bare
// connection to one service and one trip take.
func (b *bench) coldStart(ctx context.Context) error {
	cap, err := b.put(ctx, content(1<<10))
	if err != nil {
		return err
	}
	node := b.grid.Clients[0]
	var times, bare sample
	for range b.runs {
		node.Stop()
		start := time.Now()
		if err := node.Start(ctx); err != nil {
			return err
		}
		if err := b.getUntil(ctx, cap, 30*time.Second); err != nil {
			return err
		}
		times = append(times, time.Since(start))

		start = time.Now()
		c, err := b.plain.client.Dial(ctx, b.plain.addrs[0], onion.NewLane())
		if err != nil {
			return err
		}
		err = exchange(c, 1, 1)
		bare = append(bare, time.Since(start))
		c.Close()
		if err != nil {
			return err
		}
	}
	return b.report.add(row{operation: "cold start to first byte", times: times, limit: bare, what: "one bare connection and a trip"})
}
