package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// An operation is what a row measures, on one side.
type operation struct {
	name  string
	bytes int64 // of plaintext, 0 where speed says nothing
	// prepare, which may be nil, comes before each run and is not measured.
	prepare func(ctx context.Context, i int) error
	// run is run number i, from 0.
	run func(ctx context.Context, i int) error
	// rest is what goes on after run, nil if nothing does; from the start of
	// run to its end is a row of its own, with restName.
	rest     func(ctx context.Context, i int) error
	restName string

	// trips is how many round trips the operation takes at the least; 0 where
	// limit says what it takes at the least, or nothing does.
	trips int
	limit func(context.Context) (time.Duration, error)
	what  string
	// atMost is how much the operation may take: trips, or times the limit;
	// 0 where nothing is asked. atLeast is how many times faster than
	// Tahoe-LAFS it has to be; 0 means faster.
	atMost, atLeast float64
	// alone says that Tahoe-LAFS has nothing like it.
	alone bool
}

func (op operation) before(ctx context.Context, i int) error {
	if op.prepare == nil {
		return nil
	}
	return op.prepare(ctx, i)
}

// A build makes the operations of a group on one side, the same on each.
type build func(context.Context, *side) ([]operation, error)

const (
	// runTimeout is what one run of ours may take, far beyond any that is well.
	runTimeout = 5 * time.Minute
	// prepareTimeout is what preparing a group may take: a file of 100 MiB,
	// or a directory of 10,000 entries on Tahoe-LAFS.
	prepareTimeout = 5 * time.Minute
)

// compare measures operations on our side and on Tahoe-LAFS's, a run here
// and then a run there, so that noise is in both. One that fails is a row
// that says so.
func (b *bench) compare(ctx context.Context, build build) error {
	b.say("preparing lafs")
	ours, err := prepared(ctx, build, b.ours)
	if err != nil {
		return err
	}
	var theirs []operation
	var failed error
	if b.theirs != nil {
		b.say("preparing Tahoe-LAFS")
		if theirs, failed = prepared(ctx, build, b.theirs); failed != nil {
			if err := b.theirs.restart(ctx); err != nil {
				return fmt.Errorf("restart Tahoe-LAFS: %w", err)
			}
		}
	}
	for i, op := range ours {
		r := &rival{over: true, result: result{missing: b.missing, failed: failed, atLeast: op.atLeast}}
		if theirs != nil && !op.alone {
			r = &rival{op: theirs[i], left: b.patience, meter: &meter{s: b.theirs}, result: result{atLeast: op.atLeast}}
		}
		rows, err := b.measure(ctx, op, r)
		if err != nil {
			return err
		}
		for _, w := range rows {
			if err := b.report.add(w); err != nil {
				return err
			}
		}
	}
	return nil
}

func prepared(ctx context.Context, build build, s *side) ([]operation, error) {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return build(ctx, s)
}

// measure gives the row of one operation, and that of its rest. Its error is
// of the benchmark itself; one of the operation stands in the row.
func (b *bench) measure(ctx context.Context, op operation, r *rival) ([]row, error) {
	w := row{operation: op.name, bytes: op.bytes, ideal: op.trips, what: op.what, atMost: op.atMost, alone: op.alone}
	var whole sample
	m := &meter{s: b.ours}
	for i := range b.runs {
		b.say("%s: run %d of %d", op.name, i+1, b.runs)
		if err := b.bare(ctx, op, &w); err != nil {
			return nil, err
		}
		first, all, err := timed(ctx, op, m, i)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			w.failed = err
			break
		}
		w.times = append(w.times, first)
		whole = append(whole, all)
		if r.over {
			continue
		}
		b.say("%s: run %d of %d, Tahoe-LAFS", op.name, i+1, b.runs)
		if err := r.run(ctx, b.theirs, i); err != nil {
			return nil, err
		}
	}
	w.cost, w.theirs = m.cost(), r.result
	rows := []row{w}
	if op.rest != nil && w.failed == nil {
		w.operation, w.times = op.restName, whole
		rows = append(rows, w)
	}
	return rows, nil
}

// bare measures once what a row is compared with.
func (b *bench) bare(ctx context.Context, op operation, w *row) error {
	if op.limit != nil {
		took, err := op.limit(ctx)
		if err != nil {
			return errors.Join(ctx.Err(), fmt.Errorf("measure the limit: %w", err))
		}
		w.limit = append(w.limit, took)
	}
	if op.trips > 0 {
		took, err := b.plain.trip(ctx)
		if err != nil {
			return errors.Join(ctx.Err(), fmt.Errorf("measure a trip: %w", err))
		}
		w.trip = append(w.trip, took)
	}
	return nil
}

// timed is one run of ours: how long until the operation is done, and until
// its rest is.
func timed(ctx context.Context, op operation, m *meter, i int) (first, all time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	if err := op.before(ctx, i); err != nil {
		return 0, 0, err
	}
	m.begin()
	defer m.end()
	start := time.Now()
	err = op.run(ctx, i)
	first = time.Since(start)
	if err == nil && op.rest != nil {
		err = op.rest(ctx, i)
	}
	return first, time.Since(start), err
}
