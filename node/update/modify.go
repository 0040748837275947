package update

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"lafs/shares/agree"
	"lafs/shares/caps"
)

// Modify replaces the object's content by what change makes of it. On
// success the new version is chosen and durable on a quorum of servers, and
// no later version can be without it.
//
// change gets the newest content, which it must not keep or alter. It may be
// called several times, on newer contents, one call at a time, from another
// goroutine; what counts is the call whose result is kept. Its error ends
// the modify and is returned as it is. Changes of this engine that wait for
// one object travel in one version, in the order of the calls.
//
// Other errors: *NotDoneError, *UnknownOutcomeError, and inside them
// ErrNotFound, ErrDeleted, ErrTooFewServers, ErrClosed, the context's.
func (e *Engine) Modify(ctx context.Context, w *caps.MutableWriter, apply func(old []byte) ([]byte, error)) error {
	return e.change(ctx, w, func(old *version) ([]byte, error) {
		data, err := living(old)
		if err != nil {
			return nil, err
		}
		next, err := apply(data)
		if err == nil && string(next) == tombstone {
			return nil, &NotDoneError{ErrReserved}
		}
		return next, err
	})
}

// living returns the content of an object that is there.
func living(v *version) ([]byte, error) {
	switch {
	case v.id.IsZero():
		return nil, &NotDoneError{ErrNotFound}
	case string(v.data) == tombstone:
		return nil, &NotDoneError{ErrDeleted}
	}
	return v.data, nil
}

// Delete writes a version that says that the object is deleted, which no
// write can follow. Tahoe-LAFS clients see it as a line of text.
func (e *Engine) Delete(ctx context.Context, w *caps.MutableWriter) error {
	return e.change(ctx, w, func(old *version) ([]byte, error) {
		if _, err := living(old); err != nil && !errors.Is(err, ErrDeleted) {
			return nil, err
		}
		return []byte(tombstone), nil
	})
}

// settle makes sure that the newest version is chosen, and changes nothing.
func (e *Engine) settle(ctx context.Context, w *caps.MutableWriter) error {
	return e.change(ctx, w, func(old *version) ([]byte, error) {
		if old.id.IsZero() {
			return nil, ErrNotFound
		}
		return old.data, nil
	})
}

// change queues a change and waits for what comes of it.
func (e *Engine) change(ctx context.Context, w *caps.MutableWriter, apply func(*version) ([]byte, error)) error {
	o := e.object(w.ReadOnly().(*caps.MutableReader))
	ctx, cancel := e.bound(ctx)
	defer cancel()
	c := &change{ctx: ctx, apply: apply, done: make(chan struct{})}
	o.mu.Lock()
	o.queue = append(o.queue, c)
	start := !o.running
	o.running = true
	o.mu.Unlock()
	if start && !e.background(func() { e.drain(o, w) }) {
		o.refuseAll(ErrClosed)
	}
	<-c.done
	return c.err
}

// refuseAll ends the changes that wait.
func (o *object) refuseAll(reason error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.queue {
		c.finish(&NotDoneError{reason})
	}
	o.queue, o.running = nil, false
}

// maxBatch bounds the changes that travel in one version.
const maxBatch = 4096

// drain carries out what waits until nothing does.
func (e *Engine) drain(o *object, w *caps.MutableWriter) {
	for {
		o.mu.Lock()
		n := min(len(o.queue), maxBatch)
		batch := o.queue[:n:n]
		o.queue = o.queue[n:]
		if n == 0 {
			o.queue, o.running = nil, false
			o.mu.Unlock()
			return
		}
		o.mu.Unlock()
		e.carryOut(o, w, batch)
	}
}

// carryOut makes one version of a batch. It goes on as long as any caller
// waits.
func (e *Engine) carryOut(o *object, w *caps.MutableWriter, batch []*change) {
	live := batch[:0:0]
	for _, c := range batch {
		if c.ctx.Err() != nil {
			c.finish(&NotDoneError{e.closedOr(c.ctx.Err())})
			continue
		}
		live = append(live, c)
	}
	if len(live) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	left := make(chan struct{}, len(live))
	var stops []func() bool
	for _, c := range live {
		stops = append(stops, context.AfterFunc(c.ctx, func() { left <- struct{}{} }))
	}
	finished := make(chan struct{})
	e.work.Go(func() {
		for range live {
			select {
			case <-left:
			case <-finished:
				return
			}
		}
		cancel()
	})
	op := &operation{e: e, o: o, w: w, batch: live}
	op.run(ctx)
	close(finished)
	if op.contended {
		o.crowded = time.Now().Add(max(crowdedFor, 30*op.pace()))
	}
	if time.Now().Before(o.crowded) {
		// Others write to this object too. Who has just succeeded gives them
		// a chance: a writer that need not read first would always win.
		pause(e.ctx, op.pace()/2+e.within(op.pace()))
	}
}

// crowdedFor is how long an engine is considerate after it met another
// writer, at the least.
const crowdedFor = 2 * time.Second

func (c *change) finish(err error) {
	c.err = err
	close(c.done)
}

// An attempt is a version that was sent out, and what it means for each
// change of the batch.
type attempt struct {
	*version
	order   agree.Ballot
	results []error
}

// build applies the batch to base. changed is false when nothing is to be
// written: every change failed, or left all as it was.
func (op *operation) build(base *version) (data []byte, results []error, changed, failed bool) {
	data = base.data
	results = make([]error, len(op.batch))
	cur := *base
	for i, c := range op.batch {
		next, err := call(c.apply, &cur)
		if err != nil {
			results[i], failed = err, true
			continue
		}
		if cur.id.IsZero() {
			// What follows in this batch sees an object that is there.
			cur.id.Seq, changed = 1, true
		}
		cur.data = next
	}
	return cur.data, results, changed || !bytes.Equal(cur.data, data), failed
}

// call turns a panic of a caller's function into an error: it would end the
// whole process from a goroutine that is not the caller's.
func call(apply func(*version) ([]byte, error), v *version) (data []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &NotDoneError{fmt.Errorf("the change panicked")}
		}
	}()
	return apply(v)
}
