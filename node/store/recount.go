package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// The pace of recount: a million slots take about an hour.
const (
	recountPage  = 64
	recountEvery = 250 * time.Millisecond
)

// counted is what the totals have of a slot: after a crash that may not be
// what it holds, until it changes or recount comes by. The slot is locked.
func (s *Store) counted(r *ondisk.Record) slotTotals {
	if r == nil {
		return slotTotals{}
	}
	s.mu.Lock()
	t, touched := s.touched[r.Index]
	s.mu.Unlock()
	switch {
	case touched:
		return t
	case !s.crashed.Load():
		return totalsOf(r)
	}
	t, known, err := s.index.slot(r.Index)
	switch {
	case err != nil:
		return totalsOf(r)
	case !known:
		return slotTotals{si: r.Index, who: r.Who}
	}
	return t
}

// recount looks at all slots after a crash, while they are served: the index
// is told only now and then what they hold, and a step that was cut off may
// have left files.
func (s *Store) recount(ctx context.Context) {
	prefixes, err := os.ReadDir(s.slotsDir())
	if err != nil {
		_ = s.fault("count the slots", err)
		return
	}
	pause := time.NewTicker(recountEvery)
	defer pause.Stop()
	n := 0
	for _, prefix := range prefixes {
		slots, err := os.ReadDir(filepath.Join(s.slotsDir(), prefix.Name()))
		if err != nil {
			continue
		}
		for _, e := range slots {
			si, err := caps.ParseStorageIndex(e.Name())
			if err != nil || e.Name()[:2] != prefix.Name() {
				continue
			}
			if err := s.recountSlot(si); err != nil {
				_ = s.fault("count the slots", err)
				return
			}
			if n++; n%recountPage == 0 {
				select {
				case <-ctx.Done():
					return
				case <-pause.C:
				}
			}
		}
	}
	if s.flush() == nil {
		s.crashed.Store(false)
	}
}

func (s *Store) recountSlot(si caps.StorageIndex) error {
	defer s.slots.lock(si)()
	r, err := s.readRecord(si)
	switch {
	case errors.Is(err, storage.ErrStateLost):
		return nil
	case err != nil:
		return err
	case r == nil:
		return s.cutOff(s.index, si)
	}
	s.tidy(r)
	if _, known, err := s.index.slot(si); err != nil {
		return err
	} else if !known {
		if err := s.index.addSlots([]slotTotals{{si: si, who: r.Who}}, s.cfg.Now); err != nil {
			return err
		}
	}
	was, now := s.counted(r), totalsOf(r)
	if was == now {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shares += now.shares - was.shares
	s.bytes += now.bytes - was.bytes
	a := s.account(now.who)
	a.Shares += now.shares - was.shares
	a.Disk += now.disk - was.disk
	s.touched[si] = now
	return nil
}

// totalsOf counts the shares that readers see, the bytes of all, and what the
// slot takes of the disk.
func totalsOf(r *ondisk.Record) slotTotals {
	t := slotTotals{si: r.Index, who: r.Who, shares: int64(len(r.Visible()))}
	t.disk = cost(r.Size())
	type file struct {
		n    storage.ShareNumber
		step uint64
	}
	files := map[file]int64{}
	for _, set := range []ondisk.Shares{r.Current, r.Base, r.Foreign} {
		for n, ref := range set {
			files[file{n, ref.Step}] = ref.Length
		}
	}
	for _, length := range files {
		t.bytes += length
		t.disk += cost(length)
	}
	return t
}
