package mux

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// How many lanes pay (measured): a fresh circuit brings coldLane bytes in its
// first trip, so where none is open as many are dialled at once as that takes;
// a lane more beside some that are open is worth the seconds that it takes to
// open when the others have more than warmLane bytes each to move.
const (
	coldLane = 56 << 10
	warmLane = 512 << 10
	// usualRate is what a lane of unknown speed is taken to carry, in bytes a
	// second.
	usualRate = 400 << 10
	// unknownLength stands for a body of which nobody knows the length.
	unknownLength = 64 << 10
	// longestWait is how long a request waits for a lane that has room. Then
	// it shares one: those before it may be in no hurry at all.
	longestWait = 5 * time.Second
	// A lane is replaced when it carries less than a slowPart of what half of
	// its fellows do, of which there must be slowFellows; one in slowPause.
	slowPart, slowFellows = 4, 2
	slowPause             = 10 * time.Second
)

// A ticket is a bulk request that waits for a lane, and then its place there.
type ticket struct {
	up, down int64 // bytes that have yet to move
	since    time.Time
	ready    chan struct{}

	// Set before ready is closed.
	lane *lane
	sess *session
	err  error
}

// newTicket counts what a request will move.
func newTicket(req *http.Request) *ticket {
	t := &ticket{since: time.Now(), ready: make(chan struct{})}
	if req.Body != nil {
		if t.up = req.ContentLength; t.up <= 0 {
			t.up = unknownLength
		}
	}
	if begin, end, ok := strings.Cut(strings.TrimPrefix(req.Header.Get("Range"), "bytes="), "-"); ok {
		from, err1 := strconv.ParseInt(begin, 10, 64)
		to, err2 := strconv.ParseInt(end, 10, 64)
		if err1 == nil && err2 == nil && from <= to {
			t.down = to - from + 1
		}
	}
	if t.size() == 0 {
		t.down = unknownLength
	}
	return t
}

func (t *ticket) size() int64 { return t.up + t.down }

// acquire waits for a place on a bulk lane. Requests get theirs in the order
// in which they come, and not before a lane is about to be through with what
// it has, so that the slowest lane never decides.
func (pe *Peer) acquire(ctx context.Context, t *ticket) error {
	pe.mu.Lock()
	pe.waiting = append(pe.waiting, t)
	pe.dispatch()
	pe.mu.Unlock()
	select {
	case <-t.ready:
		return t.err
	case <-ctx.Done():
	}
	pe.mu.Lock()
	if i := slices.Index(pe.waiting, t); i >= 0 {
		pe.waiting = slices.Delete(pe.waiting, i, i+1)
		pe.mu.Unlock()
		return ctx.Err()
	}
	pe.mu.Unlock()
	if t.err == nil {
		<-t.lane.slots
		pe.settle(t)
		t.lane.release(t.sess)
	}
	return ctx.Err()
}

// dispatch gives lanes to those that wait, and dials more where they pay. The
// caller holds mu.
func (pe *Peer) dispatch() {
	now := time.Now()
	for len(pe.waiting) > 0 {
		t := pe.waiting[0]
		ln := pe.bestLane(t, now)
		if ln == nil && now.Sub(t.since) > longestWait {
			ln = pe.idlestLane()
		}
		if ln == nil {
			break
		}
		pe.waiting = pe.waiting[1:]
		ln.busy++
		ln.sess.users++
		ln.slots <- struct{}{} // bestLane saw that there is room
		ln.sess.assign(t, now, pe.tripLocked())
		t.lane, t.sess = ln, ln.sess
		close(t.ready)
	}
	pe.grow(pe.backlog())
	if len(pe.waiting) > 0 {
		pe.lookAgain()
	}
}

// lookAgain has dispatch look again when a lane may have fallen silent.
func (pe *Peer) lookAgain() {
	if pe.looking {
		return
	}
	pe.looking = true
	time.AfterFunc(pe.tripLocked(), func() {
		pe.mu.Lock()
		defer pe.mu.Unlock()
		pe.looking = false
		if len(pe.waiting) > 0 {
			pe.dispatch()
		}
	})
}

// bestLane returns the lane that will have moved t first, of those that have
// room for it; nil if none has.
func (pe *Peer) bestLane(t *ticket, now time.Time) *lane {
	var best *lane
	var soonest time.Duration
	trip := pe.tripLocked()
	for _, ln := range pe.bulk {
		if !ln.live() || len(ln.slots) == cap(ln.slots) || ln.sess.silent(now, trip) || !ln.sess.room(t, trip) {
			continue
		}
		if d := ln.sess.after(t); best == nil || d < soonest {
			best, soonest = ln, d
		}
	}
	return best
}

// idlestLane returns the lane with the fewest requests, whatever they are
// doing; nil if none can take one more.
func (pe *Peer) idlestLane() *lane {
	var best *lane
	for _, ln := range pe.bulk {
		if ln.live() && len(ln.slots) < cap(ln.slots) && (best == nil || ln.busy < best.busy) {
			best = ln
		}
	}
	return best
}

// backlog is how many bytes requests have yet to move, and how many requests
// that are. The caller holds mu.
func (pe *Peer) backlog() (bytes int64, requests int) {
	for _, t := range pe.waiting {
		bytes += t.size()
	}
	requests = len(pe.waiting)
	for _, ln := range pe.bulk {
		if ln.live() {
			bytes += ln.sess.up.owed + ln.sess.down.owed
			requests += ln.busy
		}
	}
	return bytes, requests
}

// Expect tells the peer that about so many bytes are about to move, in
// requests that are still to come: lanes that pay are dialled now.
func (pe *Peer) Expect(bytes int64) {
	pe.mu.Lock()
	defer pe.mu.Unlock()
	now, _ := pe.backlog()
	pe.grow(now+bytes, pe.pool.cfg.BulkLanes)
}

