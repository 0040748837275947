package update_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/update"
	"lafs/shares/caps"
)

// lines makes sure that every entry is there once.
func lines(t *testing.T, what string, e *update.Engine, c caps.Cap, want []string) {
	t.Helper()
	got, err := e.Read(t.Context(), c)
	if err != nil {
		t.Fatalf("%s: Read: %v", what, err)
	}
	have := strings.Fields(string(got.Data))
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("%s: got %d entries, want %d:\n%v\n%v", what, len(have), len(want), have, want)
	}
}

// All servers that an object was made on are lost for good, one after the
// other, with a repair after each; it can be read and changed all along, by
// those who repair, those who know an old list, and newcomers.
func TestLostOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newMemGrid(5, 100*time.Millisecond, 1)
		mover, lagging := g.engine(3, 10, 1), g.engine(3, 10, 2)
		defer mover.Close()
		defer lagging.Close()
		w, err := mover.Create(t.Context(), update.CreateOptions{}, []byte("0 "))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lagging.Read(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		want := []string{"0"}
		for i := range 5 {
			g.add(t, 1)
			g.servers[i].set(dead)
			before, err := mover.Check(t.Context(), w, false)
			if err != nil || before.Healthy || len(before.Silent) != 1 {
				t.Fatalf("%d: before the repair: %+v, %v", i, before, err)
			}
			if err := mover.Repair(t.Context(), w); err != nil {
				t.Fatalf("%d: Repair: %v", i, err)
			}
			after, err := mover.Check(t.Context(), w, true)
			if err != nil || !after.Healthy || after.Version != before.Version || len(after.Silent) != 0 || !holds(after, g.servers[5+i].id) {
				t.Fatalf("%d: after the repair: %+v, %v", i, after, err)
			}
			newcomer := g.engine(3, 10, uint64(10+i))
			lines(t, "a newcomer", newcomer, w.ReadOnly(), want)
			for who, e := range map[string]*update.Engine{"n": newcomer, "m": mover} {
				entry := fmt.Sprint(who, i)
				if err := e.Modify(t.Context(), w, add(entry+" ")); err != nil {
					t.Fatalf("%d: Modify: %v", i, err)
				}
				want = append(want, entry)
			}
			if i%2 == 1 { // two moves at once for the one who lags
				if err := lagging.Modify(t.Context(), w, add(fmt.Sprint("l", i, " "))); err != nil {
					t.Fatalf("%d: Modify by who knows an old list: %v", i, err)
				}
				want = append(want, fmt.Sprint("l", i))
			}
			newcomer.Close()
		}
		// The old servers come back, with what they had: they harm nobody.
		for _, s := range g.servers[:5] {
			s.set(healthy)
		}
		fresh := g.engine(3, 10, 50)
		defer fresh.Close()
		for _, e := range []*update.Engine{fresh, mover, lagging} {
			lines(t, "at the end", e, w, want)
		}
		if after, err := fresh.Check(t.Context(), w, false); err != nil || !after.Healthy || after.OtherVersions != 0 {
			t.Errorf("at the end: %+v, %v", after, err)
		}
	})
}

func holds(r *update.CheckResult, id string) bool {
	for _, ids := range r.Shares {
		if slices.Contains(ids, id) {
			return true
		}
	}
	return false
}

// Without others, the ones that are left take the shares if that is better
// than waiting; if a quorum is lost, nothing is changed and that is said.
func TestRepairWithoutOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newMemGrid(5, 100*time.Millisecond, 1)
		e := g.engine(3, 10, 1)
		defer e.Close()
		w, err := e.Create(t.Context(), update.CreateOptions{}, []byte("0 "))
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{0, 1} { // five servers of two shares; then four, of which three can write
			g.servers[i].set(dead)
			if err := e.Repair(t.Context(), w); err != nil {
				t.Fatalf("Repair: %v", err)
			}
			if r, err := e.Check(t.Context(), w, true); err != nil || !r.Healthy {
				t.Errorf("after a repair: %+v, %v", r, err)
			}
			if err := e.Modify(t.Context(), w, add(fmt.Sprint(i+1, " "))); err != nil {
				t.Errorf("Modify: %v", err)
			}
		}
		lines(t, "two lost", e, w, []string{"0", "1", "2"})
		g.servers[2].set(dead)
		g.servers[3].set(dead)
		err = e.Repair(t.Context(), w)
		if !errors.Is(err, update.ErrTooFewServers) || !strings.Contains(err.Error(), "of the 3 servers") {
			t.Errorf("Repair of what has lost its quorum: %v", err)
		}
		g.servers[3].set(healthy)
		// Two of three can write; among themselves they could lose none either.
		if err := e.Repair(t.Context(), w); err == nil || !strings.Contains(err.Error(), "1 of the 3 servers") {
			t.Errorf("Repair when one is back: %v", err)
		}
		lines(t, "at the end", e, w, []string{"0", "1", "2"})
	})
}

