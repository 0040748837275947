package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lafs/onion/mux"
)

// What is asked of transfers: at most so many times the plain streams' time,
// and at least so many times faster than Tahoe-LAFS (0: faster).
type asked struct{ put, get, putFaster, getFaster float64 }

// What is asked of small requests, in trips.
const (
	oneTrip  = 1.25
	twoTrips = 2.3
	walkMost = 5.4
)

// warmTahoe is the largest file that warms Tahoe-LAFS: it moves a segment at
// a time, so that more would only take minutes.
const warmTahoe = 10 << 20

// A transfer is the files of one size on one side.
type transfer struct {
	s    *side
	size int64
	data []byte
	file *stored
	caps []string
}

// warmed puts and gets a file, so that what follows finds open circuits.
func warmed(ctx context.Context, s *side, size int64) (*transfer, error) {
	first := size
	if !s.ours {
		first = min(size, warmTahoe)
	}
	cap, err := s.putAll(ctx, content(first))
	if err == nil {
		err = s.get(ctx, cap, first)
	}
	return &transfer{s: s, size: size}, err
}

func (t *transfer) putting(name string) operation {
	op := operation{
		name: "put " + name, restName: "put " + name + ", until the last share", bytes: t.size,
		prepare: func(context.Context, int) error {
			t.data = content(t.size)
			return nil
		},
		run: func(ctx context.Context, _ int) (err error) {
			if t.file, err = t.s.put(ctx, t.data); err == nil {
				t.caps = append(t.caps, t.file.cap)
			}
			return err
		},
		rest: func(context.Context, int) error { return t.file.rest() },
	}
	return op
}

func (t *transfer) getting(name string) operation {
	return operation{name: "get " + name, bytes: t.size, run: func(ctx context.Context, i int) error {
		if len(t.caps) == 0 {
			return errors.New("no file was stored")
		}
		return t.s.get(ctx, t.caps[i%len(t.caps)], t.size)
	}}
}

// tiny measures what fits in one trip.
func (b *bench) tiny(ctx context.Context) error {
	return b.compare(ctx, func(ctx context.Context, s *side) ([]operation, error) {
		t, err := warmed(ctx, s, 1<<10)
		if err != nil {
			return nil, err
		}
		put, get := t.putting("1 KiB"), t.getting("1 KiB")
		check := operation{name: "check", run: func(ctx context.Context, _ int) error { return s.healthy(ctx, t.caps[0]) }}
		for _, op := range []*operation{&put, &get, &check} {
			op.trips, op.atMost = 1, oneTrip
		}
		return []operation{put, get, check, repairing(s)}, nil
	})
}

// repairing mends a file that has lost its share on one server.
func repairing(s *side) operation {
	const size = 1 << 20
	var cap string
	return operation{
		name: "check and repair, 1 MiB, one share", bytes: size,
		prepare: func(ctx context.Context, _ int) (err error) {
			if cap, err = s.putAll(ctx, content(size)); err != nil {
				return err
			}
			return s.lose(ctx, cap)
		},
		run: func(ctx context.Context, _ int) error {
			report, err := s.check(ctx, cap, "&repair=true")
			if err == nil && !(report.Attempted && report.Successful) {
				err = errors.New("nothing was repaired")
			}
			return err
		},
	}
}

// sized measures files of one size, first warm, then cold: the client's node
// has just started, knows the servers, and has no session.
func sized(name string, size int64, most asked) func(*bench, context.Context) error {
	return func(b *bench, ctx context.Context) error {
		return b.compare(ctx, func(ctx context.Context, s *side) ([]operation, error) {
			t, err := warmed(ctx, s, size)
			if err != nil {
				return nil, err
			}
			put, get := t.putting(name), t.getting(name)
			put.atLeast, get.atLeast = most.putFaster, most.getFaster
			if !s.ours {
				return []operation{put, get, put, get}, nil
			}
			put.atMost, get.atMost = most.put, most.get
			if put.limit, put.what, err = b.streams(ctx, size/needed, 0); err != nil {
				return nil, err
			}
			if get.limit, get.what, err = b.streams(ctx, 0, size/servers); err != nil {
				return nil, err
			}
			return []operation{put, get, b.cold(t.putting(name), size/needed, 0), b.cold(t.getting(name), 0, size/servers)}, nil
		})
	}
}

// streams is the limit of a transfer: the same bytes, up or down from each
// server, on as many plain streams as lafs may open, of which the windows
// have grown.
func (b *bench) streams(ctx context.Context, up, down int64) (func(context.Context) (time.Duration, error), string, error) {
	lanes := mux.DefaultBulkLanes
	b.say("opening plain streams")
	if err := b.plain.open(ctx, lanes); err != nil {
		return nil, "", err
	}
	move := func(ctx context.Context) (time.Duration, error) {
		start := time.Now()
		err := b.plain.move(ctx, servers, lanes, up, down)
		return time.Since(start), err
	}
	_, err := move(ctx)
	return move, fmt.Sprintf("%d plain streams", servers*lanes), err
}

// cold makes an operation start with a node that has just started. Its limit
// are streams that have to be dialled too. Tahoe-LAFS has nothing like it: it
// keeps its connections busy, so that it is connected once it has started.
func (b *bench) cold(op operation, up, down int64) operation {
	op.name += ", cold"
	op.restName += ", cold"
	op.alone = true
	op.what = fmt.Sprintf("%d plain streams, dialled for it", servers*mux.DefaultBulkLanes)
	op.limit = func(ctx context.Context) (time.Duration, error) {
		start := time.Now()
		err := b.plain.fresh(ctx, servers, mux.DefaultBulkLanes, up, down)
		return time.Since(start), err
	}
	before := op.prepare
	op.prepare = func(ctx context.Context, i int) error {
		if before != nil {
			if err := before(ctx, i); err != nil {
				return err
			}
		}
		return b.ours.restart(ctx)
	}
	return op
}
