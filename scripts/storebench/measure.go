package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"lafs/node/store"
	"lafs/onion"
	"lafs/onion/mux"
	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// starts measures starts and memory.
func (b *bench) starts(ctx context.Context) error {
	for _, what := range []struct {
		name string
		end  syscall.Signal
	}{{"start after a clean stop", syscall.SIGKILL}, {"start after kill -9", syscall.SIGTERM}} {
		s, err := start(ctx, b.large())
		if err != nil {
			return err
		}
		peak, own, mapped, err := s.memory()
		if err != nil {
			return err
		}
		row(what.name, "%.2f s (peak %d MiB; then own %d, mapped %d)", s.took.Seconds(), peak, own, mapped)
		if what.end == syscall.SIGTERM {
			if err := b.hold(ctx, s); err != nil {
				return err
			}
		}
		if err := s.end(what.end); err != nil {
			return err
		}
	}
	return nil
}

// hold measures many idle sessions.
func (b *bench) hold(ctx context.Context, s *server) error {
	key, err := onion.GenerateKey()
	if err != nil {
		return err
	}
	addr, err := key.Addr(1)
	if err != nil {
		return err
	}
	pool, err := mux.NewPool(socketNetwork{filepath.Join(b.large(), "mux")}, mux.Config{Sessions: sessions})
	if err != nil {
		return err
	}
	defer pool.Close()
	var asks errgroup.Group
	asks.SetLimit(32)
	for i := range sessions {
		asks.Go(func() error {
			c := gbs.NewClient(pool.Peer(addr, fmt.Sprint(i)), storage.NewSwissnum(swissnum))
			buf := make([]byte, shareSize)
			_, err := c.Read(ctx, storage.Immutable, index(i), 0, 0, buf)
			return err
		})
	}
	if err := asks.Wait(); err != nil {
		return err
	}
	peak, own, mapped, err := s.memory()
	row(fmt.Sprintf("%d idle sessions, each had a request", sessions), "peak %d MiB; own %d, mapped %d", peak, own, mapped)
	return err
}

// runs is how often each operation is measured.
const runs = 300

