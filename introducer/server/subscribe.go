package server

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"lafs/introducer"
	"lafs/onion/mux"
)

// subscribe sends every announcement, then each new one as it comes, until a
// random end.
func (s *Server) subscribe(w http.ResponseWriter, r *http.Request) {
	if !s.cfg.SubscribeSecret.Authorizes(r.Header.Get("Authorization")) {
		fail(w, http.StatusUnauthorized)
		return
	}
	seat := s.subscribers.take(mux.SessionOf(r.Context()))
	if seat == nil {
		s.tellOnce(w, r)
		return
	}
	defer s.subscribers.leave(seat)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)

	end := time.NewTimer(introducer.StreamMin + rand.N(introducer.StreamMax-introducer.StreamMin))
	defer end.Stop()
	f := newFeed(time.Now())
	for {
		// A subscriber that reads slowly is given the newest of each
		// server when it is ready: nothing queues up for it.
		news, changed := s.news(f)
		lines, next := f.choose(news, time.Now())
		if !sendLines(w, lines) {
			return
		}
		if next.IsZero() {
			s.subscribers.tell(seat)
		}
		if !s.await(r.Context(), seat, end.C, changed, next) {
			// The last batch's deadline is long past.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(ioTimeout))
			return
		}
		if d := f.pause(time.Now()); d > 0 && !s.await(r.Context(), seat, end.C, nil, time.Now().Add(d)) {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(ioTimeout))
			return
		}
	}
}

// tellOnce sends every announcement and ends: the client asks again later.
func (s *Server) tellOnce(w http.ResponseWriter, r *http.Request) {
	leave := s.subscribers.stand(mux.SessionOf(r.Context()))
	if leave == nil {
		fail(w, http.StatusServiceUnavailable)
		return
	}
	defer leave()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	f := newFeed(time.Now())
	news, _ := s.news(f)
	lines, _ := f.choose(news, time.Now())
	sendLines(w, lines)
}

// await waits for a change, or until next, if that is not zero. It reports
// false when the subscription ends.
func (s *Server) await(ctx context.Context, seat *seat, end <-chan time.Time, changed <-chan struct{}, next time.Time) bool {
	var due <-chan time.Time
	if !next.IsZero() {
		t := time.NewTimer(time.Until(next))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-changed:
		return true
	case <-due:
		return true
	case <-seat.end:
	case <-end:
	case <-ctx.Done():
	}
	return false
}

// news returns the announcements that the feed has not seen, or that are
// late, and a channel that is closed at the next change.
func (s *Server) news(f *feed) (news []entry, changed <-chan struct{}) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	today := s.today()
	news = s.state.since(f.seen, today)
	for id := range f.late {
		e, ok := s.state.entries[id]
		switch {
		case !ok || e.Expired(today):
			delete(f.late, id)
		case e.revision <= f.seen:
			news = append(news, e)
		}
	}
	f.seen = s.state.last
	return news, s.changed
}

var newline = []byte{'\n'}

// ioTimeout is how long a subscriber has to take a batch, besides the time
// for its bytes: a stalled circuit can recover after tens of seconds.
const ioTimeout = 2 * time.Minute

// slowest is the speed, in bytes a second, below which a subscriber is
// given up.
const slowest = 4 << 10

// sendLines writes and flushes one batch, and reports whether the subscriber
// took it in time.
func sendLines(w http.ResponseWriter, lines []entry) bool {
	size := 0
	for _, l := range lines {
		size += len(l.Raw)
	}
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Now().Add(ioTimeout + time.Duration(size/slowest)*time.Second))
	for _, l := range lines {
		if _, err := w.Write(slices.Concat(l.Raw, newline)); err != nil {
			return false
		}
	}
	return rc.Flush() == nil
}
