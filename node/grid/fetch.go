package grid

import (
	"context"
	"errors"
	"time"

	"lafs/shares/immutable"
)

const (
	// readTimeout ends one reading of a span. Others have been
	// asked long before.
	readTimeout = 2 * time.Minute
	// hedgeFirst is how long the first read of a span may take before another
	// share is asked as well: a cold circuit takes 3-6 s.
	hedgeFirst = 8 * time.Second
	// hedgeMargin is added to twice the time of the fastest read of a span;
	// after that, the slow ones get company.
	hedgeMargin = 1500 * time.Millisecond
	// hedgeEvery is between one reserve and the next.
	hedgeEvery = 5 * time.Second
)

// A reading is what one share gave for a span.
type reading struct {
	r      *remote
	blocks [][]byte
	took   time.Duration
	err    error
}

// openFirst opens shares until one is open, so that the file's segment size
// is known. The other k-1 are opened at the same time.
func (s *search) openFirst(ctx context.Context) error {
	_, err := s.gather(ctx, 1, func(ctx context.Context, r *remote) ([][]byte, error) {
		_, err := s.open(ctx, r)
		return nil, err
	})
	return err
}

// fetch returns the plaintext of count segments from first.
func (s *search) fetch(ctx context.Context, first, count int) ([][]byte, error) {
	got, err := s.gather(ctx, s.cap.Needed, func(ctx context.Context, r *remote) ([][]byte, error) {
		share, err := s.open(ctx, r)
		if err != nil {
			return nil, err
		}
		return share.Blocks(ctx, first, count)
	})
	if err != nil {
		return nil, err
	}
	out := make([][]byte, count)
	for i := range out {
		blocks := make(map[int][]byte, len(got))
		for n, b := range got {
			blocks[n] = b[i]
		}
		if out[i], err = s.dec.DecodeSegment(first+i, blocks); errors.Is(err, immutable.ErrCorrupt) {
			return nil, ErrDamaged
		} else if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// gather reads from k shares of different numbers at once and returns when
// want of them have answered well; the rest are cancelled. A share that
// fails is replaced; one that is slow gets company.
func (s *search) gather(ctx context.Context, want int, read func(context.Context, *remote) ([][]byte, error)) (map[int][][]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan reading)
	inFlight := 0
	defer func() {
		cancel()
		for ; inFlight > 0; inFlight-- {
			res := <-results
			s.read(res.r, res.took, res.err, true)
		}
	}()

	taken := make(map[int]bool) // numbers being read or read well
	got := make(map[int][][]byte)
	started := time.Now()
	extra := 0
	hedge := time.NewTimer(hedgeFirst)
	defer hedge.Stop()
	for {
		var changed <-chan struct{}
		hope := true
		for len(got)+inFlight < s.cap.Needed+extra {
			var r *remote
			r, changed, hope = s.pick(taken)
			if r == nil {
				break
			}
			changed = nil
			taken[r.n] = true
			inFlight++
			go func() {
				began := time.Now()
				rctx, end := context.WithTimeout(ctx, readTimeout)
				defer end()
				blocks, err := read(rctx, r)
				results <- reading{r, blocks, time.Since(began), err}
			}()
		}
		if len(got)+inFlight < want && !s.revive() && !hope {
			return nil, s.notEnough()
		}
		var retry <-chan time.Time
		if changed != nil && inFlight == 0 {
			// Servers that failed are tried again after a moment.
			retry = time.After(retryDelay)
		}
		select {
		case res := <-results:
			inFlight--
			s.read(res.r, res.took, res.err, ctx.Err() != nil)
			if errors.Is(res.err, immutable.ErrWrongCap) {
				return nil, immutable.ErrWrongCap // no other share says otherwise
			}
			if res.err != nil {
				delete(taken, res.r.n)
				break
			}
			got[res.r.n] = res.blocks
			if len(got) == want {
				return got, nil
			}
			if len(got) == 1 {
				hedge.Reset(time.Since(started) + hedgeMargin)
			}
		case <-hedge.C:
			extra = min(extra+1, s.cap.Needed)
			hedge.Reset(hedgeEvery)
		case <-changed:
		case <-retry:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// open opens a share once for all who ask.
func (s *search) open(ctx context.Context, r *remote) (*immutable.Share, error) {
	s.mu.Lock()
	opened := r.opened
	if opened == nil {
		opened = make(chan struct{})
		r.opened = opened
		s.work.Go(func() {
			defer close(opened)
			octx, cancel := context.WithTimeout(s.ctx, readTimeout)
			defer cancel()
			share, err := s.dec.OpenShare(octx, r.n, s.reader(r))
			s.mu.Lock()
			defer s.mu.Unlock()
			r.share, r.err = share, err
			if err != nil {
				r.opened = nil // the next to ask tries again
			}
		})
	}
	s.mu.Unlock()
	select {
	case <-opened:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.share, r.err
}
