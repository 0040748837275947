package update_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"lafs/node/update"
	"lafs/shares/caps"
	"lafs/shares/mutable"
)

// A kind of operation on a text of entries.
type kind int

const (
	reading   kind = iota
	adding         // of an entry at the end
	writing        // of the whole text
	linking        // adding, unless an entry begins with the same letter
	unlinking      // of the entry that begins with this letter
)

// A textOp is one operation. entry is unlike all others, and its first
// letter is its name.
type textOp struct {
	kind  kind
	entry string
}

var errInTheWay = errors.New("there is one already")

// apply is the operation on a text: what a change does, and the model too.
func (o textOp) apply(text string) (string, error) {
	same := func() int {
		for i, e := range strings.SplitAfter(text, " ") {
			if e != "" && e[0] == o.entry[0] {
				return i
			}
		}
		return -1
	}
	switch o.kind {
	case adding:
		return text + o.entry, nil
	case writing:
		return o.entry, nil
	case linking:
		if same() >= 0 {
			return text, errInTheWay
		}
		return text + o.entry, nil
	case unlinking:
		if i := same(); i >= 0 {
			all := strings.SplitAfter(text, " ")
			return strings.Join(append(all[:i:i], all[i+1:]...), ""), nil
		}
	}
	return text, nil
}

// An outcome is what a client learnt.
type outcome struct {
	text     string // of a reading
	inTheWay bool
	unknown  bool
}

// texts is a text that one operation after the other reads or changes.
var texts = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		op, out := input.(textOp), output.(outcome)
		next, err := op.apply(state.(string))
		switch {
		case out.unknown:
			return true, next
		case op.kind == reading:
			return out.text == state.(string), next
		}
		return out.inTheWay == (err != nil), next
	},
}

// TestHistories has engines read and write while servers, ways and writers
// fail at random, and checks that what they saw is what one object, changed
// by one writer at a time, could have shown; that a change which was
// acknowledged is in a version that was chosen; that those are a chain; and
// after every step of a server that the newest can be rebuilt from every
// quorum. LAFS_LONG says how many schedules to play.
func TestHistories(t *testing.T) {
	schedules := 150
	if testing.Short() {
		schedules = 15
	}
	if n := long(t); n > 0 {
		schedules = n
	}
	playHistories(t, schedules, func(*history) {})
}

// TestHistoriesOfAdopted is TestHistories of an object that a Tahoe-LAFS
// client made, and that engines take over at once. What servers hold is not
// looked at: there may be several placement lists for a while.
func TestHistoriesOfAdopted(t *testing.T) {
	schedules := 40
	if testing.Short() {
		schedules = 8
	}
	if n := long(t); n > 0 {
		schedules = n
	}
	playHistories(t, schedules, func(h *history) { h.adopted = true })
}

// playHistories plays schedules that change makes special.
func playHistories(t *testing.T, schedules int, change func(*history)) {
	dir := tmpDir(t)
	var sum history
	for seed := range schedules {
		synctest.Test(t, func(t *testing.T) {
			h := &history{t: t, seed: uint64(seed), rng: rand.New(rand.NewPCG(uint64(seed), 3))}
			change(h)
			h.run(dir)
			sum.done, sum.unknown, sum.undone, sum.versions = sum.done+h.done, sum.unknown+h.unknown, sum.undone+h.undone, sum.versions+h.versions
		})
		if t.Failed() {
			t.Fatalf("schedule %d", seed)
		}
	}
	t.Logf("%d schedules, %d versions: %d operations done, %d of unknown outcome, %d not done", schedules, sum.versions, sum.done, sum.unknown, sum.undone)
}

type history struct {
	t     *testing.T
	seed  uint64
	plain int // servers that know only Tahoe-LAFS's protocol
	// adopted: a Tahoe-LAFS client made the object, and nobody has written
	// its placement list yet.
	adopted bool
	rng     *rand.Rand
	rtt     time.Duration
	g       *storeGrid
	l       *ledger

	start                           time.Time
	mu                              sync.Mutex
	ops                             []porcupine.Operation // guarded by mu
	calls                           int64                 // guarded by mu
	done, unknown, undone, versions int                   // guarded by mu
}

// shapes are servers, k and N.
var shapes = []struct{ servers, needed, total int }{{5, 3, 10}, {5, 3, 5}, {3, 3, 10}, {4, 1, 4}, {7, 3, 7}}

