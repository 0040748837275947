package update_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/grid"
	"lafs/node/update"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// cutSlots lets requests through until none are left; then none of that
// client's ever arrives.
type cutSlots struct {
	storage.Slots
	mu   *sync.Mutex
	left *int // guarded by mu
}

func (c cutSlots) Slot(ctx context.Context, si caps.StorageIndex, req storage.SlotRequest) (storage.SlotAnswer, error) {
	c.mu.Lock()
	*c.left--
	cut := *c.left < 0
	c.mu.Unlock()
	if cut {
		return storage.SlotAnswer{}, storage.ErrUnreachable
	}
	return c.Slots.Slot(ctx, si, req)
}

// A mover is cut off after each of its requests in turn. Whatever it leaves
// behind, a reader sees the object at once, writers write to it, and the next
// repair completes the move.
func TestMoverCutAnywhere(t *testing.T) {
	completed, step := false, 1
	if testing.Short() {
		step = 6
	}
	for allowed := 0; !completed; allowed += step {
		if allowed > 100 {
			t.Fatal("a repair takes more than 100 requests")
		}
		synctest.Test(t, func(t *testing.T) {
			g := newMemGrid(5, 100*time.Millisecond, uint64(allowed))
			owner, lagging := g.engine(3, 10, 1), g.engine(3, 10, 2)
			defer owner.Close()
			defer lagging.Close()
			w, err := owner.Create(t.Context(), update.CreateOptions{}, []byte("0 "))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := lagging.Read(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			g.add(t, 1)
			g.servers[allowed%5].set(stateLost)
			var mu sync.Mutex
			left := allowed
			mover, err := update.New(update.Config{LeaseSecret: grid.NewLeaseSecret([32]byte{3}), Servers: func() []grid.Server {
				servers := g.list()
				for i := range servers {
					servers[i].Slots = cutSlots{servers[i].Slots, &mu, &left}
				}
				return servers
			}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			err = mover.Repair(ctx, w)
			cancel()
			mover.Close()
			completed = err == nil && left >= 0
			reader := g.engine(3, 10, 4)
			defer reader.Close()
			lines(t, "a reader", reader, w.ReadOnly(), []string{"0"})
			if err := lagging.Modify(t.Context(), w, add("1 ")); err != nil {
				t.Errorf("after %d requests: Modify by who knows the old list: %v", allowed, err)
			}
			fresh := g.engine(3, 10, 5)
			defer fresh.Close()
			if err := fresh.Modify(t.Context(), w, add("2 ")); err != nil {
				t.Errorf("after %d requests: Modify: %v", allowed, err)
			}
			if err := fresh.Repair(t.Context(), w); err != nil {
				t.Errorf("after %d requests: Repair: %v", allowed, err)
			}
			r, err := fresh.Check(t.Context(), w, true)
			if err != nil || !r.Healthy || !holds(r, g.servers[5].id) {
				t.Errorf("after %d requests: %+v, %v", allowed, r, err)
			}
			for _, e := range []*update.Engine{reader, lagging, owner} {
				lines(t, "at the end", e, w, []string{"0", "1", "2"})
			}
			if completed {
				t.Logf("a repair that moves takes %d requests", allowed-left)
			}
		})
		if t.Failed() {
			t.Fatalf("cut after %d requests", allowed)
		}
	}
}
