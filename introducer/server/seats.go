package server

import (
	"sync"
	"time"
)

const (
	// seatsPerSession is how many subscriptions one session may hold: more
	// than one, since a client may ask again before its last one is seen to
	// have ended.
	seatsPerSession = 2
	// minStay is how long a subscription that was told everything stands at
	// least before it makes room for another.
	minStay = time.Minute
	// guestPart is the part of the seats, one of so many, for which there is
	// standing room.
	guestPart = 3
)

// seats are the subscriptions that are open. Nobody can take them all for
// long: one session has few, and when none is free, that one makes room
// which has been told everything, of the session that has the most, and of
// these the oldest. Who made room has missed nothing, and asks again later.
type seats struct {
	max int

	mu    sync.Mutex
	taken map[*seat]struct{} // guarded by mu
	// guests are the sessions that have no seat and are told once what there
	// is: whoever takes all seats, again and again, keeps nobody from that.
	guests map[any]bool // guarded by mu
}

// A seat is one subscription.
type seat struct {
	session any // comparable; nil for one of its own
	since   time.Time
	told    bool          // guarded by seats.mu; it was sent all there was
	ended   bool          // guarded by seats.mu; end is closed
	end     chan struct{} // closed when it has to make room
}

func newSeats(max int) *seats {
	return &seats{max: max, taken: make(map[*seat]struct{}), guests: make(map[any]bool)}
}

// take returns a seat for a session, nil if none can be had. leave must
// follow.
func (s *seats) take(session any) *seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	of := make(map[any][]*seat)
	standing := 0
	for t := range s.taken {
		if t.ended {
			continue
		}
		standing++
		if t.session != nil {
			of[t.session] = append(of[t.session], t)
		}
	}
	var victim *seat
	switch {
	case session != nil && len(of[session]) >= seatsPerSession:
		for _, t := range of[session] {
			if victim == nil || t.since.Before(victim.since) {
				victim = t
			}
		}
	case standing >= s.max:
		most := 0
		for t := range s.taken {
			if t.ended || !t.told || now.Sub(t.since) < minStay {
				continue
			}
			n := max(1, len(of[t.session]))
			if n > most || n == most && t.since.Before(victim.since) {
				victim, most = t, n
			}
		}
		if victim == nil {
			return nil
		}
	}
	if victim != nil {
		victim.ended = true
		close(victim.end)
	}
	t := &seat{session: session, since: now, end: make(chan struct{})}
	s.taken[t] = struct{}{}
	return t
}

// stand makes a session a guest, one of each. If it does not return nil, what
// it returns must be called at the end.
func (s *seats) stand(session any) (leave func()) {
	if session == nil {
		session = new(seat)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.guests) >= s.max/guestPart || s.guests[session] {
		return nil
	}
	s.guests[session] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.guests, session)
	}
}

// tell notes that a subscription was sent all there was.
func (s *seats) tell(t *seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.told = true
}

func (s *seats) leave(t *seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.taken, t)
}
