package grid

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"lafs/shares/immutable"
)

// spanBytes is about how much of a share one request reads: segments smaller
// than that are read several at a time.
const spanBytes = 256 << 10

// A span is some segments in a row, fetched together: a part of each of k
// shares.
type span struct {
	first, count int
	begin, size  int64 // of one share's part, in bytes
	hold         *hold // nil: the download's own
	taken        map[int]bool
	got          map[int][][]byte
	flights      []*flight
	late         int // of flights
	decoding     bool
	decoded      bool
	segments     [][]byte
}

// A flight is one share's part of a span under way.
type flight struct {
	sp     *span
	r      *remote
	pace   *pace
	trip   time.Duration
	began  time.Time
	expect time.Duration
	late   bool
	memory func() // gives back what a reserve takes; nil: it is the span's
	cancel context.CancelFunc
}

// A landing is the end of a flight, or of the decoding of a span.
type landing struct {
	f      *flight
	blocks [][]byte
	took   time.Duration
	err    error

	sp *span // decoded, if f is nil
}

// A download is one Copy from shares that are too large to be read whole.
// Every server that holds shares is asked for the next parts as fast as it
// gives them, so each decides by its own speed how much of the file comes
// from it. A part that is late, by what its server has done so far, is asked
// for elsewhere too; what comes first counts, and the rest is cancelled.
type download struct {
	s              *search
	offset, length int64
	cut
	next     int // the first segment of the next span
	ahead    *ahead
	account  *account
	base     *hold // of the span without a hold, of decoding and of reserves
	room     int64 // for reserves
	spans    []*span
	unused   chan []byte // segments that were written
	landings chan landing
	flying   int
	decoders chan struct{}
	owes     map[*pace]int64 // bytes asked for that have not come
	extra    int64           // bytes that reserves may still cost
	working  sync.WaitGroup
}

func (s *search) newDownload(ctx context.Context, offset, length int64, ahead *ahead) (*download, error) {
	d := &download{
		s: s, offset: offset, length: length, cut: newCut(s.dec.SegmentSize(), s.cap, offset, length),
		landings: make(chan landing),
		owes:     make(map[*pace]int64),
		decoders: make(chan struct{}, decodersAtOnce),
	}
	d.next = d.first
	if ahead.fit(&d.cut) {
		d.ahead, d.account, d.base, ahead.base = ahead, ahead.account, ahead.base, nil
	} else {
		// Nobody waits for memory while holding some.
		ahead.end()
		var err error
		d.account = s.g.account()
		if d.base, err = d.account.take(ctx, d.cut.base(), 1); err != nil {
			return nil, err
		}
	}
	d.extra = length/4 + d.cost()
	d.room = max(0, min(d.reserves(), d.base.n-(d.cut.base()-d.reserves())))
	d.unused = make(chan []byte, d.perSpan)
	return d, nil
}

