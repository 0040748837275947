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

	"github.com/anishathalye/porcupine"

	"lafs/node/update"
	"lafs/shares/agree"
	"lafs/shares/caps"
)

// An entryOp is a reading, if entry is empty, or the adding of an entry.
type entryOp struct{ entry string }

// appended is a text to which entries are added. An output of nil is that of
// an adding, which shows nothing.
var appended = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		text := state.(string)
		if e := input.(entryOp).entry; e != "" {
			return true, text + e
		}
		return output.(string) == text, text
	},
}

// TestHistories has engines read and write while servers fail at random, and
// checks that what they saw is what one object, changed by one writer at a
// time, could have shown; and after every change of a server that the newest
// chosen version can be rebuilt from every quorum.
func TestHistories(t *testing.T) {
	schedules := 40
	if os.Getenv("LAFS_LONG") != "" {
		schedules = 3000
	}
	var done, unknown, undone int
	for seed := range schedules {
		synctest.Test(t, func(t *testing.T) {
			h := &historyRun{t: t, rng: rand.New(rand.NewPCG(uint64(seed), 3)), votes: map[ballotVote]map[int]bool{}}
			h.run(uint64(seed))
			done, unknown, undone = done+h.done, unknown+h.unknown, undone+h.undone
		})
		if t.Failed() {
			t.Fatalf("schedule %d", seed)
		}
	}
	t.Logf("%d operations done, %d of unknown outcome, %d not done", done, unknown, undone)
}

type ballotVote struct {
	ballot  agree.Ballot
	version agree.VersionID
}

type historyRun struct {
	t                     *testing.T
	rng                   *rand.Rand
	plain                 int // servers that know only Tahoe-LAFS's protocol
	g                     *memGrid
	q                     agree.Quorums
	votes                 map[ballotVote]map[int]bool
	newest                agree.VersionID
	mu                    sync.Mutex
	ops                   []porcupine.Operation
	done, unknown, undone int
}

func (h *historyRun) run(seed uint64) {
	rtt := []time.Duration{20 * time.Millisecond, 100 * time.Millisecond, time.Second}[h.rng.IntN(3)]
	h.g = newPlainGrid(5, h.plain, rtt, seed)
	h.q, _ = agree.NewQuorums([]int{2, 2, 2, 2, 2}, 3)
	for _, s := range h.g.servers {
		s.after = func(_ *memServer, si caps.StorageIndex) { h.changed(si) }
	}
	var engines []*update.Engine
	for i := range 2 + h.rng.IntN(3) {
		e := h.g.engine(3, 10, seed<<8+uint64(i))
		defer e.Close()
		engines = append(engines, e)
	}
	w, err := engines[0].Create(h.t.Context(), update.CreateOptions{}, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	stop := make(chan struct{})
	var all, troubles sync.WaitGroup
	troubleRand := rand.New(rand.NewPCG(seed, 99)) // apart from the one that goes on here
	troubles.Go(func() { h.trouble(troubleRand, stop, rtt) })
	start := time.Now()
	for i, e := range engines {
		rng := rand.New(rand.NewPCG(seed, uint64(i)+100))
		all.Go(func() {
			for n := range 6 {
				time.Sleep(time.Duration(rng.Int64N(int64(2*rtt + time.Millisecond))))
				entry := ""
				if rng.IntN(3) > 0 {
					entry = fmt.Sprintf("%d.%d ", i, n)
				}
				h.do(e, w, i, entry, start)
			}
		})
	}
	if h.rng.IntN(4) == 0 {
		time.Sleep(5 * rtt)
		engines[1].Close()
	}
	all.Wait()
	close(stop)
	troubles.Wait()
	for _, s := range h.g.servers {
		s.set(healthy)
	}
	fresh := h.g.engine(3, 10, seed)
	defer fresh.Close()
	h.do(fresh, w, len(engines), "", start)
	if !porcupine.CheckOperations(appended, h.ops) {
		h.t.Errorf("no order of these explains what was seen: %v", h.ops)
	}
}

// do is one operation of one client, and notes it.
func (h *historyRun) do(e *update.Engine, w *caps.MutableWriter, client int, entry string, start time.Time) {
	ctx, cancel := context.WithTimeout(h.t.Context(), 5*time.Minute)
	defer cancel()
	h.mu.Lock()
	call := h.tick(start)
	h.mu.Unlock()
	output := ""
	var err error
	if entry == "" {
		var c update.Content
		var cap caps.Cap = w
		if client%2 == 1 {
			cap = w.ReadOnly()
		}
		c, err = e.Read(ctx, cap)
		output = strings.Clone(string(c.Data))
	} else {
		err = e.Modify(ctx, w, add(entry))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	op := porcupine.Operation{ClientId: client, Input: entryOp{entry}, Output: output, Call: call, Return: h.tick(start)}
	var lost *update.UnknownOutcomeError
	switch {
	case errors.As(err, &lost) && entry != "":
		h.unknown++
		op.Return = 1 << 62 // it may take effect at any time, or, at the end of all, never
		h.ops = append(h.ops, op)
	case err != nil:
		h.undone++
	default:
		h.done++
		h.ops = append(h.ops, op)
	}
}

// tick orders calls and returns that happen at one time.
func (h *historyRun) tick(start time.Time) int64 {
	return int64(time.Since(start))*1000 + int64(len(h.ops))
}

// trouble lets servers fail and come back, as many at once as may be down.
func (h *historyRun) trouble(rng *rand.Rand, stop chan struct{}, rtt time.Duration) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(2*rtt + 200*time.Millisecond):
		}
		for _, s := range h.g.servers {
			s.set(healthy)
		}
		bad := 1
		if rng.IntN(6) == 0 {
			bad = 2 // more than a write survives
		}
		for range bad {
			h.g.servers[rng.IntN(len(h.g.servers))].set(fault(rng.IntN(5)))
		}
	}
}

// changed is called after every change of a server, under the grid's mutex.
func (h *historyRun) changed(si caps.StorageIndex) {
	for i, s := range h.g.servers {
		slot := s.slots[si]
		if slot == nil || slot.state.Current.IsZero() || slot.state.Committed {
			continue
		}
		vote := ballotVote{slot.state.Accepted, slot.state.Current}
		if h.votes[vote] == nil {
			h.votes[vote] = map[int]bool{}
		}
		h.votes[vote][i] = true
		if len(h.votes[vote]) == h.q.Classic && slot.state.Current.Seq > h.newest.Seq { // as many as a fast one takes here
			h.newest = slot.state.Current
			if !slices.Contains(slot.ancestors, slot.state.Base.Version) && !slot.state.Base.Itself && !slot.state.Base.Version.IsZero() {
				h.t.Errorf("version %d does not name its base as an ancestor", h.newest.Seq)
			}
		}
	}
	if h.newest.IsZero() {
		return
	}
	holders := 0
	for _, s := range h.g.servers {
		slot := s.slots[si]
		if slot != nil && (slot.state.Current == h.newest && len(slot.current) == 2 || slot.state.Base.Version == h.newest && len(slot.base) == 2) {
			holders++
		}
	}
	if 2*(holders-(h.q.Servers-h.q.Classic)) < 3 {
		h.t.Errorf("version %d is chosen, and only %d servers hold it", h.newest.Seq, holders)
	}
}
