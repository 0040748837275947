package gbs

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// slowest is the speed, in bytes a second, at which a client keeps its
	// turn for as long as it likes.
	slowest = 4 << 10
	// turnGrace is how long it may be behind that before it makes room for
	// somebody who has none: Tor stalls for tens of seconds and recovers.
	turnGrace = 20 * time.Second
	// turnWait is how long a request waits for the turn that another was just
	// told to give back.
	turnWait = 5 * time.Second
)

// turns bound the requests that are worked on at once. While there are turns
// left, a client may be as slow as the sessions allow. When there are none, a
// request that waits for its client gives its turn back: the one that is most
// behind. So whoever sends or reads a byte now and then on many streams takes
// nothing from those who work.
//
// No session and no right to store has all turns, however fast it is: one may
// have as many as are left for others, the other three times as many.
type turns struct {
	max int

	mu       sync.Mutex
	taken    map[*turn]struct{} // guarded by mu
	sessions map[any]int        // guarded by mu; turns by session
	groups   map[any]int        // guarded by mu; turns by group
	waiting  []*waiter          // guarded by mu; in the order in which they came
}

// groupTurns: a group may have so many times the turns that are left.
const groupTurns = 3

func newTurns(n int) *turns {
	return &turns{max: n, taken: make(map[*turn]struct{}), sessions: make(map[any]int), groups: make(map[any]int)}
}

// A turn is one request that is worked on.
type turn struct {
	of             *turns
	session, group any
	cut            func() // ends what waits for the client; not guarded

	// All guarded by of.mu.
	debt  time.Duration // how far the client was behind when it last moved
	since time.Time     // when the wait for it began; zero: it is not waited for
	ended bool          // it was told to give its turn back
}

// A waiter is a request that another was told to make room for.
type waiter struct {
	turn  *turn
	ready chan struct{} // closed when the turn is taken
}

// take returns a turn, nil if there is none to be had. session, if it is not
// nil, tells the circuit from others, group the right. leave must follow.
func (ts *turns) take(ctx context.Context, w http.ResponseWriter, session, group any) *turn {
	rc := http.NewResponseController(w)
	t := &turn{of: ts, session: session, group: group, cut: func() {
		past := time.Unix(1, 0)
		_ = rc.SetReadDeadline(past)
		_ = rc.SetWriteDeadline(past)
	}}
	ts.mu.Lock()
	if ts.mayLocked(t) {
		ts.addLocked(t)
		ts.mu.Unlock()
		return t
	}
	out := ts.makeRoomLocked(t)
	if out == nil {
		ts.mu.Unlock()
		return nil
	}
	wait := &waiter{t, make(chan struct{})}
	ts.waiting = append(ts.waiting, wait)
	ts.mu.Unlock()
	out.cut()
	patience := time.NewTimer(turnWait)
	defer patience.Stop()
	select {
	case <-wait.ready:
		return t
	case <-patience.C:
	case <-ctx.Done():
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if i := slices.Index(ts.waiting, wait); i >= 0 {
		ts.waiting = slices.Delete(ts.waiting, i, i+1)
		return nil
	}
	return t // in the same instant
}

// mayLocked says whether there is a turn for t.
func (ts *turns) mayLocked(t *turn) bool {
	free := ts.max - len(ts.taken)
	return free > 0 && !ts.greedyLocked(t, free)
}

// greedyLocked says that t's session or group has its part already.
func (ts *turns) greedyLocked(t *turn, free int) bool {
	return t.session != nil && ts.sessions[t.session] > free || ts.groups[t.group] > groupTurns*free
}

func (ts *turns) addLocked(t *turn) {
	ts.taken[t] = struct{}{}
	ts.sessions[t.session]++
	ts.groups[t.group]++
}

func (t *turn) leave() {
	ts := t.of
	ts.mu.Lock()
	defer ts.mu.Unlock()
	delete(ts.taken, t)
	for _, c := range []struct {
		of map[any]int
		k  any
	}{{ts.sessions, t.session}, {ts.groups, t.group}} {
		if c.of[c.k]--; c.of[c.k] == 0 {
			delete(c.of, c.k)
		}
	}
	ts.waiting = slices.DeleteFunc(ts.waiting, func(w *waiter) bool {
		may := ts.mayLocked(w.turn)
		if may {
			ts.addLocked(w.turn)
			close(w.ready)
		}
		return may
	})
}

// makeRoomLocked ends the turn that is most behind and returns it, nil if
// there is none: one of t's own session or group, if they have their part
// already.
func (ts *turns) makeRoomLocked(t *turn) *turn {
	now := time.Now()
	own := ts.greedyLocked(t, ts.max-len(ts.taken))
	var worst *turn
	most := turnGrace
	for v := range ts.taken {
		if own && v.group != t.group && (t.session == nil || v.session != t.session) {
			continue
		}
		if b := v.behind(now); !v.ended && b >= most {
			worst, most = v, b
		}
	}
	if worst != nil {
		worst.ended = true
	}
	return worst
}

// behind is how long the client let wait beyond the time for what it moved.
// of.mu is held.
func (t *turn) behind(now time.Time) time.Duration {
	if t.since.IsZero() {
		return 0 // It waits for us.
	}
	return t.debt + now.Sub(t.since)
}

var errTurnOver = errors.New("the client was too slow")

// waits counts the time for which f waits for the client, and the bytes that
// it moves.
func (t *turn) waits(f func() (int, error)) (int, error) {
	t.of.mu.Lock()
	ended := t.ended
	t.since = time.Now()
	t.of.mu.Unlock()
	if ended {
		return 0, errTurnOver
	}
	n, err := f()
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	// What moved fast once, into some buffer, does not make up for a stall
	// later.
	t.debt = max(0, t.behind(time.Now())-time.Duration(float64(n)/slowest*float64(time.Second)))
	t.since = time.Time{}
	if t.ended && err == nil {
		err = errTurnOver
	}
	return n, err
}

// A turnBody is the body of a request.
type turnBody struct {
	io.ReadCloser
	turn *turn
}

func (b turnBody) Read(p []byte) (int, error) {
	return b.turn.waits(func() (int, error) { return b.ReadCloser.Read(p) })
}

// A turnWriter is where a request's answer goes.
type turnWriter struct {
	http.ResponseWriter
	turn *turn
}

func (w turnWriter) Write(p []byte) (int, error) {
	return w.turn.waits(func() (int, error) { return w.ResponseWriter.Write(p) })
}

// Unwrap lets http.ResponseController reach deadlines.
func (w turnWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
