package main

import (
	"context"
	"fmt"
	"time"
)

// A result is what Tahoe-LAFS needed for a row's operation.
type result struct {
	times sample
	// missing says why nothing was tried, and failed what it failed at.
	missing string
	failed  error
	// stopped is after how long a run was given up, 0 if none was.
	stopped time.Duration
	cost    cost
	atLeast float64 // how many times faster we have to be; 0 means faster
}

// A rival runs an operation on Tahoe-LAFS for as long as the row may take.
type rival struct {
	op     operation
	left   time.Duration
	over   bool
	meter  *meter
	result result
}

// run is one run. Its error is of the benchmark itself; what Tahoe-LAFS fails
// at stands in the result.
func (r *rival) run(ctx context.Context, s *side, i int) error {
	began := time.Now()
	took, err := r.once(ctx, i)
	spent := time.Since(began)
	r.left -= spent
	r.result.cost = r.meter.cost()
	if err == nil {
		r.result.times = append(r.result.times, took)
		// The next would not end in time either.
		r.over = r.left < spent
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.over = true
	if r.left > 0 {
		r.result.failed = err
	} else {
		r.result.stopped = took
	}
	// What it has begun must not go on beside the next operation.
	if err := s.restart(ctx); err != nil {
		return fmt.Errorf("restart Tahoe-LAFS: %w", err)
	}
	return nil
}

func (r *rival) once(ctx context.Context, i int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, r.left)
	defer cancel()
	start := time.Now()
	if err := r.op.before(ctx, i); err != nil {
		return time.Since(start), err
	}
	r.meter.begin()
	defer r.meter.end()
	start = time.Now()
	err := r.op.run(ctx, i)
	return time.Since(start), err
}
