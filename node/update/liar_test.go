package update_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/grid"
	"lafs/node/update"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// A liar is a server that says of a slot what is not so.
type liar struct {
	storage.Slots
	lie func(*storage.SlotAnswer)
}

func (l liar) Slot(ctx context.Context, si caps.StorageIndex, req storage.SlotRequest) (storage.SlotAnswer, error) {
	a, err := l.Slots.Slot(ctx, si, req)
	if err == nil {
		l.lie(&a)
	}
	return a, err
}

// lying is an engine to which the first server of g lies, and lyingOf one to
// which the first n do.
func (g *memGrid) lying(seed uint64, lie func(*storage.SlotAnswer)) *update.Engine {
	return g.lyingOf(1, seed, lie)
}

func (g *memGrid) lyingOf(n int, seed uint64, lie func(*storage.SlotAnswer)) *update.Engine {
	servers := g.list()
	for i := range n {
		servers[i].Slots = liar{servers[i].Slots, lie}
	}
	e, err := update.New(update.Config{Needed: 3, Total: 5, LeaseSecret: grid.NewLeaseSecret([32]byte{byte(seed)}),
		Servers: func() []grid.Server { return servers }, Rand: rand.NewPCG(seed, 7)})
	if err != nil {
		panic(err)
	}
	return e
}

// What one server of five says, whatever it is, neither ends an object's
// numbers nor keeps others from changing it.
func TestLiar(t *testing.T) {
	clock := func() uint64 { return uint64(time.Now().UnixMilli()) }
	for name, lie := range map[string]func(*storage.SlotAnswer){
		"last number of a version": func(a *storage.SlotAnswer) { a.State.Current.Seq = math.MaxUint64 - 1 },
		"last number of a base":    func(a *storage.SlotAnswer) { a.State.Base.Version.Seq = math.MaxUint64 - 1 },
		"last ballot":              func(a *storage.SlotAnswer) { a.State.Promised = agree.Ballot{N: 1<<48 - 1, Nonce: 1 << 62} },
		"another ballot each time": func(a *storage.SlotAnswer) { a.State.Promised = agree.Ballot{N: clock() + rand.Uint64N(1<<20)} },
		"list that is not there":   func(a *storage.SlotAnswer) { a.State.Promised = agree.Ballot{N: 7<<48 + 5, Nonce: 1 << 62} },
		"last list":                func(a *storage.SlotAnswer) { a.State.Promised = agree.Ballot{N: math.MaxUint64, Nonce: 1 << 62} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newMemGrid(5, 100*time.Millisecond, 1)
				a := g.lying(1, lie)
				defer a.Close()
				w, err := a.Create(t.Context(), update.CreateOptions{Key: keys()[0]}, []byte("0\n"))
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				want := "0\n"
				for i := range 12 {
					e := a
					if i%2 == 1 {
						e = g.lying(uint64(i+2), lie)
						defer e.Close()
					}
					// A writer that died left promises: it takes a classic ballot.
					g.mu.Lock()
					for _, s := range g.servers[1:] {
						for _, slot := range s.slots {
							slot.state.Promised.Nonce++
						}
					}
					g.mu.Unlock()
					start, line := time.Now(), fmt.Sprint(i, "\n")
					if err := e.Modify(t.Context(), w, add(line)); err != nil {
						t.Fatalf("Modify %d: %v", i, err)
					}
					if took := time.Since(start); took > 10*time.Second {
						t.Errorf("Modify %d took %v, at 100 ms a trip", i, took)
					}
					want += line
					got, err := e.Read(t.Context(), w)
					if err != nil || string(got.Data) != want || got.Version.Seq > 100 {
						t.Fatalf("Read %d: %q, version %d, %v", i, got.Data, got.Version.Seq, err)
					}
					synctest.Wait()
				}
			})
		})
	}
}
