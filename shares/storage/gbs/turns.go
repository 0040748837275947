package gbs

import (
	"context"
	"errors"
	"io"
	"net/http"
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
type turns struct {
	free chan struct{} // one entry a turn that is taken

	mu    sync.Mutex
	taken map[*turn]struct{} // guarded by mu
}

func newTurns(n int) *turns {
	return &turns{free: make(chan struct{}, n), taken: make(map[*turn]struct{})}
}

// A turn is one request that is worked on.
type turn struct {
	of  *turns
	cut func() // ends what waits for the client; not guarded

	// All guarded by of.mu.
	debt  time.Duration // how far the client was behind when it last moved
	since time.Time     // when the wait for it began; zero: it is not waited for
	ended bool          // it was told to give its turn back
}

// take returns a turn, nil if there is none to be had. leave must follow.
func (ts *turns) take(ctx context.Context, w http.ResponseWriter) *turn {
	select {
	case ts.free <- struct{}{}:
	default:
		if !ts.makeRoom() {
			return nil
		}
		wait := time.NewTimer(turnWait)
		defer wait.Stop()
		select {
		case ts.free <- struct{}{}:
		case <-wait.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
	rc := http.NewResponseController(w)
	t := &turn{of: ts, cut: func() {
		past := time.Unix(1, 0)
		_ = rc.SetReadDeadline(past)
		_ = rc.SetWriteDeadline(past)
	}}
	ts.mu.Lock()
	ts.taken[t] = struct{}{}
	ts.mu.Unlock()
	return t
}

func (t *turn) leave() {
	t.of.mu.Lock()
	delete(t.of.taken, t)
	t.of.mu.Unlock()
	<-t.of.free
}

// makeRoom ends the turn that is most behind, and reports whether there was
// one.
func (ts *turns) makeRoom() bool {
	now := time.Now()
	var worst *turn
	ts.mu.Lock()
	most := turnGrace
	for t := range ts.taken {
		if b := t.behind(now); !t.ended && b >= most {
			worst, most = t, b
		}
	}
	if worst != nil {
		worst.ended = true
	}
	ts.mu.Unlock()
	if worst == nil {
		return false
	}
	worst.cut()
	return true
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