func (h *history) run(dir string) {
	shape := shapes[h.rng.IntN(len(shapes))]
	h.rtt = []time.Duration{0, 20 * time.Millisecond, 100 * time.Millisecond, time.Second}[h.rng.IntN(4)]
	h.g = newStoreGrid(h.t, dir, shape.servers, min(h.plain, shape.servers), h.rtt, h.seed)
	defer h.g.close()
	key := keys()[h.rng.IntN(4)]
	if !h.adopted {
		h.l = follow(h.g, key, shape.needed, shape.total)
	}
	var engines []*update.Engine
	for range 2 + h.rng.IntN(3) {
		e, _ := h.g.client(shape.needed, shape.total, h.seed)
		defer e.Close()
		engines = append(engines, e)
	}
	w := key.WriteCap(mutable.SDMF)
	if h.adopted {
		_, shares := foreignVersion(h.t, key, shape.needed, shape.total, "")
		putForeign(h.t, h.g, w, shares)
	} else if _, err := engines[0].Create(h.t.Context(), update.CreateOptions{Key: key}, nil); err != nil {
		h.t.Fatal(err)
	}
	stop := make(chan struct{})
	var all, troubles sync.WaitGroup
	troubles.Go(func() { h.trouble(stop) })
	h.start = time.Now()
	for i, e := range engines {
		rng := rand.New(rand.NewPCG(h.seed, uint64(i)+100))
		all.Go(func() {
			for n := range 6 {
				time.Sleep(time.Duration(rng.Int64N(int64(2*h.rtt+10*time.Millisecond))) + 1)
				op := textOp{kind: kind(rng.IntN(5)), entry: fmt.Sprintf("%c%d.%d ", 'a'+rng.IntN(3), i, n)}
				h.do(e, w, i, op)
			}
		})
	}
	if h.rng.IntN(4) == 0 {
		time.Sleep(5*h.rtt + 1)
		engines[1].Close()
	}
	all.Wait()
	close(stop)
	troubles.Wait()
	h.g.heal()
	fresh, number := h.g.client(shape.needed, shape.total, h.seed)
	defer fresh.Close()
	h.do(fresh, w, number, textOp{kind: reading})
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.ops) == 0 || h.ops[len(h.ops)-1].ClientId != number {
		h.t.Errorf("the object can not be read at the end, when all is well")
	}
	if res := porcupine.CheckOperationsTimeout(texts, h.ops, 0); res != porcupine.Ok {
		h.t.Errorf("no order of these explains what was seen: %v", h.ops)
	}
	_, h.versions = h.l.counted()
}

// do is one operation of one client, and notes it.
func (h *history) do(e *update.Engine, w *caps.MutableWriter, client int, op textOp) {
	ctx, cancel := context.WithTimeout(h.t.Context(), 5*time.Minute)
	defer cancel()
	h.mu.Lock()
	call := h.tick()
	h.mu.Unlock()
	var out outcome
	var err error
	if op.kind == reading {
		var c update.Content
		var cap caps.Cap = w
		if client%2 == 1 {
			cap = w.ReadOnly()
		}
		c, err = e.Read(ctx, cap)
		out.text = strings.Clone(string(c.Data))
	} else {
		wrote := false
		err = e.Modify(ctx, w, func(old []byte) ([]byte, error) {
			next, err := op.apply(string(old))
			wrote = next != string(old)
			return []byte(next), err
		})
		if err == nil && wrote && op.kind != unlinking && !h.l.tells(op.entry) {
			h.t.Errorf("%s is acknowledged, and no version that was chosen has it", op.entry)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	note := porcupine.Operation{ClientId: client, Input: op, Call: call, Return: h.tick()}
	var lost *update.UnknownOutcomeError
	switch {
	case errors.Is(err, errInTheWay):
		out.inTheWay = true
		h.done++
	case errors.As(err, &lost) && op.kind != reading:
		h.unknown++
		out.unknown = true
		note.Return = 1 << 62 // it may take effect at any time, or, at the end of all, never
	case err != nil:
		h.undone++
		return
	default:
		h.done++
	}
	note.Output = out
	h.ops = append(h.ops, note)
}

// tick orders calls and returns. The caller holds mu.
func (h *history) tick() int64 {
	h.calls++
	return int64(time.Since(h.start))*1000 + h.calls
}

// trouble lets things fail and become well again, mostly no more at once than
// a write survives.
func (h *history) trouble(stop chan struct{}) {
	rng := rand.New(rand.NewPCG(h.seed, 99)) // apart from the one that goes on beside
	n := len(h.g.servers)
	every := []time.Duration{5 * time.Millisecond, h.rtt, 5*h.rtt + 200*time.Millisecond, 20 * time.Second}[rng.IntN(4)]
	pause := func(d time.Duration) bool {
		select {
		case <-stop:
			return false
		case <-time.After(d + 1):
			return true
		}
	}
	for pause(every) {
		h.g.heal()
		switch rng.IntN(8) {
		case 0: // All is well for once.
		case 1: // Some clients do not reach some servers, and others others.
			for c := range 4 {
				h.g.setLink(c, rng.IntN(n), []fault{dead, stalled, late}[rng.IntN(3)])
			}
		case 2: // It stays away while others change.
			h.g.set(rng.IntN(n), dead)
			if !pause(30*h.rtt + time.Second) {
				return
			}
		case 3:
			s := h.g.servers[rng.IntN(n)]
			if rng.IntN(2) == 0 {
				s.crash()
			} else {
				s.stop()
			}
			goOn := pause(time.Duration(rng.Int64N(int64(10*h.rtt + time.Second))))
			s.start()
			if !goOn {
				return
			}
		case 4: // More than a write survives.
			for range 2 {
				h.g.set(rng.IntN(n), fault(rng.IntN(int(faults))))
			}
		default:
			h.g.set(rng.IntN(n), fault(rng.IntN(int(faults))))
		}
	}
}
