package grid

import (
	"errors"
	"math/rand/v2"
	"time"

	"lafs/onion"
	"lafs/shares/storage"
)

// An upload that has begun waits while the network is out: Tor restarts, a
// laptop sleeps, a link is down. Tries come outageFirst apart, then twice as
// long each time up to outageMost, with up to half as much again at random, so
// that clients of one server do not come back at one moment. Servers keep
// what an upload has sent for 30 minutes; well before that the person hears
// that it did not work.
const (
	outageFirst, outageMost = 2 * time.Second, 15 * time.Second
	outagePatience          = 15 * time.Minute
	// outageSilence is how long a server that owes an acknowledgement says
	// nothing before it counts as not reached.
	outageSilence = time.Minute
)

// An outage is the waiting of one request. The zero value has not waited yet.
type outage struct {
	began time.Time
	tries int
}

// next returns how long to wait before the next try, or false if patience is
// at its end.
func (o *outage) next() (time.Duration, bool) {
	if o.began.IsZero() {
		o.began = time.Now()
	}
	delay := min(outageFirst<<min(o.tries, 10), outageMost)
	delay += rand.N(delay / 2)
	o.tries++
	return delay, time.Since(o.began)+delay <= outagePatience
}

// isOut reports whether the network is what a write failed for, and not its
// server: it is known to be, or none of the servers that still owe something
// is reached or answers, and these are most.
func (p *push) isOut(err error) bool {
	if errors.Is(err, onion.ErrTorDown) || p.u.g.cfg.Network() != nil {
		return true
	}
	down := 0
	for _, q := range p.queues {
		q.mu.Lock()
		owes := q.owed > 0 && q.err == nil
		lost := q.down || owes && time.Since(q.acked) > outageSilence
		q.mu.Unlock()
		switch {
		case lost:
			down++
		case owes:
			return false
		}
	}
	return 2*down > len(p.queues)
}

// setDown notes whether the server was reached.
func (q *queue) setDown(down bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.down = down; !down {
		q.acked = time.Now()
	}
}

// tellWaiting tells the person why nothing moves.
func (u *upload) tellWaiting() { u.opts.Progress(Progress{Phase: "waiting for Tor"}) }

// outLasts reports whether an upload that has reached servers before does not
// now, since the network is out, and waits before it lets them be asked again;
// false when its patience is at an end.
func (u *upload) outLasts(wait func(time.Duration) bool) bool {
	answered, lost := 0, 0
	torDown := u.g.cfg.Network() != nil
	for _, c := range u.cands[:u.asked] {
		if c.answered {
			answered++
		}
		if errors.Is(c.lastErr, storage.ErrUnreachable) && c.failures > 0 {
			lost++
		}
		torDown = torDown || errors.Is(c.lastErr, onion.ErrTorDown)
	}
	if answered == 0 || !torDown && lost < u.asked {
		return false
	}
	delay, ok := u.out.next()
	if !ok {
		return false
	}
	u.tellWaiting()
	if u.beforeWait != nil {
		u.beforeWait()
	}
	if !wait(delay) {
		return false
	}
	for _, c := range u.cands[:u.asked] {
		if errors.Is(c.lastErr, storage.ErrUnreachable) {
			c.failures = 0
		}
	}
	return true
}