// Trips of a repair, and of meeting an object that was moved.
func TestMoveTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rtt = time.Second
		g := newMemGrid(5, rtt, 1)
		for _, s := range g.servers {
			s.exact = true
		}
		mover, reader, writer, fast := g.engine(3, 10, 1), g.engine(3, 10, 2), g.engine(3, 10, 3), g.engine(3, 10, 4)
		for _, e := range []*update.Engine{mover, reader, writer, fast} {
			defer e.Close()
		}
		w, err := mover.Create(t.Context(), update.CreateOptions{}, []byte("0 "))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range []*update.Engine{reader, writer, fast} {
			if _, err := e.Read(t.Context(), w); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		trips := func(what string, want int, f func() error) {
			t.Helper()
			start := time.Now()
			if err := f(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if got := int((time.Since(start) + rtt/2) / rtt); got != want {
				t.Errorf("%s took %d trips, want %d", what, got, want)
			}
			time.Sleep(time.Minute)
		}
		trips("a repair of what is where it should be", 2, func() error { return mover.Repair(t.Context(), w) })
		g.add(t, 1)
		g.servers[5].exact = true
		// A server that says itself that it takes no part is not waited for.
		g.servers[0].set(stateLost)
		trips("a repair that moves", 4, func() error { return mover.Repair(t.Context(), w) })
		trips("a write by who has moved it", 1, func() error { return mover.Modify(t.Context(), w, add("1 ")) })
		// Four of the five servers are the same: the old list is enough.
		trips("a read by who knows the old list", 1, func() error { _, err := reader.Read(t.Context(), w.ReadOnly()); return err })
		trips("a write by who knows the old list and version", 3, func() error { return fast.Modify(t.Context(), w, add("2 ")) })
		for i := range 3 {
			g.add(t, 1)
			g.servers[6+i].exact = true
			g.servers[1+i].set(stateLost)
			if err := mover.Repair(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		for _, s := range g.servers[:4] {
			s.set(healthy) // they come back, and only know which list came after theirs
		}
		trips("a read by who knows the first list", 2, func() error { _, err := writer.Read(t.Context(), w.ReadOnly()); return err })
		lines(t, "at the end", writer, w, []string{"0", "1", "2"})
	})
}

// TestMovesUnderLoad: servers are lost for good while others write and read,
// movers are killed at random, and so are servers that come back; every
// acknowledged entry is there, once.
func TestMovesUnderLoad(t *testing.T) {
	runs := 12
	switch {
	case os.Getenv("LAFS_LONG") != "":
		runs = 300
	case testing.Short():
		runs = 4
	}
	moved := 0
	for seed := range uint64(runs) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 5))
			rtt := []time.Duration{20 * time.Millisecond, 300 * time.Millisecond}[rng.IntN(2)]
			g := newMemGrid(5, rtt, seed)
			var writers []*update.Engine
			for i := range 3 {
				writers = append(writers, g.engine(3, 10, seed<<8+uint64(i)))
				defer writers[i].Close()
			}
			w, err := writers[0].Create(t.Context(), update.CreateOptions{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			var mu sync.Mutex
			var done, maybe []string
			stop := make(chan struct{})
			var all sync.WaitGroup
			for i, e := range writers {
				all.Go(func() {
					for n := 0; ; n++ {
						select {
						case <-stop:
							return
						default:
						}
						entry := fmt.Sprintf("%d.%d", i, n)
						err := e.Modify(t.Context(), w, add(entry+" "))
						var notDone *update.NotDoneError
						mu.Lock()
						switch {
						case err == nil:
							done = append(done, entry)
						case !errors.As(err, &notDone):
							maybe = append(maybe, entry)
						}
						mu.Unlock()
						time.Sleep(10 * time.Second)
					}
				})
			}
			for i := range 4 {
				g.add(t, 1)
				g.servers[i].set([]fault{dead, stalled}[rng.IntN(2)])
				// One is killed at random, another finishes, or two at once do.
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second+time.Duration(rng.Int64N(int64(60*time.Second))))
				killed := g.engine(3, 10, seed<<8+uint64(100+i))
				_ = killed.Repair(ctx, w)
				cancel()
				killed.Close()
				var movers sync.WaitGroup
				for j := range 1 + rng.IntN(2) {
					movers.Go(func() {
						e := g.engine(3, 10, seed<<8+uint64(200+10*i+j))
						defer e.Close()
						for try := range 3 {
							err := e.Repair(t.Context(), w)
							if err == nil {
								break
							}
							if try == 2 {
								t.Errorf("seed %d: Repair: %v", seed, err)
							}
						}
					})
				}
				movers.Wait()
				if rng.IntN(2) == 0 {
					g.servers[rng.IntN(i+1)].set(healthy)
				}
			}
			close(stop)
			all.Wait()
			fresh := g.engine(3, 10, seed)
			defer fresh.Close()
			if err := fresh.Repair(t.Context(), w); err != nil {
				t.Errorf("seed %d: the last repair: %v", seed, err)
			}
			r, err := fresh.Check(t.Context(), w, true)
			if err != nil || !r.Healthy {
				t.Errorf("seed %d: at the end: %+v, %v", seed, r, err)
			}
			got, err := fresh.Read(t.Context(), w)
			if err != nil {
				t.Fatalf("seed %d: Read: %v", seed, err)
			}
			have := map[string]int{}
			for _, entry := range strings.Fields(string(got.Data)) {
				have[entry]++
			}
			for _, entry := range done {
				if have[entry] != 1 {
					t.Errorf("seed %d: %s was acknowledged, and is there %d times", seed, entry, have[entry])
				}
				delete(have, entry)
			}
			for entry, n := range have {
				if n != 1 || !slices.Contains(maybe, entry) {
					t.Errorf("seed %d: %s was not acknowledged, and is there %d times", seed, entry, n)
				}
			}
			moved += len(done)
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d entries acknowledged", moved)
}

// Who has read with a read cap can write with the write cap.
func TestReadThenWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newMemGrid(5, 100*time.Millisecond, 1)
		a, b := g.engine(3, 10, 1), g.engine(3, 10, 2)
		defer a.Close()
		defer b.Close()
		w, err := a.Create(t.Context(), update.CreateOptions{}, []byte("0 "))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Read(t.Context(), w.ReadOnly()); err != nil {
			t.Fatal(err)
		}
		if err := b.Modify(t.Context(), w, add("1 ")); err != nil {
			t.Errorf("Modify: %v", err)
		}
		lines(t, "at the end", a, w, []string{"0", "1"})
	})
}
