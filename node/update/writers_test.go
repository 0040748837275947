package update_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/update"
	"lafs/shares/caps"
)

// trouble is what goes wrong while the writers write.
var trouble = []struct {
	name string
	do   func(g *memGrid, engines []*update.Engine)
}{
	{"nothing", func(*memGrid, []*update.Engine) {}},
	{"a dead server", func(g *memGrid, _ []*update.Engine) { g.servers[1].set(dead) }},
	{"lost answers", func(g *memGrid, _ []*update.Engine) { g.servers[1].set(halfForget) }},
	{"no answers", func(g *memGrid, _ []*update.Engine) { g.servers[1].set(forgets) }},
	{"a stalled server", func(g *memGrid, _ []*update.Engine) { g.servers[1].set(stalled) }},
	{"a writer killed", func(g *memGrid, engines []*update.Engine) { engines[0].Close() }},
}

// TestWriters has several engines add entries to one object at once: every
// call succeeds, and every entry that was acknowledged is there once.
func TestWriters(t *testing.T) {
	runs, rtts := 1, []time.Duration{0, 600 * time.Millisecond}
	if os.Getenv("LAFS_LONG") != "" {
		runs, rtts = 20, []time.Duration{0, 200 * time.Millisecond, 600 * time.Millisecond}
	}
	for _, writers := range []int{4, 8} {
		for _, rtt := range rtts {
			for _, wrong := range trouble {
				t.Run(fmt.Sprintf("%d writers, %v, %s", writers, rtt, wrong.name), func(t *testing.T) {
					for run := range runs {
						if t.Failed() {
							return
						}
						synctest.Test(t, func(t *testing.T) {
							writersRun(t, newMemGrid(5, rtt, uint64(run)), writers, rtt, wrong.do, uint64(run))
						})
					}
				})
			}
		}
	}
}

const entriesEach = 25

func writersRun(t *testing.T, g *memGrid, writers int, rtt time.Duration, wrong func(*memGrid, []*update.Engine), seed uint64) {
	var engines []*update.Engine
	for i := range writers {
		e := g.engine(3, 10, seed<<8+uint64(i))
		defer e.Close()
		engines = append(engines, e)
	}
	w, err := engines[1].Create(t.Context(), update.CreateOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	time.AfterFunc(rtt*7/2, func() { wrong(g, engines) })
	var mu sync.Mutex
	acked := map[string]bool{}
	killed := false
	var all sync.WaitGroup
	for i, e := range engines {
		all.Go(func() {
			for n := range entriesEach {
				entry := fmt.Sprintf("entry %d of %d\n", n, i)
				err := e.Modify(t.Context(), w, add(entry))
				mu.Lock()
				if err == nil {
					acked[entry] = true
				} else if i == 0 && strings.Contains(err.Error(), update.ErrClosed.Error()) {
					killed = true
				} else {
					t.Errorf("%s: %v", strings.TrimSpace(entry), err)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if !killed && len(acked) != writers*entriesEach {
		t.Errorf("%d of %d entries were acknowledged", len(acked), writers*entriesEach)
	}
	check(t, g, w, acked, writers)
	t.Logf("%v a trip: %.1f trips an entry of one writer", rtt, float64(time.Since(start))/float64(max(rtt, 1))/entriesEach)
}

// check reads the object with an engine that knows nothing.
func check(t *testing.T, g *memGrid, w *caps.MutableWriter, acked map[string]bool, writers int) {
	t.Helper()
	fresh := g.engine(3, 10, 99)
	defer fresh.Close()
	got, err := fresh.Read(t.Context(), w)
	if err != nil {
		t.Fatalf("read at the end: %v", err)
	}
	there := map[string]int{}
	for line := range bytes.Lines(got.Data) {
		there[string(line)]++
	}
	for entry := range acked {
		if there[entry] != 1 {
			t.Errorf("%q was acknowledged and is there %d times", entry, there[entry])
		}
	}
	for entry, n := range there {
		if n != 1 {
			t.Errorf("%q is there %d times", entry, n)
		}
	}
}
