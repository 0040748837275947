package update

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lafs/node/grid"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// Content is one version of an object.
type Content struct {
	Data    []byte
	Version agree.VersionID
}

// tombstone is the content of the last version of a deleted object.
const tombstone = "lafs: this object was deleted\n"

// rights takes a cap apart; w is nil if it only reads. A directory's cap
// gives what its file's gives.
func rights(c caps.Cap) (r *caps.MutableReader, w *caps.MutableWriter, err error) {
	if d, ok := c.(*caps.Directory); ok {
		c = d.File()
	}
	switch c := c.(type) {
	case *caps.MutableWriter:
		return c.ReadOnly().(*caps.MutableReader), c, nil
	case *caps.MutableReader:
		return c, nil, nil
	}
	return nil, nil, fmt.Errorf("%w: a %s cap reads no mutable object", caps.ErrSyntax, c.Kind())
}

// Read returns a version that was the newest at some moment of the call.
// With a write cap it also settles what a writer left half done; with a read
// cap that may be ErrUndecided. ErrNotFound, ErrDeleted, ErrTooFewServers.
func (e *Engine) Read(ctx context.Context, c caps.Cap) (Content, error) {
	v, _, err := e.newest(ctx, c, func(ctx context.Context, o *object, w *caps.MutableWriter, v *view, id agree.VersionID) (*version, error) {
		return e.load(ctx, o, w, v, id)
	})
	if err != nil {
		return Content{}, err
	}
	if string(v.data) == tombstone {
		return Content{}, ErrDeleted
	}
	return Content{Data: v.data, Version: v.id}, nil
}

// ReadRange returns length bytes from offset on, fewer at the end, and the
// object's size. Of an MDMF object only the segments that are needed are
// read.
func (e *Engine) ReadRange(ctx context.Context, c caps.Cap, offset, length int64) ([]byte, int64, error) {
	if offset < 0 || length < 0 {
		return nil, 0, errors.New("a range before the beginning")
	}
	v, size, err := e.newest(ctx, c, func(ctx context.Context, o *object, w *caps.MutableWriter, v *view, id agree.VersionID) (*version, error) {
		return e.loadRange(ctx, o, v, id, offset, length)
	})
	if err != nil {
		return nil, 0, err
	}
	if size == int64(len(tombstone)) {
		if whole, err := e.Read(ctx, c); err != nil {
			return nil, 0, err
		} else if whole.Version != v.id {
			return e.ReadRange(ctx, c, offset, length)
		}
	}
	return v.data, size, nil
}

// loadRange is load of a part; the version's salts hold nothing then.
func (e *Engine) loadRange(ctx context.Context, o *object, v *view, id agree.VersionID, offset, length int64) (*version, error) {
	if id.IsZero() {
		return &version{}, nil
	}
	// A reading that found what is remembered brought no more than its name.
	if got := o.remembered(id); got != nil && !got.partial {
		size := int64(len(got.data))
		from := min(offset, size)
		return &version{id: id, size: size, partial: true, data: bytes.Clone(got.data[from : from+min(length, size-from)])}, nil
	}
	failed := map[source]bool{}
	for {
		before := len(failed)
		out, err := e.tryRange(ctx, o, v, id, offset, length, failed)
		if len(failed) == before || ctx.Err() != nil {
			return out, err
		}
	}
}

