package update_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
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
	do   func(g *storeGrid, engines []*update.Engine)
}{
	{"nothing", func(*storeGrid, []*update.Engine) {}},
	{"a dead server", func(g *storeGrid, _ []*update.Engine) { g.set(1, dead) }},
	{"lost answers", func(g *storeGrid, _ []*update.Engine) { g.set(1, halfForget) }},
	{"no answers", func(g *storeGrid, _ []*update.Engine) { g.set(1, forgets) }},
	{"a stalled server", func(g *storeGrid, _ []*update.Engine) { g.set(1, stalled) }},
	{"a writer killed", func(_ *storeGrid, engines []*update.Engine) { engines[0].Close() }},
}

// long is how often a test runs what it runs once by default.
func long(t *testing.T) int {
	text := os.Getenv("LAFS_LONG")
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("LAFS_LONG=%s is no number of runs", text)
	}
	return n
}

// TestWriters has several engines add entries to one object at once: every
// call succeeds, and every entry that was acknowledged is there once, for
// every client. LAFS_LONG=20 runs all of it so often, for half an hour and
// more.
func TestWriters(t *testing.T) {
	runs, rtts := 1, []time.Duration{0, 600 * time.Millisecond}
	if n := long(t); n > 0 {
		runs, rtts = n, []time.Duration{0, 200 * time.Millisecond, 600 * time.Millisecond}
	}
	many := []int{4, 8}
	if testing.Short() {
		many, rtts = many[:1], rtts[len(rtts)-1:]
	}
	for _, writers := range many {
		for _, rtt := range rtts {
			for _, wrong := range trouble {
				t.Run(fmt.Sprintf("%d writers, %v, %s", writers, rtt, wrong.name), func(t *testing.T) {
					dir := tmpDir(t)
					var sum writersResult
					for run := range runs {
						failed := t.Failed()
						synctest.Test(t, func(t *testing.T) {
							g := newStoreGrid(t, dir, 5, 0, rtt, uint64(run))
							sum.add(writersRun(t, g, writers, wrong.do, uint64(run)))
						})
						if t.Failed() && !failed {
							t.Errorf("run %d", run)
						}
					}
					t.Logf("%d runs, at most %v; for each entry %.2f versions chosen and %.2f sent", runs, sum.slowest.Round(time.Millisecond),
						float64(sum.chosen)/float64(sum.entries), float64(sum.sent)/float64(sum.entries))
				})
			}
		}
	}
}

// A writersResult is what a run took.
type writersResult struct {
	slowest               time.Duration
	entries, chosen, sent int
}

func (r *writersResult) add(s writersResult) {
	r.slowest = max(r.slowest, s.slowest)
	r.entries, r.chosen, r.sent = r.entries+s.entries, r.chosen+s.chosen, r.sent+s.sent
}

const entriesEach = 25

func writersRun(t *testing.T, g *storeGrid, writers int, wrong func(*storeGrid, []*update.Engine), seed uint64) writersResult {
	defer g.close()
	rtt, key := g.rtt, keys()[seed%4]
	l := follow(g, key, 3, 10)
	var engines []*update.Engine
	for range writers {
		e, _ := g.client(3, 10, seed)
		defer e.Close()
		engines = append(engines, e)
	}
	w, err := engines[1].Create(t.Context(), update.CreateOptions{Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	time.AfterFunc(rtt*7/2+time.Duration(rand.New(rand.NewPCG(seed, 5)).Int64N(int64(5*rtt+time.Millisecond))), func() { wrong(g, engines) })
	var mu sync.Mutex
	acked := map[string]bool{}
	killed := false
	var all sync.WaitGroup
	for i, e := range engines {
		all.Go(func() {
			for n := range entriesEach {
				entry := fmt.Sprintf("entry %d of %d\n", n, i)
				err := e.Modify(t.Context(), w, add(entry))
				if err == nil && !l.tells(entry) {
					t.Errorf("%s is acknowledged, and no version that was chosen has it", strings.TrimSpace(entry))
				}
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
	took := time.Since(start)
	if !killed && len(acked) != writers*entriesEach {
		t.Errorf("%d of %d entries were acknowledged", len(acked), writers*entriesEach)
	}
	// One that knows nothing, and all that live.
	fresh, _ := g.client(3, 10, seed)
	defer fresh.Close()
	checkEntries(t, fresh, w, acked)
	for i, e := range engines {
		if i > 0 || !killed {
			checkEntries(t, e, w, acked)
		}
	}
	chosen, sent := l.counted()
	return writersResult{took, len(acked), chosen, sent}
}

// checkEntries reads the object.
func checkEntries(t *testing.T, e *update.Engine, w *caps.MutableWriter, acked map[string]bool) {
	t.Helper()
	got, err := e.Read(t.Context(), w)
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