// speeds compares the operations with those of a small directory.
func (b *bench) speeds(ctx context.Context) error {
	few, err := b.speed(ctx, b.small(), few)
	if err != nil {
		return err
	}
	many, err := b.speed(ctx, b.large(), b.shares)
	if err != nil {
		return err
	}
	for i, f := range few {
		m := many[i]
		row(f.name, "%8.3f ms, with few shares %8.3f ms: %.2f times", ms(m.median), ms(f.median), m.median.Seconds()/f.median.Seconds())
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

type speed struct {
	name   string
	median time.Duration
}

// fresh is a storage index that no directory has.
func fresh(i int) caps.StorageIndex { return index(1<<40 + i) }

func (b *bench) speed(ctx context.Context, dir string, n int) (out []speed, err error) {
	s, err := store.Open(config(dir))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	// Far apart, and the same ones each time.
	at := func(i int) caps.StorageIndex { return index(i * 7919 % n) }
	buf := make([]byte, shareSize)
	owner := &storage.LeaseSecrets{Renew: [32]byte{1}, Cancel: [32]byte{2}}
	seed := int(time.Now().UnixNano() % 1e12)
	for _, op := range []struct {
		name string
		do   func(i int) error
	}{
		{"list a bucket", func(i int) error { _, err := s.Shares(ctx, storage.Immutable, at(i)); return err }},
		{"list a bucket that is not there", func(i int) error { _, err := s.Shares(ctx, storage.Immutable, fresh(i)); return err }},
		{"read a share", func(i int) error { _, err := s.Read(ctx, storage.Immutable, at(i), 0, 0, buf); return err }},
		{"ask for space and give it back", func(i int) error {
			up := storage.GenerateUploadSecret()
			if _, err := s.Allocate(ctx, fresh(i), []storage.ShareNumber{0}, shareSize, up, owner); err != nil {
				return err
			}
			return s.Abort(ctx, fresh(i), 0, up)
		}},
		{"store a share, durably", func(i int) error { return put(ctx, s, fresh(seed+i)) }},
		{"add a lease, durably", func(i int) error {
			l := *owner
			l.Renew[1], l.Renew[2] = byte(seed), byte(seed>>8)
			return s.AddLease(ctx, at(i), &l)
		}},
		{"write a slot, durably", func(i int) error {
			w := storage.TestWrite{Patches: []storage.Patch{{Data: buf}}}
			_, _, err := s.ReadTestWrite(ctx, fresh(seed+i), &storage.WriteEnabler{}, owner, map[storage.ShareNumber]storage.TestWrite{0: w}, nil)
			return err
		}},
		{"read a slot", func(i int) error { _, err := s.Read(ctx, storage.Mutable, fresh(seed+i), 0, 0, buf); return err }},
	} {
		times := make([]time.Duration, runs)
		for i := range times {
			began := time.Now()
			if err := op.do(i); err != nil {
				return nil, fmt.Errorf("%s: %w", op.name, err)
			}
			times[i] = time.Since(began)
		}
		slices.Sort(times)
		out = append(out, speed{op.name, times[runs/2]})
	}
	return out, nil
}

func put(ctx context.Context, s storage.Server, si caps.StorageIndex) error {
	up := storage.GenerateUploadSecret()
	if _, err := s.Allocate(ctx, si, []storage.ShareNumber{0}, shareSize, up, &storage.LeaseSecrets{}); err != nil {
		return err
	}
	_, err := s.Write(ctx, si, 0, up, 0, make([]byte, shareSize))
	return err
}

const (
	atOnce = 64
	rounds = 9
	puts   = 800
)

// stores compares durable stores with bare files, in turns: whatever else the
// machine does, all feel it alike.
func (b *bench) stores(ctx context.Context) error {
	s, err := store.Open(config(b.large()))
	if err != nil {
		return err
	}
	defer s.Close()
	seed := int(time.Now().UnixNano() % 1e12)
	names := []string{"as the store does", "in bare files, named as ours", "in bare files, in one directory"}
	rate, used, ratio := make([][]float64, len(names)), make([][]float64, len(names)), make([][]float64, len(names))
	for r := range rounds {
		dir := filepath.Join(b.dir, fmt.Sprint("bare-", r))
		if err := os.MkdirAll(filepath.Join(dir, "in"), 0o700); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		seed += puts
		ways := []func(i int) error{
			func(i int) error { return put(ctx, s, fresh(seed+i)) },
			func(i int) error { return bareFileIn(dir, seed+i, true) },
			func(i int) error { return bareFileIn(dir, puts+seed+i, false) },
		}
		for j := range ways {
			k := (r + j) % len(ways)
			took, cpu, err := all(ways[k])
			if err != nil {
				return err
			}
			rate[k] = append(rate[k], puts/took.Seconds())
			used[k] = append(used[k], ms(cpu)/puts)
		}
		for k := range ways {
			ratio[k] = append(ratio[k], rate[0][r]/rate[k][r])
		}
	}
	row("durable stores of 1 KiB, 64 at once", "%.0f /s, %.3f ms of processors each", median(rate[0]), median(used[0]))
	for k := 1; k < len(names); k++ {
		row("  "+names[k], "%.0f /s, %.3f ms: %.2f times (a quarter of the turns below %.2f)", median(rate[k]), median(used[k]), median(ratio[k]), quarter(ratio[k]))
	}
	return nil
}

// all does something puts times, atOnce at once, and says how long that took,
// and how much time of processors.
func all(do func(i int) error) (took, used time.Duration, err error) {
	before, err := processorTime()
	if err != nil {
		return 0, 0, err
	}
	var jobs errgroup.Group
	jobs.SetLimit(atOnce)
	began := time.Now()
	for i := range puts {
		jobs.Go(func() error { return do(i) })
	}
	if err := jobs.Wait(); err != nil {
		return 0, 0, err
	}
	took = time.Since(began)
	after, err := processorTime()
	return took, after - before, err
}

func median(all []float64) float64 {
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/2]
}

// quarter is what a quarter of all is below.
func quarter(all []float64) float64 {
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/4]
}

// bareFileIn writes, syncs, renames, and syncs the directory; nested gives
// each file a directory of its own, in one of 1,024, as the store does.
func bareFileIn(dir string, i int, nested bool) error {
	from, to := filepath.Join(dir, "in", fmt.Sprint(i)), filepath.Join(dir, fmt.Sprint(i))
	if nested {
		name := fresh(i).String()
		to = filepath.Join(dir, name[:2], name, "0")
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(from, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(file(fresh(i))); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
