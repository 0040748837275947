package grid

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"lafs/shares/storage"
)

const (
	// requestSize is what one write or read carries at most: pieces that are
	// a small part of what a lane carries in a trip, so that lanes of unequal
	// speed share a block out among them. leastRequest is for shares that
	// would not give every lane a piece otherwise.
	requestSize  = 120 << 10
	leastRequest = 64 << 10
	lanesToFill  = 4
	// firstWindow and maxWindow are how many writes one server is given at
	// once, at first and at most. They wait for lanes, of which each takes as
	// much as it carries.
	firstWindow = 16
	maxWindow   = 32
	// smallWrite is a write that takes no place in the window: what it
	// carries fits a fresh circuit's window beside others.
	smallWrite = 64 << 10
	// A write that is acknowledged within fastWrite widens the window by
	// one; one that takes longer than slowWrite halves it.
	fastWrite = 5 * time.Second
	slowWrite = 20 * time.Second
	// writeTimeout ends a write that makes no end: 240 KiB, eight at a time,
	// still pass at 11 kB/s.
	writeTimeout = 3 * time.Minute
	// writeTries is how often a write is tried when the connection breaks:
	// writing the same bytes again is harmless. retryDelay lets a server or
	// a circuit come back.
	writeTries = 3
	retryDelay = 2 * time.Second
)

// pieceSize is how much of n bytes one request carries.
func pieceSize(n int64) int {
	return int(min(max(leastRequest, (n+lanesToFill-1)/lanesToFill), requestSize))
}

// A queue sends one server its shares, several writes at a time.
type queue struct {
	p       *push
	cand    *candidate
	streams []*stream
	ctx     context.Context
	cancel  context.CancelCauseFunc

	mu       sync.Mutex
	waiting  []write   // guarded by mu
	inFlight int       // guarded by mu; writes that count for the window
	owed     int64     // guarded by mu; bytes in waiting and in flight
	window   int       // guarded by mu
	gated    bool      // guarded by mu; the server has not agreed yet: only early writes go
	early    bool      // guarded by mu; so are those that are put now
	down     bool      // guarded by mu; the latest write to end did not reach the server
	acked    time.Time // guarded by mu; when it last acknowledged something
	err      error     // guarded by mu; why the server was given up
}

// A stream is one share on its way to one server. pending belongs to the
// encoder's goroutine, the rest to the queue's mutex.
type stream struct {
	q       *queue
	n       int
	pending write
	next    int64           // offset of the next byte to be fed
	missing []storage.Range // what the server last said is missing; nil before
	whole   bool            // the server said that nothing is missing
	begun   bool            // the server may have some of it
	err     error
}

// A write is bytes of a share, with the memory that they stand for.
type write struct {
	s      *stream
	offset int64
	data   []byte
	holds  []*hold
	early  bool // it asks for the share's space itself
}

func (w *write) release() {
	for _, h := range w.holds {
		h.release()
	}
	w.holds = nil
}

// add appends a part of the share. The bytes are copied: the encoder uses
// its buffers again.
func (s *stream) add(part []byte, h *hold) {
	for len(part) > 0 {
		if s.q.failed() {
			s.drop()
			return
		}
		size := pieceSize(s.q.p.u.shareSize)
		if s.pending.data == nil {
			s.pending = write{s: s, offset: s.next, data: make([]byte, 0, min(int64(size), s.q.p.u.shareSize-s.next))}
		}
		n := min(len(part), size-len(s.pending.data))
		s.pending.data = append(s.pending.data, part[:n]...)
		h.refs.Add(1)
		s.pending.holds = append(s.pending.holds, h)
		s.next += int64(n)
		part = part[n:]
		if len(s.pending.data) == size {
			s.flush()
		}
	}
}

// flush queues what is pending.
func (s *stream) flush() {
	if s.pending.data == nil {
		return
	}
	w := s.pending
	s.pending = write{}
	s.q.put(w)
}

func (s *stream) drop() {
	s.pending.release()
	s.pending = write{}
}

func (q *queue) put(w write) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil || q.ctx.Err() != nil {
		w.release()
		return
	}
	w.early = q.early
	q.waiting = append(q.waiting, w)
	q.owed += int64(len(w.data))
	q.pump()
}

// pump starts writes as the window allows. The caller holds mu.
func (q *queue) pump() {
	for len(q.waiting) > 0 {
		w := q.waiting[0]
		if q.gated && !w.early {
			return
		}
		counts := len(w.data) >= smallWrite
		if counts && q.inFlight >= q.window {
			return
		}
		q.waiting = q.waiting[1:]
		if counts {
			q.inFlight++
		}
		q.p.workers.Go(func() {
			started := time.Now()
			var err error
			switch {
			case !w.early:
				err = q.send(w)
			case !q.begin(w):
				q.giveBack(w, counts)
				return
			}
			q.finish(w, counts, time.Since(started), err)
		})
	}
}

