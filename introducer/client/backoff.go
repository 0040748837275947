package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"lafs/onion"
)

const (
	firstWait = 4 * time.Second
	maxWait   = 10 * time.Minute
	// torWait is the pause while our own Tor is not ready: asking it costs
	// nobody anything.
	torWait = 3 * time.Second
	// calmWait is the longest pause after an ordinary end. Many clients see
	// an introducer restart at one moment, and must not return at one.
	calmWait = time.Minute
)

// A backoff says how long to wait before the next attempt: random, so that
// clients do not come in a herd, and longer with each failure.
type backoff struct {
	failures int
	calm     bool
}

// reset forgets failures; the next wait is that after an ordinary end.
func (b *backoff) reset() { *b = backoff{calm: true} }

func (b *backoff) next(err error) time.Duration {
	if errors.Is(err, onion.ErrTorDown) {
		return spread(torWait)
	}
	if b.calm {
		b.calm = false
		return rand.N(calmWait)
	}
	wait := maxWait
	if b.failures < 8 {
		wait = min(maxWait, firstWait<<b.failures)
	}
	b.failures++
	return spread(wait)
}

// spread returns a random time around d, from half of it to one and a half.
func spread(d time.Duration) time.Duration { return d/2 + rand.N(d) }

// sleep waits, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
