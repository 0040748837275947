package grid

import (
	"context"
	"errors"
	"sync"
	"time"

	"lafs/shares/caps"
	"lafs/shares/immutable"
	"lafs/shares/placement"
	"lafs/shares/storage"
)

// A push is one pass over the file that sends shares to the servers that
// agreed to take them. Memory is taken a segment at a time and given back
// when every server has acknowledged its block of it, so the encoder runs
// ahead of the slowest server by no more than the transfer's memory.
type push struct {
	u       *upload
	account *account
	queues  []*queue
	byShare map[int][]*stream
	workers sync.WaitGroup
	started time.Time
	moved   chan struct{} // gets a value when a share has become whole
	waited  time.Duration // time that the encoder stood still for a server
	cancel  context.CancelFunc
	in      *input // the source; nil before first
	done    int    // segments that were encoded and fed
	stopped bool
	// plaintext is where segments are read into.
	plaintext []byte
	early     int // segments that do not wait for servers to agree

	mu    sync.Mutex
	acked int64 // guarded by mu; bytes that servers have acknowledged
	saved int64 // guarded by mu; of them, those that were there already
	total int64
}

// push encodes the file and sends what lay says. Failures of servers are
// noted in the candidates; the error is the source's or the context's. The
// cap is nil if the pass was broken off to plan again.
func (u *upload) push(ctx context.Context, enc *immutable.Encoder, lay placement.Layout) (*caps.CHK, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := u.newPush(ctx, cancel, lay)
	err := p.first(ctx, enc)
	var cap *caps.CHK
	if err == nil {
		cap, err = p.others(ctx, enc)
	}
	return p.end(cap, err)
}

// newPush prepares a pass, which lasts as long as ctx; cancel ends that.
func (u *upload) newPush(ctx context.Context, cancel context.CancelFunc, lay placement.Layout) *push {
	p := &push{u: u, account: u.g.account(), cancel: cancel, byShare: make(map[int][]*stream), moved: make(chan struct{}, 1), started: time.Now()}
	for i, send := range lay.Send {
		if len(send) > 0 {
			p.addQueue(ctx, u.cands[i], send)
		}
	}
	return p
}

// end notes what became of the pass, which gave cap and err.
func (p *push) end(cap *caps.CHK, err error) (*caps.CHK, error) {
	p.stop()
	p.u.saved += p.saved
	early := errors.Is(err, errReplan)
	if err != nil && !early {
		return nil, err
	}
	for _, q := range p.queues {
		p.settle(q, early)
	}
	return cap, nil
}

// stop ends the senders and gives back what they held.
func (p *push) stop() {
	p.stopped = true
	p.cancel()
	p.workers.Wait()
	for _, q := range p.queues {
		q.clear()
		q.note()
	}
	if p.in != nil {
		p.in.Close()
	}
}

// errReplan ends a pass that can no longer make the upload happy: shares
// must go to other servers. What has arrived is not sent again.
var errReplan = errors.New("too many servers failed in mid-upload")

// hopeless reports whether what is held and what is still being sent do not
// make the upload happy; of a repair, whether nothing is sent any more.
func (p *push) hopeless() bool {
	if p.u.repairs {
		return p.failures() == len(p.queues)
	}
	return len(p.queues) > 0 && !p.worksWithout(nil)
}

// worksWithout reports whether the upload is a success if every live queue
// but one succeeds.
func (p *push) worksWithout(lost *queue) bool {
	held := p.u.held()
	for _, q := range p.queues {
		if q == lost || q.failed() {
			continue
		}
		for _, s := range q.streams {
			held[s.n] = append(held[s.n], q.cand)
		}
	}
	return p.u.satisfied(placement.Happiness(held), len(held))
}

func (p *push) addQueue(ctx context.Context, c *candidate, send []int) {
	qctx, cancel := context.WithCancelCause(ctx)
	q := &queue{p: p, cand: c, ctx: qctx, cancel: cancel, window: firstWindow, acked: time.Now()}
	for _, n := range send {
		s := &stream{q: q, n: n, missing: c.missing[n]}
		q.streams = append(q.streams, s)
		p.byShare[n] = append(p.byShare[n], s)
		p.total += p.u.shareSize
	}
	p.queues = append(p.queues, q)
}

// first encodes and feeds the shares' headers and the first segment, and more
// of them where they go early and there is memory.
func (p *push) first(ctx context.Context, enc *immutable.Encoder) (err error) {
	if p.in, err = p.u.input(ctx); err != nil {
		return err
	}
	header := enc.Header()
	if err := p.feedAll(ctx, func(int) []byte { return header }, int64(len(header)), false); err != nil {
		return err
	}
	for p.done == 0 || p.done < p.early {
		if err := p.segment(ctx, enc, p.done > 0); err != nil {
			if errors.Is(err, errNoMemory) {
				break
			}
			return err
		}
	}
	if p.early > 0 {
		p.flush()
	}
	for _, q := range p.queues {
		q.mu.Lock()
		q.early = false
		q.mu.Unlock()
	}
	return nil
}

// errNoMemory is a segment that finds no memory at once.
var errNoMemory = errors.New("no memory at present")