// finish notes the end of a write and starts others.
func (q *queue) finish(w write, counted bool, took time.Duration, err error) {
	size := len(w.data)
	w.release()
	if err == nil {
		q.p.progress(size)
	} else if isShareError(err) {
		q.mu.Lock()
		if w.s.err == nil {
			w.s.err = err
		}
		q.mu.Unlock()
	} else {
		q.fail(err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.owed -= int64(size)
	if counted {
		q.inFlight--
		switch {
		case took < fastWrite:
			q.window = min(q.window+1, maxWindow)
		case took > slowWrite:
			q.window = max(q.window/2, 1)
		}
	}
	q.pump()
}

// isShareError tells failures that concern one share from those that end a
// server's part.
func isShareError(err error) bool {
	return errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrConflict)
}

// send writes until it is acknowledged or there is no hope. While the network
// is out, that takes as long as the outage has patience.
func (q *queue) send(w write) error {
	var out outage
	for try := 0; ; {
		from, to, alive := q.missing(w)
		if try == 0 && alive && out.began.IsZero() {
			q.p.found(len(w.data) - (to - from))
		}
		if from == to {
			return nil
		}
		ctx, cancel := context.WithTimeout(q.ctx, writeTimeout)
		missing, err := q.cand.server.Storage.Write(ctx, q.p.u.si, storage.ShareNumber(w.s.n), q.cand.secret, w.offset+int64(from), w.data[from:to])
		cancel()
		late := errors.Is(err, context.DeadlineExceeded)
		switch {
		case err == nil:
			q.setDown(false)
			q.answered(w.s, missing)
			return nil
		case q.ctx.Err() != nil:
			return context.Cause(q.ctx)
		case errors.Is(err, storage.ErrNotFound) && q.nowWhole(w.s):
			return nil
		case !errors.Is(err, storage.ErrUnreachable) && !errors.Is(err, storage.ErrBusy) && !late:
			return err
		}
		q.setDown(!errors.Is(err, storage.ErrBusy))
		wait := retryDelay
		if delay, ok := out.next(); ok && q.p.isOut(err) {
			q.p.u.tellWaiting()
			wait = delay
		} else if try++; try == writeTries || late {
			return err
		}
		if !pause(q.ctx, wait) {
			return context.Cause(q.ctx)
		}
	}
}

// nowWhole asks whether a share that no longer takes writes has become
// whole: the answer to its last write may have been lost.
func (q *queue) nowWhole(s *stream) bool {
	ctx, cancel := context.WithTimeout(q.ctx, askTimeout)
	defer cancel()
	held, err := q.cand.server.Storage.Shares(ctx, storage.Immutable, q.p.u.si)
	if err != nil || !slices.Contains(held, storage.ShareNumber(s.n)) {
		return false
	}
	q.answered(s, nil)
	return true
}

// answered notes what the server says is missing. Answers may come in any
// order, but once nothing is missing nothing ever is.
func (q *queue) answered(s *stream, missing []storage.Range) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s.missing = append([]storage.Range{}, missing...)
	if len(missing) == 0 {
		s.whole = true
		select {
		case q.p.moved <- struct{}{}:
		default:
		}
	}
}

// missing returns the part of w's data that is to be sent: not what the
// server has from an earlier, broken-off upload, and nothing of a share that
// has failed or is whole, which is then not alive.
func (q *queue) missing(w write) (from, to int, alive bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case w.s.err != nil || w.s.whole:
		return 0, 0, false
	case w.s.missing == nil:
		w.s.begun = true
		return 0, len(w.data), true
	}
	from, end := len(w.data), w.offset+int64(len(w.data))
	for _, r := range w.s.missing {
		if r.Begin < end && w.offset < r.End {
			from = min(from, int(max(r.Begin-w.offset, 0)))
			to = max(to, int(min(r.End, end)-w.offset))
		}
	}
	return min(from, to), to, true
}

// note writes into the candidate which shares the server may have bytes of.
func (q *queue) note() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range q.streams {
		if s.begun || s.missing != nil {
			q.cand.begun[s.n] = true
		}
		delete(q.cand.missing, s.n)
		if q.gated && s.missing != nil {
			q.cand.missing[s.n] = s.missing // for the pass that follows
		}
	}
}

// fail gives the server up: what waits is dropped, what is in flight ends.
func (q *queue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return
	}
	q.err = err
	for _, w := range q.waiting {
		q.owed -= int64(len(w.data))
		w.release()
	}
	q.waiting = nil
	q.cancel(err)
}

// clear gives back the memory of what was never sent, once nothing is in
// flight.
func (q *queue) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, w := range q.waiting {
		w.release()
	}
	q.waiting = nil
	for _, s := range q.streams {
		s.drop()
	}
}

func (q *queue) failed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err != nil
}

func (q *queue) owes() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.owed
}

// firstShareError returns why one of the shares did not get whole.
func (q *queue) firstShareError() error {
	for _, s := range q.streams {
		if s.err != nil && !s.whole {
			return s.err
		}
	}
	return nil
}

// pause waits, or reports false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func median(n []int64) int64 {
	sorted := slices.Sorted(slices.Values(n))
	return sorted[len(sorted)/2]
}
