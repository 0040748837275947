package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lafs/onion/mux"
)

// tiny measures what fits in one trip. Their limit is the trip itself.
func (b *bench) tiny(ctx context.Context) error {
	put, get, last, err := b.putAndGet(ctx, "1 KiB", 1<<10, b.runs)
	if err != nil {
		return err
	}
	check, err := b.row("check", b.runs, func() error {
		report, err := b.check(ctx, last, false)
		if err == nil && !report.Results.Healthy {
			err = fmt.Errorf("the file is not healthy: %s", report.Summary)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := errors.Join(b.report.add(put), b.report.add(get), b.report.add(check)); err != nil {
		return err
	}
	return b.repair(ctx)
}

// repair measures a file of 1 MiB that has lost its share on one server.
func (b *bench) repair(ctx context.Context) error {
	var damaged []string
	for range b.runs {
		cap, err := b.put(ctx, content(1<<20))
		if err != nil {
			return err
		}
		report, err := b.check(ctx, cap, false)
		if err != nil {
			return err
		}
		if err := b.lose(report.StorageIndex); err != nil {
			return err
		}
		damaged = append(damaged, cap)
	}
	i := 0
	w, err := b.row("check and repair, 1 MiB, one share", b.runs, func() error {
		report, err := b.check(ctx, damaged[i], true)
		i++
		if err == nil && !report.Attempted {
			err = errors.New("nothing was repaired")
		}
		return err
	})
	if err != nil {
		return err
	}
	return b.report.add(w)
}

// lose removes the shares of a file from the first server's disk while the
// server stands still.
func (b *bench) lose(index string) error {
	node := b.grid.Servers[0]
	paths, err := filepath.Glob(filepath.Join(node.Dir, "storage", "shares", index[:2], index, "*"))
	if err != nil || len(paths) == 0 {
		return errors.Join(errors.New("the first server holds no share of the file"), err)
	}
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// sized measures files of one size, first warm, then cold: the client's node
// has just started, knows the servers, and has no session.
func sized(name string, size int64) func(*bench, context.Context) error {
	return func(b *bench, ctx context.Context) error {
		put, get, last, err := b.putAndGet(ctx, name, size, b.runs)
		if err != nil {
			return err
		}
		lanes := mux.DefaultBulkLanes
		if put.limit, err = b.limit(ctx, servers, lanes, size/needed, 0); err != nil {
			return err
		}
		if get.limit, err = b.limit(ctx, needed, lanes, 0, size/needed); err != nil {
			return err
		}
		put.what, get.what = fmt.Sprintf("%d plain streams", servers*lanes), fmt.Sprintf("%d plain streams", needed*lanes)
		if err := errors.Join(b.report.add(put), b.report.add(get)); err != nil {
			return err
		}
		cold := func(operation string, f func() error) error {
			var all sample
			for range b.runs {
				if err := b.restart(ctx); err != nil {
					return err
				}
				times, err := measure(1, f)
				if err != nil {
					return err
				}
				all = append(all, times...)
			}
			return b.report.add(row{operation: operation + ", cold", times: all, bytes: size})
		}
		if err := cold("put "+name, func() error { _, err := b.put(ctx, content(size)); return err }); err != nil {
			return err
		}
		return cold("get "+name, func() error { return b.getAll(ctx, last, size) })
	}
}

// putAndGet measures warm sessions, and returns the cap of the last file.
func (b *bench) putAndGet(ctx context.Context, name string, size int64, runs int) (put, get row, last string, err error) {
	var caps []string
	upload := func() error {
		cap, err := b.put(ctx, content(size))
		caps = append(caps, cap)
		return err
	}
	// The first opens the lanes and is not measured.
	if err := upload(); err != nil {
		return put, get, "", err
	}
	if put, err = b.row("put "+name, runs, upload); err != nil {
		return put, get, "", err
	}
	if err := b.getAll(ctx, caps[0], size); err != nil {
		return put, get, "", err
	}
	i := 0
	get, err = b.row("get "+name, runs, func() error {
		i++
		return b.getAll(ctx, caps[i], size)
	})
	put.bytes, get.bytes = size, size
	return put, get, caps[len(caps)-1], err
}

// limit measures plain streams, after a run that warms their windows.
func (b *bench) limit(ctx context.Context, n, lanes int, up, down int64) (sample, error) {
	if err := b.plain.open(ctx, lanes); err != nil {
		return nil, err
	}
	if err := b.plain.move(n, lanes, up, down); err != nil {
		return nil, err
	}
	return measure(b.runs, func() error { return b.plain.move(n, lanes, up, down) })
}
