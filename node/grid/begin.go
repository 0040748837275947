package grid

import (
	"context"
	"slices"
	"sync"

	"lafs/shares/caps"
	"lafs/shares/immutable"
	"lafs/shares/placement"
	"lafs/shares/storage"
)

// How much of a file's segments is sent along with the question for the
// shares' space, which saves a trip. Where servers have the shares already, or
// do not take them, it went in vain: that stays below 1.3 times what an upload
// sends. More than beginSegments do not leave within a trip.
const (
	beginPart, beginWhole = 3, 10
	beginSegments         = 4
)

// mayBegin returns how many segments are sent before servers have agreed to
// take shares. It is none where the upload before failed or found something
// of its file, and for a node's first: then this one is likely to find
// something too, and goes on behind it.
func (u *upload) mayBegin(enc *immutable.Encoder) int {
	if enc == nil || u.repairs || u.whole != nil || !u.g.fresh.Load() {
		return 0
	}
	lay := u.plan()
	if !u.satisfied(lay.Happiness, u.opts.Total-len(lay.Unplaced)) {
		return 0
	}
	return min(enc.NumSegments()*beginPart/beginWhole, beginSegments)
}

// pushAtOnce begins to send what an empty grid would be sent, so many segments
// of it, while servers are asked, and goes on with that when they agree. If
// they do not, it returns what they agreed to, and the pass is to be made again.
func (u *upload) pushAtOnce(ctx context.Context, enc *immutable.Encoder, segments int) (agreed bool, lay placement.Layout, cap *caps.CHK, err error) {
	guess := u.plan()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pass, end := context.WithCancel(ctx)
	p := u.newPush(pass, end, guess)
	p.early = segments
	for _, q := range p.queues {
		q.gated, q.early = true, true
	}
	// The candidates are the other goroutine's until it has ended, or waits.
	asked, waits, stopped := make(chan error, 1), make(chan struct{}), make(chan struct{})
	u.beforeWait = sync.OnceFunc(func() { waits <- struct{}{}; <-stopped })
	go func() {
		var err error
		lay, err = u.place(ctx)
		asked <- err
	}()
	err = p.first(pass, enc)
	if err != nil {
		cancel()
	}
	stop := sync.OnceFunc(func() { p.stop(); close(stopped) })
	for pending := true; pending; {
		select {
		case askErr := <-asked:
			pending = false
			if err == nil {
				err = askErr
			}
		case <-waits:
			// That may take long, and others need the memory.
			stop()
		}
	}
	u.beforeWait = nil
	if err == nil && !p.stopped && sameSends(guess, lay) {
		p.open()
		cap, err = p.others(pass, enc)
		cap, err = p.end(cap, err)
		return true, lay, cap, err
	}
	stop()
	return false, lay, nil, err
}

// sameSends reports whether two layouts send the same shares to the same
// servers.
func sameSends(a, b placement.Layout) bool {
	for i := range max(len(a.Send), len(b.Send)) {
		var sends [2][]int
		for j, lay := range []placement.Layout{a, b} {
			if i < len(lay.Send) {
				sends[j] = slices.Sorted(slices.Values(lay.Send[i]))
			}
		}
		if !slices.Equal(sends[0], sends[1]) {
			return false
		}
	}
	return true
}

// open lets all writes go, now that the servers have agreed.
func (p *push) open() {
	for _, q := range p.queues {
		q.mu.Lock()
		q.gated = false
		for _, s := range q.streams {
			if s.missing == nil { // what it said of a write is newer
				s.missing = q.cand.missing[s.n]
			}
		}
		q.pump()
		q.mu.Unlock()
	}
}

// begin sends an early write, and reports whether the server took it.
func (q *queue) begin(w write) bool {
	server, ok := q.cand.server.Storage.(storage.Beginner)
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(q.ctx, writeTimeout)
	defer cancel()
	missing, err := server.Begin(ctx, q.p.u.si, storage.ShareNumber(w.s.n), q.p.u.shareSize, q.cand.secret, q.cand.lease, w.offset, w.data)
	if err != nil || len(missing) == 0 {
		return false // the answer to the question tells more
	}
	q.answered(w.s, missing)
	return true
}

// giveBack puts a write that came too early first among those that wait.
func (q *queue) giveBack(w write, counted bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if counted {
		q.inFlight--
	}
	if q.err != nil || q.ctx.Err() != nil {
		q.owed -= int64(len(w.data))
		w.release()
		return
	}
	w.early = false
	q.waiting = slices.Insert(q.waiting, 0, w)
	q.pump()
}

// noteFresh keeps whether an upload went well and found nothing of its file.
func (g *Grid) noteFresh(r *UploadResult) {
	g.fresh.Store(r != nil && r.Found == 0 && r.Saved == 0)
}