// segment reads the next segment of the source, and encodes and feeds it; only
// if there is memory at once, where it is not needed.
func (p *push) segment(ctx context.Context, enc *immutable.Encoder, optional bool) (err error) {
	size, segment := p.u.src.Size(), enc.SegmentSize()
	if p.plaintext == nil {
		p.plaintext = make([]byte, min(size, segment))
	}
	part := p.plaintext[:min(segment, size-int64(p.done)*segment)]
	cost := int64(len(part)) / int64(p.u.opts.Needed) * int64(p.u.opts.Total)
	var h *hold
	if optional {
		if h = p.account.tryTake(cost, 1); h == nil {
			return errNoMemory
		}
	}
	if err = p.in.fill(part); err == nil {
		err = p.u.seen.segment(p.done, part)
	}
	if err == nil && h == nil {
		h, err = p.reserve(ctx, cost)
	}
	var blocks [][]byte
	if err == nil {
		blocks, err = enc.Encode(part)
	}
	if err != nil {
		if h != nil {
			h.release()
		}
		return err
	}
	p.done++
	p.feed(h, func(n int) []byte { return blocks[n] }, false)
	return nil
}

// others does the same for all other segments and the shares' ends, and waits
// until everything has been sent.
func (p *push) others(ctx context.Context, enc *immutable.Encoder) (*caps.CHK, error) {
	seen := 0 // failed servers that were looked at
	for p.done < enc.NumSegments() {
		if failed := p.failures(); failed > seen {
			seen = failed
			if p.hopeless() {
				return nil, errReplan
			}
		}
		if err := p.segment(ctx, enc, false); err != nil {
			return nil, err
		}
	}
	if err := p.in.end(); err != nil {
		return nil, err
	}
	tails, cap, err := enc.Finish()
	if err != nil {
		return nil, err
	}
	if err := p.feedAll(ctx, func(n int) []byte { return tails[n] }, int64(len(tails)*len(tails[0])), true); err != nil {
		return nil, err
	}
	p.u.cap = cap
	return cap, p.drain(ctx)
}

// flush sends unfinished pieces as they are.
func (p *push) flush() {
	for _, q := range p.queues {
		for _, s := range q.streams {
			s.flush()
		}
	}
}

// reserve waits for memory. While it waits, unfinished small pieces are sent
// as they are, so that all memory in use is on its way to a server.
func (p *push) reserve(ctx context.Context, n int64) (*hold, error) {
	if h := p.account.tryTake(n, 1); h != nil {
		return h, nil
	}
	p.flush()
	began := time.Now()
	for {
		before := time.Now()
		wctx, cancel := context.WithTimeout(ctx, standLook)
		h, err := p.account.take(wctx, n, 1)
		cancel()
		p.waited += time.Since(before)
		if err == nil {
			return h, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if p.done > 0 { // what is known of servers is settled
			p.park(time.Since(began))
			p.dropStraggler()
		}
	}
}

func (p *push) feedAll(ctx context.Context, part func(n int) []byte, cost int64, end bool) error {
	h, err := p.reserve(ctx, cost)
	if err != nil {
		return err
	}
	p.feed(h, part, end)
	return nil
}

// feed appends part(n) to every stream of share n. The caller's own use of h
// ends here.
func (p *push) feed(h *hold, part func(n int) []byte, end bool) {
	for n, streams := range p.byShare {
		for _, s := range streams {
			s.add(part(n), h)
			if end {
				s.flush()
			}
		}
	}
	h.release()
}

const (
	// standLook is how often a standing encoder looks for whom it waits, and
	// lookEvery how often an upload does that has encoded everything.
	standLook = 500 * time.Millisecond
	lookEvery = 5 * time.Second
	// A server that makes the others wait is kept for slowGrace, since a
	// relay may stall for 20 s and then go on, and beyond that for half of
	// the time that the upload has taken.
	slowGrace = 30 * time.Second
)

// dropStraggler gives up the server that the others wait for, if they have
// waited long and the upload stays happy without it. A server is a straggler
// if it owes twice what the median server owes: when all are equally behind,
// our own link is what is slow.
func (p *push) dropStraggler() {
	if p.waited < slowGrace+time.Since(p.started)/2 || p.isOut(nil) {
		return
	}
	if worst := p.straggler(); worst != nil {
		worst.fail(errSlow)
	}
}

// straggler returns the server that the others wait for and that the upload
// can do without, nil if there is none.
func (p *push) straggler() (worst *queue) {
	var most int64
	var owed []int64
	for _, q := range p.queues {
		n := q.owes()
		owed = append(owed, n)
		if n > most {
			worst, most = q, n
		}
	}
	if worst == nil || most < 2*median(owed) || !p.worksWithout(worst) {
		return nil
	}
	return worst
}

// drain waits until everything is acknowledged or given up.
func (p *push) drain(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.workers.Wait()
	}()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		p.u.tellHappy(p.wholeStreams())
		select {
		case <-p.moved:
		case <-done:
			return ctx.Err()
		case <-tick.C:
			p.waited += lookEvery
			p.dropStraggler()
		case <-ctx.Done():
			<-done
			return ctx.Err()
		}
	}
}

func (p *push) failures() int {
	n := 0
	for _, q := range p.queues {
		if q.failed() {
			n++
		}
	}
	return n
}

func (p *push) progress(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acked += int64(n)
	p.u.opts.Progress(Progress{Phase: "sending", Done: min(p.acked, p.total), Total: p.total})
}

// found counts bytes that need not be sent.
func (p *push) found(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.saved += int64(n)
}

// settle writes into the candidate what became of its shares. A pass that
// was broken off early blames nobody for a share that is not whole.
func (p *push) settle(q *queue, early bool) {
	for _, s := range q.streams {
		delete(q.cand.ready, s.n)
		if s.whole {
			q.cand.has[s.n], q.cand.sent[s.n] = true, true
			p.u.pushed++
		} else if s.err == nil && !early {
			s.err = storage.ErrPeer // every byte was acknowledged
		}
	}
	if q.err != nil {
		p.u.failed(q.cand, q.err)
	} else if err := q.firstShareError(); err != nil {
		p.u.failed(q.cand, err)
	}
}
