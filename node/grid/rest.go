package grid

import (
	"context"
	"maps"
	"slices"
	"sync"

	"lafs/shares/caps"
	"lafs/shares/immutable"
	"lafs/shares/placement"
)

// A rest lets an upload return as soon as it is happy, while its goroutine
// goes on with what is still to be placed.
type rest struct {
	happy    chan *UploadResult // gets one, when the upload is happy
	mu       sync.Mutex
	returned bool // guarded by mu; Upload has: nobody is told of progress
}

// progress is told only while Upload has not returned.
func (r *rest) progress(tell func(Progress)) func(Progress) {
	return func(p Progress) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.returned {
			tell(p)
		}
	}
}

// uploadAndRest is the part of Upload behind the key where the caller wants
// to hear of the rest. done gives back what keeps other uploads of the file
// waiting.
func (g *Grid) uploadAndRest(ctx context.Context, u *upload, enc *immutable.Encoder, done func()) (*UploadResult, error) {
	r := &rest{happy: make(chan *UploadResult, 1)}
	tell, told := u.opts.Progress, u.opts.Rest
	u.opts.Progress, u.rest = r.progress(tell), r
	// Once it is happy, the work outlives the caller's context.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	stopClose := context.AfterFunc(g.ctx, cancel)
	var res *UploadResult
	var err error
	ended := make(chan struct{})
	early := false
	run := func() {
		defer cancel()
		defer stopClose()
		var cap *caps.CHK
		if cap, err = u.run(work, enc); err == nil {
			res = u.result(cap)
		}
		g.noteFresh(res)
		u.abandonRest(done)
		close(ended)
	}
	if !g.wait(run) {
		run() // the grid is closed: it ends at once
	}
	var first *UploadResult
	select {
	case <-ended:
	case first = <-r.happy:
		early = stop()
	}
	if !early {
		<-ended
		stop()
		if err != nil {
			return nil, err
		}
		first = res
	}
	r.progress(tell)(Progress{Phase: "stored", Done: u.src.Size(), Total: u.src.Size(), Saved: first.Saved})
	r.mu.Lock()
	r.returned = true
	r.mu.Unlock()
	if early {
		g.wait(func() {
			<-ended
			if err != nil {
				g.cfg.Log.Info("the rest of an upload was not placed", "file", u.si, "err", err)
			}
			told(res, err)
		})
	}
	return first, nil
}

// wait runs f in a goroutine that Close waits for, and reports false if it is
// closed already.
func (g *Grid) wait(f func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.tidy.Go(f)
	return true
}

// tellHappy lets Upload return if the upload is a success already. whole are
// the shares that have become whole in a pass under way.
func (u *upload) tellHappy(whole []*stream) {
	if u.rest == nil || u.told || u.cap == nil {
		return
	}
	held := u.held()
	for _, s := range whole {
		if !slices.Contains(held[s.n], s.q.cand) {
			held[s.n] = append(held[s.n], s.q.cand)
		}
	}
	if !u.satisfied(placement.Happiness(held), len(held)) {
		return
	}
	r := u.result(u.cap)
	r.Sharemap = maps.Clone(r.Sharemap)
	for _, s := range whole {
		if id := s.q.cand.server.ID; !slices.Contains(r.Sharemap[s.n], id) {
			r.Sharemap[s.n] = append(r.Sharemap[s.n], id)
			r.Pushed++
		}
	}
	r.Happiness, r.Pending = placement.Happiness(held), u.opts.Total-len(held)
	if r.Pending == 0 && len(held) == u.opts.Total {
		return // it is about to end
	}
	u.told = true
	u.rest.happy <- r
}

// wholeStreams are the shares of this pass that are whole.
func (p *push) wholeStreams() (whole []*stream) {
	for _, q := range p.queues {
		q.mu.Lock()
		for _, s := range q.streams {
			if s.whole {
				whole = append(whole, s)
			}
		}
		q.mu.Unlock()
	}
	return whole
}
