package grid

import (
	"context"
	"errors"
	"time"

	"lafs/onion"
	"lafs/shares/storage"
)

const (
	// A server that could not be reached is asked again while shares are
	// lacking, after reviveFirst, and then after twice as long each time:
	// within 14 s in all, which is what a person waits for. A session pool
	// that has failed to dial tries again later each time.
	reviveFirst = 2 * time.Second
	reviveTries = 3
)

// broken tells a request that a server or circuit failed in the middle of,
// and that may do better a moment later.
func broken(err error) bool {
	return (errors.Is(err, storage.ErrUnreachable) || errors.Is(err, storage.ErrBusy)) && !errors.Is(err, context.DeadlineExceeded)
}

// revive has those servers asked again that could not be reached, each after
// a pause of its own. It reports whether any answer is still to come. It is
// called where shares are lacking, again and again.
func (s *search) revive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	hope := false
	for _, h := range s.holders {
		lost := h.failures >= readFailures || !h.answered
		if !h.reviving && lost && broken(h.err) && !errors.Is(h.err, onion.ErrTorDown) && h.revivals < reviveTries {
			wait := reviveFirst << h.revivals
			h.reviving = true
			h.revivals++
			s.pending++
			s.work.Go(func() { s.reviveAfter(h, wait) })
		}
		hope = hope || h.reviving
	}
	return hope
}

func (s *search) reviveAfter(h *holder, wait time.Duration) {
	pause(s.ctx, wait) // if the search ends, so does what follows
	s.mu.Lock()
	if !h.answered {
		s.mu.Unlock()
		s.list(h, 1)
		return
	}
	defer s.mu.Unlock()
	// What it holds is known: one more read.
	s.pending--
	h.reviving = false
	h.failures = readFailures - 1
	h.retryAt = time.Time{}
	s.wake()
}

// forgive lets a new Copy ask again whom the one before had given up.
func (s *search) forgive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.holders {
		h.revivals = 0
	}
}
