package mux

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-yamux/v4"

	"lafs/onion"
)

// A session is a yamux session that we opened, on a circuit of its own.
type session struct {
	*yamux.Session
	circuit *circuit
	dial    *dial // under way; nil once the service has answered; guarded by the peer's mu
	users   int   // requests on it; guarded by the peer's mu
	retired bool  // no new requests; closed when the last ends; guarded by the peer's mu

	up, down flow      // of bulk; guarded by the peer's mu
	due      time.Time // when something must have come; guarded by the peer's mu
}

// assign puts a bulk request on the session. The caller holds the peer's mu,
// here and below.
func (s *session) assign(t *ticket, now time.Time, trip time.Duration) {
	if s.up.owed+s.down.owed == 0 {
		s.due = now.Add(trip)
	}
	if t.up > 0 {
		s.up.begin(t.up, now, trip)
	}
	if t.down > 0 {
		s.down.begin(t.down, now, trip)
	}
	if t.up > 0 {
		// An answer comes when all of it has been sent.
		if at := now.Add(trip + s.up.after(0, minRate)); at.After(s.due) {
			s.due = at
		}
	}
}

// standing reports whether the service has answered the dial.
func (s *session) standing(pe *Peer) bool {
	pe.mu.Lock()
	defer pe.mu.Unlock()
	return s.dial == nil
}

// minRate is what a circuit carries at least, in bytes a second; silence is
// no sign before that has had its time.
const minRate = 64 << 10

// silent reports whether nothing came for one and a half trips after it was
// due: the sign of a relay that stalls.
func (s *session) silent(now time.Time, trip time.Duration) bool {
	if s.up.owed+s.down.owed == 0 {
		return false
	}
	last := s.due
	if heard := time.Unix(0, s.circuit.heard.Load()); heard.After(last) {
		last = heard
	}
	return now.Sub(last) > trip+trip/2
}

// room reports whether t fits what the session may have under way.
func (s *session) room(t *ticket, trip time.Duration) bool {
	fits := func(f *flow, n int64) bool { return n == 0 || f.owed == 0 || f.owed+n <= f.window(trip) }
	return fits(&s.up, t.up) && fits(&s.down, t.down)
}

// after is how long the session takes for what it has and t.
func (s *session) after(t *ticket) time.Duration {
	return max(s.up.after(t.up, usualRate), s.down.after(t.down, usualRate))
}

// A lane leads to a peer over one session at a time. Its fields are guarded
// by the peer's mu, but for slots.
type lane struct {
	peer  *Peer
	slots chan struct{} // holds one value for each request under way

	busy     int // requests that chose this lane and have not ended
	sess     *session
	dial     *dial
	failures int // dials in a row
	retryAt  time.Time
	failed   error // the latest dial's
	idle     *time.Timer
}

// A dial is one attempt, which all who need the lane share.
type dial struct {
	done    chan struct{}
	err     error // set before done is closed
	waiters int   // guarded by the peer's mu; those on early among them
	left    bool  // guarded by the peer's mu; nobody waits, and nobody shall
	cancel  context.CancelFunc
	// early is the session to be, nil if requests wait for the answer. Those
	// that may go twice go on it at once: their bytes leave with the question
	// to the service, once for each of the network's attempts.
	early *session
	front *onion.Early // early's stream
}

func newLane(pe *Peer) *lane {
	return &lane{peer: pe, slots: make(chan struct{}, streamsPerLane)}
}

func (ln *lane) live() bool { return ln.sess != nil && !ln.sess.IsClosed() }