// tryRange is loadRange from the first shares that open. Those of which a
// block could not be read, since the server fails, or gives a wrong one, it
// adds to failed, and does without.
func (e *Engine) tryRange(ctx context.Context, o *object, v *view, id agree.VersionID, offset, length int64, failed map[source]bool) (*version, error) {
	shares, err := e.open(ctx, o, v, id, o.format == mutable.SDMF, failed)
	if err != nil {
		return nil, err
	}
	h := shares[0].Header
	out := &version{id: id, size: h.DataSize, partial: true}
	offset = min(offset, h.DataSize)
	length = min(length, h.DataSize-offset)
	if length == 0 {
		return out, nil
	}
	first := int(offset / h.SegmentSize)
	count := int((offset+length-1)/h.SegmentSize) - first + 1
	blocks := make([][]mutable.Block, len(shares))
	errs := make([]error, len(shares))
	together(len(shares), func(i int) { blocks[i], errs[i] = shares[i].Blocks(ctx, first, count) })
	for i, err := range errs {
		if err != nil {
			failed[shares[i].source] = true
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for s := range count {
		byNumber := map[int]mutable.Block{}
		for i, share := range shares {
			byNumber[share.Number()] = blocks[i][s]
		}
		text, err := h.DecodeSegment(o.readKey, first+s, byNumber)
		if err != nil {
			return nil, err
		}
		out.data = append(out.data, text...)
	}
	skip := offset - int64(first)*h.SegmentSize
	out.data = out.data[skip : skip+length]
	return out, nil
}

type loader func(ctx context.Context, o *object, w *caps.MutableWriter, v *view, id agree.VersionID) (*version, error)

// readTries is how often a reader asks again before it says that it cannot
// tell.
const readTries = 8

// foreignTries is how often a reader asks again for a placement list of an
// object that a Tahoe-LAFS client made, if it has found few of its shares.
const foreignTries = 3

// newest finds the newest version and loads it.
func (e *Engine) newest(ctx context.Context, c caps.Cap, load loader) (*version, int64, error) {
	r, w, err := rights(c)
	if err != nil {
		return nil, 0, err
	}
	ctx, cancel := e.bound(ctx)
	defer cancel()
	o := e.object(r)
	began := time.Now()
	for try := range readTries {
		start := time.Now()
		fetch := int64(firstFetch)
		if try == 0 {
			fetch = o.fetch()
		}
		v := e.look(ctx, o, nil, fetch)
		switch {
		case ctx.Err() != nil:
			return nil, 0, errors.Join(e.closedOr(ctx.Err()), v.reason())
		case v.layout == nil && v.foreign.IsZero():
			if err := e.absent(v); err != nil {
				return nil, 0, err
			}
		case v.layout == nil && !v.mostOf(v.foreign) && try < foreignTries:
			// Others may have adopted it, on the servers that are silent.
		case !v.foreign.IsZero():
			got, err := load(ctx, o, w, v, v.foreign)
			return sized(got, err)
		case v.settled():
			d := v.decision
			if d.Version.IsZero() {
				return nil, 0, ErrNotFound
			}
			got, err := load(ctx, o, w, v, d.Version)
			if err == nil {
				if !got.partial {
					e.remember(o, got, d.Ballot, d.Sure, start)
				}
				return sized(got, nil)
			}
			if !passing(err) || try == readTries-1 {
				return nil, 0, err
			}
		case w != nil && v.decision.Verdict == agree.Possible:
			// A writer settles it: a change that changes nothing.
			if err := e.settle(ctx, w); err != nil {
				return nil, 0, err
			}
			continue
		}
		if try == readTries-1 {
			if v.decision.Verdict == agree.TooFew || !v.settled() && v.decision.Verdict != agree.Possible {
				return nil, 0, v.reason()
			}
			break
		}
		// What is being written here, or read, need not be asked for again.
		if id := o.wait(ctx, began, e.pauseFor(try, time.Since(start))); !id.IsZero() {
			if got, err := load(ctx, o, w, v, id); err == nil {
				return sized(got, nil)
			}
		}
	}
	return nil, 0, ErrUndecided
}

func sized(v *version, err error) (*version, int64, error) {
	if err != nil {
		return nil, 0, err
	}
	return v, max(v.size, int64(len(v.data))), nil
}

// passing says of an error in loading that another try may do better.
func passing(err error) bool {
	for _, e := range []error{storage.ErrNotFound, storage.ErrUnreachable, storage.ErrBusy, storage.ErrBroken, mutable.ErrTooFew} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// absent tells an object that is not there from one that cannot be seen.
func (e *Engine) absent(v *view) error {
	if 2*v.heard <= len(v.servers) {
		return nil
	}
	return ErrNotFound
}

func (e *Engine) closedOr(err error) error {
	if e.ctx.Err() != nil {
		return ErrClosed
	}
	return err
}

// pauseFor is the pause before the next try: about the time that a round
// takes, and at random up to so much for each try before.
func (e *Engine) pauseFor(try int, round time.Duration) time.Duration {
	round = min(max(round, 20*time.Millisecond), 2*time.Second)
	return round/2 + e.within(min(round<<min(try, 5), 20*time.Second))
}

// wait pauses for d, or until others of this engine have seen a version to be
// the newest since began, which it then returns.
func (o *object) wait(ctx context.Context, began time.Time, d time.Duration) agree.VersionID {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		id, news := o.since(began)
		if !id.IsZero() {
			return id
		}
		select {
		case <-news:
		case <-t.C:
			return id
		case <-ctx.Done():
			return id
		}
	}
}

// look asks all servers for the object's state and the beginnings of its
// shares. w, if not nil, is the right to read them at one moment on servers
// that speak only Tahoe-LAFS's protocol; such a server learns from it that a
// writer reads, so it is given where a write will follow. fetch is how much of
// each share is to come.
func (e *Engine) look(ctx context.Context, o *object, w *caps.MutableWriter, fetch int64) *view {
	l := o.place()
	// What is chosen while the servers are asked need not be in their answers.
	oldest := o.oldest()
	var servers []grid.Server
	least, hope := 1, 0
	if l != nil {
		servers, least, hope = e.servers(l), l.quorums.Read, l.readable()
	} else {
		servers = e.candidates(o.si)
		least = len(servers)/2 + 1
	}
	v := e.follow(ctx, o, w, l, servers, fetch, least, hope, func(v *view) bool {
		return v.settled() && v.newest() >= oldest && v.foreignDone()
	})
	if v.layout == nil {
		return v
	}
	if v.newest() < oldest && v.decision.Verdict != agree.TooFew {
		// Servers that were rolled back, or lie: this engine has seen a
		// newer version chosen.
		e.cfg.Log.Warn("servers show an older version of a mutable object than was chosen", "object", o.si)
		v.decision, v.next, v.sealed = agree.Decision{}, nil, false
	}
	return v
}

// follow reads from servers, and then, as long as that is not enough, from
// those of the newer placement lists that they tell of. w and fetch are those of
// look.
func (e *Engine) follow(ctx context.Context, o *object, w *caps.MutableWriter, l *layout, servers []grid.Server, fetch int64, least, hope int, enough func(*view) bool) *view {
	var answers []*answer
	var v *view
	var asked []grid.Server
	for len(servers) > 0 {
		asked = append(asked, servers...)
		more := e.ask(ctx, round{si: o.si, servers: servers, least: min(least, len(servers)), hope: min(hope, len(servers)),
			request: func(i int) storage.SlotRequest {
				read := storage.SlotRequest{Message: agree.Read{}, Fetch: fetch}
				if w != nil {
					read.Enabler, read.Lease = enabler(w, servers[i]), e.cfg.LeaseSecret.Lease(o.si, servers[i].TubID)
				}
				return read
			},
			look: look(o.fingerprint, l),
			enough: func(more []*answer) bool {
				v = see(l, slices.Concat(answers, more), false)
				return enough(v)
			}})
		answers = append(answers, more...)
		v = see(l, answers, false)
		if ctx.Err() != nil || v.layout == nil || enough(v) {
			break
		}
		servers, least, hope = nil, 1, 0
		for _, newer := range []*layout{v.layout, v.next} {
			if newer == nil {
				continue
			}
			for _, s := range e.servers(newer) {
				same := func(t grid.Server) bool { return s.ID == t.ID }
				if !slices.ContainsFunc(asked, same) && !slices.ContainsFunc(servers, same) {
					servers = append(servers, s)
				}
			}
		}
	}
	if v == nil {
		v = see(l, nil, false)
	}
	v.servers, v.all = asked, answers
	if v.layout != nil && v.installed && !v.doubtful && v.layout.raw != nil {
		o.learn(v.layout)
	}
	return v
}
