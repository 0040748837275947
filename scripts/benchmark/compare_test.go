package main

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// nobody is a side of which nothing runs.
func nobody(name string, restarts *int) *side {
	none := func() []int { return nil }
	return &side{
		name: name, client: none, servers: none,
		stop:  func() { *restarts++ },
		start: func(context.Context) error { return nil },
		ready: func(context.Context) error { return nil },
	}
}

// asleep is an operation that takes what times say, run by run, and gives up
// when ctx ends.
func asleep(times ...time.Duration) func(context.Context, int) error {
	return func(ctx context.Context, i int) error {
		select {
		case <-time.After(times[i]):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func newBench(t *testing.T, runs int, patience time.Duration) (b *bench, restarts *int) {
	t.Helper()
	restarts = new(int)
	b = &bench{options: options{runs: runs, patience: patience}, progress: &progress{out: io.Discard}}
	b.ours, b.theirs = nobody("lafs", new(int)), nobody("Tahoe-LAFS", restarts)
	return b, restarts
}

const s = time.Second

func TestMeasure(t *testing.T) {
	for _, tt := range []struct {
		name     string
		patience time.Duration
		theirs   func(context.Context, int) error
		want     sample
		stopped  time.Duration
		fails    bool
		restarts int
	}{
		{"all runs", time.Minute, asleep(4*s, 6*s, 5*s), sample{4 * s, 6 * s, 5 * s}, 0, false, 0},
		{"the next would not fit", 13 * s, asleep(4*s, 6*s, 5*s), sample{4 * s, 6 * s}, 0, false, 0},
		{"one is stopped", 9 * s, asleep(4*s, 6*s, 5*s), sample{4 * s}, 5 * s, false, 1},
		{"the first is stopped", 3 * s, asleep(4*s, 6*s, 5*s), nil, 3 * s, false, 1},
		{"it fails", time.Minute, func(context.Context, int) error { return errors.New("no") }, nil, 0, true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, restarts := newBench(t, 3, tt.patience)
				op := operation{name: "op", restName: "op and the rest", run: asleep(1*s, 2*s, 3*s), rest: asleep(1*s, 1*s, 1*s),
					limit: func(ctx context.Context) (time.Duration, error) { return s, nil }, atMost: 2.5}
				rows, err := b.measure(t.Context(), op, &rival{op: operation{run: tt.theirs}, left: tt.patience, meter: &meter{s: b.theirs}})
				if err != nil || len(rows) != 2 {
					t.Fatalf("measure: %d rows, %v, want 2", len(rows), err)
				}
				if want := (sample{1 * s, 2 * s, 3 * s}); !slices.Equal(rows[0].times, want) {
					t.Errorf("times: got %v, want %v", rows[0].times, want)
				}
				if want := (sample{2 * s, 3 * s, 4 * s}); !slices.Equal(rows[1].times, want) || rows[1].operation != "op and the rest" {
					t.Errorf("times until the rest: got %v of %q, want %v", rows[1].times, rows[1].operation, want)
				}
				if rows[0].missed() != "" && !tt.fails || rows[1].missed() == "" {
					t.Errorf("missed: got %q and %q, want the second alone", rows[0].missed(), rows[1].missed())
				}
				got := rows[0].theirs
				if !slices.Equal(got.times, tt.want) || got.stopped != tt.stopped || (got.failed != nil) != tt.fails {
					t.Errorf("Tahoe-LAFS: got %v, stopped after %v, failed %v, want %v, %v, %v", got.times, got.stopped, got.failed, tt.want, tt.stopped, tt.fails)
				}
				if *restarts != tt.restarts {
					t.Errorf("Tahoe-LAFS was restarted %d times, want %d", *restarts, tt.restarts)
				}
			})
		})
	}
}

// What fails of ours is a row of its own, and no reason to stop.
func TestMeasureFailing(t *testing.T) {
	b, _ := newBench(t, 3, time.Minute)
	rows, err := b.measure(t.Context(), operation{name: "op", rest: asleep(0), run: func(_ context.Context, i int) error {
		if i == 1 {
			return errors.New("lost")
		}
		return nil
	}}, &rival{over: true})
	if err != nil || len(rows) != 1 {
		t.Fatalf("measure: %d rows, %v, want 1", len(rows), err)
	}
	if rows[0].failed == nil || len(rows[0].times) != 1 || rows[0].missed() != "failed" {
		t.Errorf("got %d times, failed %v, missed %q", len(rows[0].times), rows[0].failed, rows[0].missed())
	}
}

// Ctrl-C ends what is measured at once.
func TestMeasureInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := newBench(t, 3, time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 10*s)
		defer cancel()
		start := time.Now()
		_, err := b.measure(ctx, operation{run: asleep(time.Minute)}, &rival{over: true})
		if err == nil || time.Since(start) != 10*s {
			t.Errorf("measure: %v after %v, want an error after 10 s", err, time.Since(start))
		}
	})
}

// An exchange with somebody silent ends with its context.
func TestExchangeInterrupted(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	defer near.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		io.ReadFull(far, make([]byte, 16))
		cancel()
	}()
	if err := exchange(ctx, near, 0, 1); err == nil {
		t.Error("exchange: no error, want one")
	}
}
