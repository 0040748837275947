package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// What two bad servers may cost, in times of the undisturbed.
const disturbedMost = 1.5

// faults measures a get while two of the five servers are of little use: one
// process stands still, and the tor of another carries a tenth of what a
// server sent without them. Tahoe-LAFS has no part in it: its share of what
// is slow would be another one.
func (b *bench) faults(ctx context.Context) error {
	const size = 10 << 20
	b.say("preparing lafs")
	t, err := warmed(ctx, b.ours, size)
	if err != nil {
		return err
	}
	for range 2 * b.runs {
		cap, err := b.ours.putAll(ctx, content(size))
		if err != nil {
			return err
		}
		t.caps = append(t.caps, cap)
	}
	get := t.getting("10 MiB, all servers well")
	get.alone = true
	well, err := b.measure(ctx, get, &rival{over: true})
	if err != nil {
		return err
	}
	if well[0].failed != nil {
		return well[0].failed
	}
	t.caps = t.caps[b.runs:]
	disturbed := t.getting("10 MiB, one stalled, one slow")
	disturbed.alone, disturbed.what, disturbed.atMost = true, "the same with all servers well", disturbedMost
	var rows []row
	err = b.disturb(ctx, float64(size)/servers/well[0].times.median().Seconds()/10, func() (err error) {
		rows, err = b.measure(ctx, disturbed, &rival{over: true})
		return err
	})
	if err != nil {
		return err
	}
	rows[0].limit = well[0].times
	return errors.Join(b.report.add(well[0]), b.report.add(rows[0]))
}

// disturb makes the first server stand still and the last carry so many bytes
// a second, while f runs.
func (b *bench) disturb(ctx context.Context, rate float64, f func() error) (err error) {
	if err := b.network.Throttle(ctx, b.services[servers-1], int64(rate)); err != nil {
		return fmt.Errorf("slow a server down: %w", err)
	}
	stalled := b.grid.Servers[0].Pid()
	defer func() {
		// It has to go on even if the run has been interrupted.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, syscall.Kill(stalled, syscall.SIGCONT), b.network.Throttle(ctx, b.services[servers-1], 0))
	}()
	if err := syscall.Kill(stalled, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop a server: %w", err)
	}
	return f()
}
