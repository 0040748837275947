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
	// share is asked as well, where no server is connected: a cold circuit
	// takes 3-6 s. Else it is hedgeTrips trips.
	hedgeFirst = 8 * time.Second
	hedgeTrips = 3
	// hedgeEvery is between one reserve and the next.
	hedgeEvery = 2 * time.Second
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
	return s.decode(first, count, got, make([][]byte, count))
}

// decode makes the plaintext of count segments from first out of k shares'
// blocks. It may use the memory of out, which has a place for each.
func (s *search) decode(first, count int, got map[int][][]byte, out [][]byte) (_ [][]byte, err error) {
	for i := range out {
		blocks := make(map[int][]byte, len(got))
		for n, b := range got {
			blocks[n] = b[i]
		}
		if out[i], err = s.dec.DecodeSegmentInto(out[i], first+i, blocks); errors.Is(err, immutable.ErrCorrupt) {
			return nil, ErrDamaged
		} else if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// patience is how long reads may take before others are asked as well.
func (s *search) patience() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var longest time.Duration
	for _, r := range s.shares {
		if h := heard(r.h.server); !h.Last.IsZero() {
			longest = max(longest, h.Trip)
		}
	}
	if longest == 0 {
		return hedgeFirst
	}
	return hedgeTrips * longest
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
	hedge := time.NewTimer(s.patience())
	defer hedge.Stop()
	for {
		var changed <-chan struct{}
		hope := true
		for len(got)+inFlight < s.cap.Needed+extra {
			var r *remote
			r, changed, hope = s.pick(taken, s.cap.Needed+extra-len(got)-inFlight)
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
				hedge.Reset(time.Since(started)/2 + s.patience()/2)
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

// startOpening opens a share. The caller holds mu.
func (s *search) startOpening(r *remote) chan struct{} {
	opened := make(chan struct{})
	r.opened = opened
	s.work.Go(func() {
		defer close(opened)
		octx, cancel := context.WithTimeout(s.ctx, readTimeout)
		defer cancel()
		share, err := s.dec.OpenHead(octx, r.n, s.reader(r), r.head)
		s.mu.Lock()
		defer s.mu.Unlock()
		r.share, r.err = share, err
		if err != nil {
			r.opened = nil // the next to ask tries again
		}
	})
	return opened
}

// open opens a share once for all who ask.
func (s *search) open(ctx context.Context, r *remote) (*immutable.Share, error) {
	s.mu.Lock()
	opened := r.opened
	if opened == nil {
		opened = s.startOpening(r)
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
