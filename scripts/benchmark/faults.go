package main

import (
	"context"
	"syscall"
)

// faults measures a get while two of the five servers are of little use: one
// process stands still, and the tor of another carries a tenth of what a
// server sent without them.
func (b *bench) faults(ctx context.Context) error {
	const size = 10 << 20
	_, get, _, err := b.putAndGet(ctx, "10 MiB", size, 2*b.runs)
	if err != nil {
		return err
	}
	var caps []string
	for range b.runs {
		cap, err := b.put(ctx, content(size))
		if err != nil {
			return err
		}
		caps = append(caps, cap)
	}
	rate := float64(size) / needed / get.times.median().Seconds() / 10
	if err := b.network.Throttle(ctx, b.slow, int64(rate)); err != nil {
		return err
	}
	stalled := b.grid.Servers[0]
	if err := syscall.Kill(stalled.Pid(), syscall.SIGSTOP); err != nil {
		return err
	}
	i := 0
	w, err := b.row("get 10 MiB, one stalled, one slow", b.runs, func() error {
		cap := caps[i]
		i++
		return b.getAll(ctx, cap, size)
	})
	if e := syscall.Kill(stalled.Pid(), syscall.SIGCONT); err == nil {
		err = e
	}
	if e := b.network.Throttle(ctx, b.slow, 0); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	w.bytes, w.limit, w.what = size, get.times, "the same with all servers well"
	return b.report.add(w)
}
