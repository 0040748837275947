package update_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/grid"
	"lafs/node/update"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// A narrow way carries so many bytes a second.
type narrow struct {
	storage.Slots
	rate int
}

func (n narrow) Slot(ctx context.Context, si caps.StorageIndex, req storage.SlotRequest) (storage.SlotAnswer, error) {
	carry := func(bytes int) error {
		return sleep(ctx, time.Duration(bytes)*time.Second/time.Duration(n.rate))
	}
	size := 0
	for _, data := range req.Shares {
		size += len(data)
	}
	for _, data := range req.Base {
		size += len(data)
	}
	if err := carry(size); err != nil {
		return storage.SlotAnswer{}, err
	}
	a, err := n.Slots.Slot(ctx, si, req)
	size = 0
	for _, set := range []map[storage.ShareNumber]storage.SlotShare{a.Current, a.Base} {
		for _, s := range set {
			size += len(s.Data)
		}
	}
	if late := carry(size); late != nil {
		return storage.SlotAnswer{}, late
	}
	return a, err
}

// A large content is written and read over a way that takes minutes for it.
func TestNarrowWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newMemGrid(3, 500*time.Millisecond, 1)
		servers := g.list()
		for i := range servers {
			servers[i].Slots = narrow{servers[i].Slots, 64 << 10}
		}
		e, err := update.New(update.Config{Needed: 1, Total: 3, LeaseSecret: grid.NewLeaseSecret([32]byte{1}),
			Servers: func() []grid.Server { return servers }, Rand: rand.NewPCG(1, 7)})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		data := bytes.Repeat([]byte("content "), 1<<20)
		w, err := e.Create(t.Context(), update.CreateOptions{Key: keys()[0]}, data)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Modify(t.Context(), w, add("end")); err != nil {
			t.Error(err)
		}
		if got, err := e.Read(t.Context(), w.ReadOnly()); err != nil || len(got.Data) != len(data)+3 {
			t.Errorf("Read: %d bytes, %v", len(got.Data), err)
		}
	})
}

// Servers of which some answer far sooner than the others, all of which are
// needed for k shares, are no reason to give a reading up.
func TestReadOfUnevenServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newMemGrid(5, time.Second, 1)
		a := g.engine(3, 5, 1)
		defer a.Close()
		w, err := a.Create(t.Context(), update.CreateOptions{Key: keys()[0]}, []byte("one\n"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for _, s := range g.servers[:2] {
			s.rtt = 100 * time.Millisecond
		}
		b := g.engine(3, 5, 2)
		defer b.Close()
		for i := range 4 {
			start := time.Now()
			if _, err := b.Read(t.Context(), w.ReadOnly()); err != nil {
				t.Errorf("Read %d: %v", i, err)
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("Read %d took %v, at a second a trip at the most", i, took)
			}
		}
	})
}