// grow dials lanes where that pays for so many bytes, in so many requests,
// each of which goes by one lane. Without any lane, and
// without hope for one, those that wait fail. The caller holds mu.
func (pe *Peer) grow(bytes int64, requests int) {
	if bytes == 0 {
		return
	}
	now, trip := time.Now(), pe.tripLocked()
	live, silent, dialling := 0, 0, 0
	for _, ln := range pe.bulk {
		switch {
		case ln.live() && ln.sess.silent(now, trip):
			silent++
		case ln.live():
			live++
		case ln.dial != nil:
			dialling++
		}
	}
	each := int64(warmLane)
	if live == 0 {
		each = coldLane
	}
	want := int(min((bytes+each-1)/each, int64(requests), int64(pe.pool.cfg.BulkLanes)))
	// A silent lane may come back: it gets one beside it, and no more.
	most := pe.pool.cfg.BulkLanes + min(silent, pe.pool.cfg.BulkLanes)
	var failed error
	for live+dialling < want && live+silent+dialling < most {
		if live+dialling > 0 && !pe.pool.mayDial() {
			pe.lookAgain()
			break
		}
		ln := pe.deadLane()
		if ln == nil {
			ln = newLane(pe)
			pe.bulk = append(pe.bulk, ln)
		}
		if failed = ln.warm(); failed != nil {
			break // it failed a moment ago
		}
		dialling++
	}
	if live+silent+dialling == 0 && failed != nil {
		pe.failWaiting(failed)
	}
}

// deadLane returns a lane that has neither session nor dial. The caller holds
// mu.
func (pe *Peer) deadLane() *lane {
	for _, ln := range pe.bulk {
		if !ln.live() && ln.dial == nil {
			return ln
		}
	}
	return nil
}

// dialled notes the end of a dial of one of the bulk lanes. The caller holds
// mu.
func (pe *Peer) dialled(err error) {
	if err == nil {
		pe.dispatch()
		return
	}
	for _, ln := range pe.bulk {
		if ln.live() || ln.dial != nil {
			pe.dispatch()
			return
		}
	}
	pe.failWaiting(err)
}

func (pe *Peer) failWaiting(err error) {
	for _, t := range pe.waiting {
		t.err = err
		close(t.ready)
	}
	pe.waiting = nil
}

// settle takes off t's session what t has not moved.
func (pe *Peer) settle(t *ticket) {
	pe.mu.Lock()
	defer pe.mu.Unlock()
	t.sess.up.drop(t.up)
	t.sess.down.drop(t.down)
	t.up, t.down = 0, 0
	pe.dispatch()
}

// came counts n bytes of t's answer.
func (pe *Peer) came(t *ticket, n int) {
	pe.mu.Lock()
	defer pe.mu.Unlock()
	pe.moved += int64(n)
	k := min(int64(n), t.down)
	t.down -= k
	if t.sess.down.moves(k, time.Now(), pe.tripLocked()) {
		pe.replaceSlow(t.lane, func(s *session) float64 { return s.down.rate })
	}
	if len(pe.waiting) > 0 {
		pe.dispatch()
	}
}

// sent counts t's body as acknowledged.
func (pe *Peer) sent(t *ticket) {
	if t.up == 0 {
		return
	}
	pe.mu.Lock()
	defer pe.mu.Unlock()
	k := t.up
	t.up = 0
	if t.sess.up.moves(k, time.Now(), pe.tripLocked()) {
		pe.replaceSlow(t.lane, func(s *session) float64 { return s.up.rate })
	}
	pe.dispatch()
}

// replaceSlow retires a lane that is much slower than its fellows: what is on
// it may end there. The caller holds mu.
func (pe *Peer) replaceSlow(ln *lane, rate func(*session) float64) {
	if !ln.live() || time.Since(pe.replaced) < slowPause {
		return
	}
	var rates []float64
	for _, other := range pe.bulk {
		if other != ln && other.live() && rate(other.sess) > 0 {
			rates = append(rates, rate(other.sess))
		}
	}
	if len(rates) < slowFellows {
		return
	}
	slices.Sort(rates)
	if rate(ln.sess) >= rates[len(rates)/2]/slowPart {
		return
	}
	pe.replaced = time.Now()
	pe.pool.cfg.Log.Debug("a slow lane is replaced", "onion", pe.addr.Short())
	ln.retireLocked(ln.sess)
}

// Heard returns when bytes last came on one of the bulk lanes, zero if none
// is open; how many bytes of answers have ever come on them; and how long a
// round trip takes, 0 before one was measured.
func (pe *Peer) Heard() (last time.Time, moved int64, trip time.Duration) {
	pe.mu.Lock()
	defer pe.mu.Unlock()
	for _, ln := range pe.bulk {
		if ln.live() {
			if t := time.Unix(0, ln.sess.circuit.heard.Load()); t.After(last) {
				last = t
			}
		}
	}
	return last, pe.moved, pe.trip
}

// tripLocked is the round trip as far as is known.
func (pe *Peer) tripLocked() time.Duration {
	if pe.trip == 0 {
		return firstTrip
	}
	return pe.trip
}

// noteTrip learns from the time that a request's answer took to begin. Small
// ones are the measure; bulk can only show that it is less.
func (pe *Peer) noteTrip(c Class, took time.Duration) {
	pe.mu.Lock()
	defer pe.mu.Unlock()
	switch {
	case c == Small && pe.trip > 0:
		pe.trip = min(took, pe.trip+pe.trip/16)
	case pe.trip == 0 || took < pe.trip:
		pe.trip = took
	}
}