// run writes the download to w.
func (d *download) run(ctx context.Context, w io.Writer, progress func(Progress)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer d.end(cancel)
	look := time.NewTimer(lookAfter)
	defer look.Stop()
	var done int64
	for {
		d.extend()
		if len(d.spans) == 0 {
			return nil
		}
		changed, err := d.assign(ctx)
		if err != nil {
			return err
		}
		if sp := d.spans[0]; sp.decoded {
			d.spans = d.spans[1:]
			n, err := d.write(w, sp)
			if sp.hold != nil {
				sp.hold.release()
			}
			if err != nil {
				return err
			}
			for _, segment := range sp.segments {
				select {
				case d.unused <- segment:
				default:
				}
			}
			done += n
			progress(Progress{Phase: "receiving", Done: done, Total: d.length})
			continue
		}
		select {
		case l := <-d.landings:
			if err := d.land(ctx, l); err != nil {
				return err
			}
		case <-look.C:
			d.look()
			look.Reset(lookAfter)
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lookAfter is how often flights are looked at for late ones.
const lookAfter = 100 * time.Millisecond

// end cancels what is under way and gives the memory back.
func (d *download) end(cancel context.CancelFunc) {
	cancel()
	for ; d.flying > 0; d.flying-- {
		if l := <-d.landings; l.f != nil {
			d.drop(l.f)
			d.s.read(l.f.r, l.took, l.err, true)
		}
	}
	d.working.Wait()
	for _, sp := range d.spans {
		if sp.hold != nil {
			sp.hold.release()
		}
	}
	d.base.release()
}

// extend adds spans as far as memory goes.
func (d *download) extend() {
	for d.next <= d.last {
		based := false
		for _, sp := range d.spans {
			based = based || sp.hold == nil
		}
		h := d.ahead.hold()
		switch {
		case !based && h != nil:
			h.release()
			h = nil
		case based && h == nil:
			if h = d.account.tryTake(d.cost(), 1); h == nil {
				return
			}
		}
		sp := &span{first: d.next, count: d.count(d.next), hold: h, taken: make(map[int]bool), got: make(map[int][][]byte)}
		begin, end := d.s.dec.LikelyBlocks(sp.first, sp.count)
		sp.begin, sp.size = begin, end-begin
		d.next += sp.count
		d.spans = append(d.spans, sp)
	}
}

// assign sends off what servers have room for, the first spans first. The
// channel is closed when there may be more servers to ask.
func (d *download) assign(ctx context.Context) (<-chan struct{}, error) {
	d.s.openAll()
	changed := d.s.changes()
	for i, sp := range d.spans {
		if sp.decoding {
			continue
		}
		for len(sp.got)+len(sp.flights) < d.s.cap.Needed+sp.late {
			reserve := len(sp.got)+len(sp.flights) >= d.s.cap.Needed
			if reserve && d.extra < sp.size {
				break
			}
			r, room, hope := d.s.soonest(sp.taken, sp.begin, sp.size, d.owes)
			if r == nil {
				// The first span is what all others wait for.
				if i == 0 && len(sp.got)+len(sp.flights) < d.s.cap.Needed && !hope && !d.s.revive() {
					return nil, d.s.notEnough()
				}
				break
			}
			if !room {
				d.s.undo(r)
				break
			}
			var memory func()
			if reserve {
				if memory = d.reserve(sp.size, i == 0); memory == nil {
					d.s.undo(r)
					break
				}
			}
			part := d.s.take(r, sp.begin, sp.begin+sp.size)
			if part == nil && !reserve && len(sp.got)+len(sp.flights)+d.s.awaited(sp.begin, sp.begin+sp.size) >= d.s.cap.Needed {
				// What was asked for ahead is likely to come.
				d.s.undo(r)
				break
			}
			d.fly(ctx, sp, r, part, memory)
		}
	}
	return changed, nil
}

// reserve takes memory for n bytes that are asked of one server more. The
// result gives it back; nil: there is not enough. A reserve for the first span,
// which all others wait for, is had without: those before it may hang.
func (d *download) reserve(n int64, first bool) (giveBack func()) {
	if d.room >= n {
		d.room -= n
		giveBack = func() { d.room += n }
	} else if h := d.account.tryTake(n, 1); h != nil {
		giveBack = h.release
	} else if first {
		giveBack = func() {}
	} else {
		return nil
	}
	d.extra -= n
	return giveBack
}

// fly asks for one share's part of a span, unless that was done ahead. memory
// gives back what a reserve takes.
func (d *download) fly(ctx context.Context, sp *span, r *remote, ahead *part, memory func()) {
	h := heard(r.h.server)
	f := &flight{sp: sp, r: r, pace: d.s.g.pace(r.h.server), trip: h.Trip, memory: memory}
	if ahead != nil {
		f.began, f.expect = ahead.asked, ahead.expect
	} else {
		f.began, f.expect = time.Now(), f.pace.ask(sp.size, h)
	}
	if d.owes[f.pace] == 0 {
		f.pace.join()
	}
	d.owes[f.pace] += sp.size
	ctx, f.cancel = context.WithTimeout(ctx, readTimeout)
	sp.taken[r.n] = true
	sp.flights = append(sp.flights, f)
	d.flying++
	d.working.Go(func() {
		defer f.cancel()
		share, err := d.s.open(ctx, r)
		var blocks [][]byte
		if err == nil {
			blocks, err = share.Blocks(ctx, sp.first, sp.count)
		}
		d.landings <- landing{f: f, blocks: blocks, took: time.Since(f.began), err: err}
	})
}

// stay leaves the memory of a reserve that has come to a flight for which it
// came: its blocks take the span's now, and that flight still has a buffer.
func (f *flight) stay() {
	if f.memory == nil {
		return
	}
	for _, other := range f.sp.flights {
		if other.memory == nil {
			other.memory, f.memory = f.memory, nil
			return
		}
	}
}

// drop ends what a flight's server owes, and what a reserve takes.
func (d *download) drop(f *flight) {
	f.pace.drop(f.sp.size, f.trip)
	if d.owes[f.pace] -= f.sp.size; d.owes[f.pace] == 0 {
		f.pace.leave()
	}
	if f.memory != nil {
		f.memory()
	}
}

// land takes in what has come.
func (d *download) land(ctx context.Context, l landing) error {
	d.flying--
	if l.f == nil {
		if errors.Is(l.err, immutable.ErrCorrupt) {
			return ErrDamaged
		}
		l.sp.decoded, l.sp.got = true, nil
		return l.err
	}
	sp := l.f.sp
	for i, f := range sp.flights {
		if f == l.f {
			sp.flights = append(sp.flights[:i:i], sp.flights[i+1:]...)
			break
		}
	}
	if l.f.late {
		sp.late--
	}
	if l.err == nil && !sp.decoding {
		l.f.stay()
	}
	d.drop(l.f)
	d.s.read(l.f.r, l.took, l.err, ctx.Err() != nil || sp.decoding)
	switch {
	case errors.Is(l.err, immutable.ErrWrongCap):
		return immutable.ErrWrongCap // no other share says otherwise
	case sp.decoding:
		return nil
	case l.err != nil:
		delete(sp.taken, l.f.r.n)
		return nil
	}
	sp.got[l.f.r.n] = l.blocks
	if len(sp.got) == d.s.cap.Needed {
		for _, f := range sp.flights {
			f.cancel()
		}
		d.decode(sp)
	}
	return nil
}

func (d *download) decode(sp *span) {
	sp.decoding = true
	d.s.spare(sp.begin, sp.begin+sp.size)
	d.flying++
	d.working.Go(func() {
		d.decoders <- struct{}{}
		into := make([][]byte, sp.count)
		for i := range into {
			select {
			case into[i] = <-d.unused:
			default:
			}
		}
		var err error
		sp.segments, err = d.s.decode(sp.first, sp.count, sp.got, into)
		<-d.decoders
		d.landings <- landing{sp: sp, err: err}
	})
}

// write writes what is wanted of a span.
func (d *download) write(w io.Writer, sp *span) (int64, error) {
	var done int64
	for i, data := range sp.segments {
		begin := int64(sp.first+i) * d.segment
		from, to := max(d.offset-begin, 0), min(d.offset+d.length-begin, int64(len(data)))
		if from >= to {
			return done, fmt.Errorf("%w: segment %d has %d bytes", ErrDamaged, sp.first+i, len(data))
		}
		n, err := w.Write(data[from:to])
		done += int64(n)
		if err != nil {
			return done, fmt.Errorf("write: %w", err)
		}
	}
	return done, nil
}

// look finds flights that are late: all of a server that has fallen silent or
// slow, and those that take much longer than their server promised.
func (d *download) look() {
	slow := make(map[*holder]bool)
	for _, sp := range d.spans {
		if sp.decoding {
			continue
		}
		for _, f := range sp.flights {
			h := f.r.h
			if _, known := slow[h]; !known {
				slow[h] = f.pace.late(heard(h.server))
			}
			if !f.late && (slow[h] || time.Since(f.began) > f.expect+f.expect/2+f.trip) {
				f.late = true
				sp.late++
			}
		}
	}
}
