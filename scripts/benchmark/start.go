package main

import (
	"context"
	"os/exec"
	"time"

	"lafs/onion"
)

// start measures what comes before the first byte.
func (b *bench) start(ctx context.Context) error {
	return b.compare(ctx, func(ctx context.Context, s *side) ([]operation, error) {
		cap, err := s.putAll(ctx, content(1<<10))
		if err != nil {
			return nil, err
		}
		return []operation{
			// What every command costs before it does anything, and what the
			// one does that asks the running node.
			{name: "lafs --version", alone: true, run: func(ctx context.Context, _ int) error {
				return exec.CommandContext(ctx, b.lafs, "--version").Run()
			}},
			{name: "lafs status", alone: true, run: func(ctx context.Context, _ int) error {
				_, err := b.grid.Clients[0].Lafs(ctx, nil, "status", "--json")
				return err
			}},
			// From starting a client's node, with a tor that is connected, to the
			// first byte of a small file.
			{
				name: "cold start to first byte", what: "one bare connection and a trip", atMost: 1.3, limit: b.connect,
				prepare: func(context.Context, int) error {
					s.stop()
					return nil
				},
				run: func(ctx context.Context, _ int) error {
					if err := s.start(ctx); err != nil {
						return err
					}
					return s.firstByte(ctx, cap)
				},
			},
		}, nil
	})
}

// connect is a bare connection to one service, and one trip on it.
func (b *bench) connect(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	c, err := b.plain.client.Dial(ctx, b.plain.addrs[0], onion.NewLane())
	if err != nil {
		return 0, err
	}
	defer c.Close()
	err = exchange(ctx, c, 1, 1)
	return time.Since(start), err
}
