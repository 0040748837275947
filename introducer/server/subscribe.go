package server

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"lafs/introducer"
)

// subscribe sends every announcement, then each new one as it comes, until a
// random end.
func (s *Server) subscribe(w http.ResponseWriter, r *http.Request) {
	if !s.cfg.SubscribeSecret.Authorizes(r.Header.Get("Authorization")) {
		fail(w, http.StatusUnauthorized)
		return
	}
	select {
	case s.subscribers <- struct{}{}:
		defer func() { <-s.subscribers }()
	default:
		fail(w, http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)

	end := time.NewTimer(introducer.StreamMin + rand.N(introducer.StreamMax-introducer.StreamMin))
	defer end.Stop()
	var seen uint64
	for {
		// A subscriber that reads slowly is given the newest of each
		// server when it is ready: nothing queues up for it.
		lines, upTo, changed := s.news(seen)
		if !sendLines(w, lines) {
			return
		}
		seen = upTo
		select {
		case <-changed:
		case <-end.C:
			// The last batch's deadline is long past.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(ioTimeout))
			return
		case <-r.Context().Done():
			return
		}
	}
}

// news returns the announcements after revision seen, the revision they go
// up to, and a channel that is closed at the next change.
func (s *Server) news(seen uint64) (lines []entry, upTo uint64, changed <-chan struct{}) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.state.since(seen, s.today()), s.state.last, s.changed
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