// session returns the lane's session, dialled if there is none, counted as
// used until release. With it goes a slot, which the caller frees. A request
// that may go twice gets one that is still being dialled.
func (ln *lane) session(ctx context.Context, twice bool) (*session, error) {
	select {
	case ln.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s, err := ln.use(ctx, twice)
	if err != nil {
		<-ln.slots
	}
	return s, err
}

func (ln *lane) use(ctx context.Context, twice bool) (*session, error) {
	pe := ln.peer
	for {
		pe.mu.Lock()
		if ln.live() {
			ln.sess.users++
			s := ln.sess
			pe.mu.Unlock()
			return s, nil
		}
		d, err := ln.dialLocked()
		if err != nil {
			pe.mu.Unlock()
			return nil, err
		}
		d.waiters++
		if s := d.early; s != nil && twice && !s.IsClosed() {
			s.users++
			pe.mu.Unlock()
			return s, nil
		}
		pe.mu.Unlock()
		select {
		case <-d.done:
			if d.err != nil {
				return nil, d.err
			}
		case <-ctx.Done():
			pe.mu.Lock()
			d.leave()
			pe.mu.Unlock()
			return nil, ctx.Err()
		}
	}
}

// leave ends a dial that nobody waits for any more. The caller holds the
// peer's mu.
func (d *dial) leave() {
	if d.waiters--; d.waiters == 0 {
		d.left = true
		d.cancel()
	}
}

// warm dials without a request that waits.
func (ln *lane) warm() error {
	d, err := ln.dialLocked()
	if err == nil {
		d.waiters++ // nobody gives it up
	}
	return err
}

// dialLocked returns the dial under way, or starts one unless the last
// failed too recently.
func (ln *lane) dialLocked() (*dial, error) {
	if ln.dial != nil && !ln.dial.left {
		return ln.dial, nil
	}
	if ln.sess != nil {
		ln.peer.pool.drop(ln.sess)
		ln.sess = nil
	}
	if time.Now().Before(ln.retryAt) {
		return nil, ln.failed
	}
	ctx, cancel := context.WithTimeout(ln.peer.pool.ctx, dialTimeout)
	d := &dial{done: make(chan struct{}), cancel: cancel, front: onion.NewEarly()}
	s, err := newSession(d.front, ln.peer)
	if err != nil {
		cancel()
		return nil, err
	}
	s.dial = d
	if ln == ln.peer.small {
		d.early = s
	}
	ln.peer.pool.dialling.Add(1)
	if !ln.peer.pool.spawn(func() { ln.run(ctx, d, s) }) {
		cancel()
		s.Close()
		ln.peer.pool.dialling.Add(-1)
		return nil, fmt.Errorf("%w: %w", errPoolClosed, onion.ErrClosed)
	}
	ln.dial = d
	return d, nil
}

func (ln *lane) run(ctx context.Context, d *dial, s *session) {
	pe := ln.peer
	err := pe.open(ctx, d.front, s)
	gaveUp := errors.Is(ctx.Err(), context.Canceled)
	d.cancel()
	if err != nil {
		// Those who leave because of the failure do not give the dial up.
		pe.mu.Lock()
		s.dial = nil
		pe.mu.Unlock()
		s.circuit.fail(err)
		s.Close()
	}
	pe.mu.Lock()
	defer pe.mu.Unlock()
	s.dial = nil
	if ln.dial == d {
		ln.dial = nil
	}
	pe.pool.dialling.Add(-1)
	d.err = err
	defer close(d.done)
	if ln != pe.small {
		defer func() { pe.dialled(err) }()
	}
	switch {
	case err != nil && gaveUp:
		return
	case err != nil:
		ln.backOff(err)
		return
	case d.left:
		pe.pool.drop(s) // there may be another dial since
		return
	}
	ln.sess, ln.failures, ln.retryAt = s, 0, time.Time{}
	pe.noteLocked()
	if ln.busy == 0 {
		ln.armIdle()
	}
}

// newSession starts a session on a stream that is yet to be dialled.
func newSession(front *onion.Early, pe *Peer) (*session, error) {
	circuit := newCircuit(front, pe.beat)
	y, err := clientSession(circuit, pe.pool.cfg.Log)
	if err != nil {
		front.Close()
		return nil, fmt.Errorf("start session: %w", err)
	}
	return &session{Session: y, circuit: circuit}, nil
}

// open dials s's stream, front. Each session gets a circuit of its own: the
// one before may be what broke. After an error the caller closes s.
func (pe *Peer) open(ctx context.Context, front *onion.Early, s *session) error {
	err := onion.DialEarly(ctx, pe.pool.nw, pe.addr, onion.NewLane(), front)
	switch {
	case err == nil && !pe.pool.adopt(s):
		err = fmt.Errorf("%w: %w", errPoolClosed, onion.ErrClosed)
	case err == nil:
		s.circuit.heard.Store(time.Now().UnixNano())
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("reach %s: %w (no answer in %v)", pe.addr.Short(), onion.ErrUnreachable, dialTimeout)
	default:
		err = fmt.Errorf("reach %s: %w", pe.addr.Short(), err)
	}
	return err
}

// backOff keeps the lane from dialling for a while. Requests meanwhile fail
// at once, as the dial did: a peer that is down holds nobody up.
func (ln *lane) backOff(err error) {
	wait := min(backoffMin<<min(ln.failures, 10), backoffMax)
	wait += rand.N(wait)
	ln.failures++
	ln.failed, ln.retryAt = err, time.Now().Add(wait)
}

// release ends a request's use of s, which is nil if it never had one.
func (ln *lane) release(s *session) {
	pe := ln.peer
	pe.mu.Lock()
	defer pe.mu.Unlock()
	if s != nil {
		if s.users--; s.users == 0 && s.retired {
			pe.pool.drop(s)
		}
		// Where the stream stands, an answer may be here before the dial has
		// ended: it is not given up then.
		if s.dial != nil && !s.dial.front.Stands() {
			s.dial.leave()
		}
	}
	if ln.busy--; ln.busy == 0 {
		ln.armIdle()
	}
}

// armIdle closes the lane's session after a random time, unless it is used
// again.
func (ln *lane) armIdle() {
	after := idleMin + rand.N(idleMax-idleMin)
	if ln.idle != nil {
		ln.idle.Stop()
	}
	s := ln.sess
	ln.idle = time.AfterFunc(after, func() {
		ln.peer.mu.Lock()
		defer ln.peer.mu.Unlock()
		if ln.busy > 0 || ln.sess != s {
			return
		}
		if s != nil {
			ln.sess = nil
			ln.peer.pool.drop(s)
		}
		ln.peer.forget(ln)
		ln.peer.noteLocked()
	})
}

// suspect retires s when nothing came from it since the request that started
// then, nor since it was dialled, and that is long ago: later requests dial
// another circuit, those under way may still end well.
func (ln *lane) suspect(s *session, started time.Time) {
	if s.standing(ln.peer) && time.Since(started) >= suspectAfter && s.circuit.heard.Load() <= started.UnixNano() {
		ln.retire(s)
	}
}

// retire keeps later requests off s.
func (ln *lane) retire(s *session) {
	ln.peer.mu.Lock()
	defer ln.peer.mu.Unlock()
	ln.retireLocked(s)
}

func (ln *lane) retireLocked(s *session) {
	s.retired = true
	if ln.sess == s {
		ln.sess = nil
		ln.peer.noteLocked()
	}
}
