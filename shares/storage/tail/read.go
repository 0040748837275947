package tail

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

const (
	// readRounds bounds how often one reading asks again: because a record is
	// further behind than was thought, or because the slot changes meanwhile.
	readRounds = 8
	// maxFirst bounds the first reading: Tahoe-LAFS reads so much of a share at
	// one moment.
	maxFirst = 64 << 10
	// atOnce bounds the requests under way for one reading.
	atOnce = 16
	// maxSpans is what the storage protocol allows in one request.
	maxSpans = 30
)

// A reader reads one slot: with a write enabler all shares at one moment in
// one request, else share by share.
type reader struct {
	s       *Slots
	si      caps.StorageIndex
	enabler *storage.WriteEnabler
	lease   *storage.LeaseSecrets
	// only, if not empty, are the shares to be looked at.
	only []storage.ShareNumber
	want wanted
	// known is what is remembered; it says where records are, and is not
	// believed.
	known *slot

	shares map[storage.ShareNumber]*share
}

func (r *reader) atomic() bool { return r.enabler != nil && r.lease != nil }

// read returns the slot with the bytes wanted.
func (r *reader) read(ctx context.Context) (*slot, error) {
	needs, err := r.first(ctx)
	if err != nil {
		return nil, err
	}
	var before *slot
	uneven, parts := 0, 1
	for range readRounds {
		if len(needs) == 0 {
			s := assemble(r.shares)
			r.want.fetch = min(r.want.fetch, storage.MaxSlotFetch/int64(max(1, 2*len(r.shares))))
			if needs = s.needs(r.want); len(needs) == 0 {
				// Share by share, and in several requests, a slot that changes
				// looks like one that was tampered with.
				switch {
				case r.atomic():
					return s, nil
				case !s.even() && len(r.only) == 0 && uneven < 2:
					uneven++
				case s.foreign && parts > 1 && !s.same(before):
				default:
					return s, nil
				}
				before, parts = s, 1
				if needs, err = r.first(ctx); err != nil {
					return nil, err
				}
				continue
			}
		}
		parts++
		if needs, err = r.more(ctx, needs); err != nil {
			return nil, err
		}
	}
	return nil, storage.ErrBusy
}

type needs = map[storage.ShareNumber][]storage.Span

// first asks for all shares from their beginning, and for what is remembered
// to stand behind them.
func (r *reader) first(ctx context.Context) (needs, error) {
	size := int64(firstRead)
	if r.want.from == 0 {
		size += min(r.want.fetch, maxFirst-firstRead)
	}
	spans := []storage.Span{{Size: size}}
	numbers := r.only
	if r.known != nil {
		for n, sh := range r.known.shares {
			if len(r.only) > 0 && !slices.Contains(r.only, n) {
				continue
			}
			if len(r.only) == 0 {
				numbers = append(numbers, n)
			}
			spans = append(spans, r.guess(sh, size)...)
		}
	}
	spans = compact(spans)
	spans = spans[:min(len(spans), maxSpans)]
	r.shares = map[storage.ShareNumber]*share{}
	if r.atomic() {
		return r.at(ctx, spans)
	}
	return r.plain(ctx, numbers, spans)
}

// compact sorts spans and drops those that are there twice.
func compact(spans []storage.Span) []storage.Span {
	slices.SortFunc(spans, func(a, b storage.Span) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size))
	})
	return slices.Compact(spans)
}

// guess is what will be wanted of a share if it is still as remembered, and
// is not among its first bytes.
func (r *reader) guess(sh *share, first int64) []storage.Span {
	var out []storage.Span
	if sh.header != nil {
		out = append(out, r.want.ofShare(sh))
	}
	if sh.rec != nil {
		out = append(out, storage.Span{Offset: sh.at, Size: headSize + sh.rec.bodySize})
		if sh.rec.baseSize > 0 {
			out = append(out, r.want.ofBase(sh))
		}
	}
	return slices.DeleteFunc(out, func(s storage.Span) bool {
		return s.Size == 0 || s.Size > storage.MaxWholeShare && r.atomic() || s.Offset+s.Size <= first
	})
}

// at reads the spans of all shares at one moment.
func (r *reader) at(ctx context.Context, spans []storage.Span) (needs, error) {
	_, data, err := r.s.server.ReadTestWrite(ctx, r.si, r.enabler, r.lease, nil, spans)
	if err != nil {
		return nil, err
	}
	r.shares = sharesOf(spans, data)
	return r.parse(), nil
}

// sharesOf takes an answer to a read-test-write apart.
func sharesOf(spans []storage.Span, data map[storage.ShareNumber][][]byte) map[storage.ShareNumber]*share {
	out := map[storage.ShareNumber]*share{}
	for n, parts := range data {
		sh := &share{number: n}
		for i, p := range parts {
			sh.pieces = append(sh.pieces, piece{spans[i].Offset, p, int64(len(p)) < spans[i].Size})
		}
		out[n] = sh
	}
	return out
}

// parse parses all shares and returns what they need.
func (r *reader) parse() needs {
	out := needs{}
	for n, sh := range r.shares {
		if n := sh.parse(r.known.bodies()); len(n) > 0 {
			out[sh.number] = n
		}
		if sh.complete && len(sh.first) == 0 {
			delete(r.shares, n) // an empty share is none
		}
	}
	return out
}

// more asks for what is needed. What was known must still be so; else all
// that is known is what came now.
func (r *reader) more(ctx context.Context, needs needs) (needs, error) {
	if r.atomic() {
		return r.moreAtomic(ctx, needs)
	}
	var mu sync.Mutex
	var got []*share
	var tasks []func() error
	for n, spans := range needs {
		for _, span := range spans {
			tasks = append(tasks, func() error {
				p, err := r.readPiece(ctx, n, span)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					got = append(got, &share{number: n, pieces: pieces{p}})
				}
				return err
			})
		}
	}
	err := together(tasks)
	if errors.Is(err, storage.ErrNotFound) {
		return r.first(ctx)
	}
	if err != nil {
		return nil, err
	}
	for _, g := range got {
		if sh := r.shares[g.number]; sh != nil {
			sh.pieces = append(sh.pieces, g.pieces...)
		}
	}
	return r.parse(), nil
}

func (r *reader) moreAtomic(ctx context.Context, needs needs) (needs, error) {
	spans := []storage.Span{{Size: firstRead}}
	for n, list := range needs {
		spans = append(spans, list...)
		if sh := r.shares[n]; sh.rec != nil {
			spans = append(spans, storage.Span{Offset: sh.at, Size: headSize + sh.rec.bodySize})
		}
	}
	if spans = compact(spans); len(spans) > maxSpans {
		return nil, storage.ErrPeer // no slot of ours looks like that
	}
	old := r.shares
	if _, err := r.at(ctx, spans); err != nil {
		return nil, err
	}
	// What was read before is still true where share and record are.
	for n, sh := range r.shares {
		before := old[n]
		if before == nil {
			continue
		}
		sh.parse(r.known.bodies())
		same := string(before.first) == string(sh.first)
		if before.rec != nil {
			now, _ := sh.pieces.get(before.at, headSize)
			same = same && string(now) == string(before.recHead)
		}
		if same {
			sh.pieces = append(sh.pieces, before.pieces...)
		}
	}
	return r.parse(), nil
}

// plain lists the shares and reads the spans of each; those of numbers at
// once with the list.
func (r *reader) plain(ctx context.Context, numbers []storage.ShareNumber, spans []storage.Span) (needs, error) {
	var mu sync.Mutex
	read := func(n storage.ShareNumber) (tasks []func() error) {
		for _, span := range spans {
			tasks = append(tasks, func() error {
				p, err := r.readPiece(ctx, n, span)
				if errors.Is(err, storage.ErrNotFound) {
					return nil
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					if r.shares[n] == nil {
						r.shares[n] = &share{number: n}
					}
					r.shares[n].pieces = append(r.shares[n].pieces, p)
				}
				return err
			})
		}
		return tasks
	}
	var tasks []func() error
	for _, n := range numbers {
		tasks = append(tasks, read(n)...)
	}
	var listed []storage.ShareNumber
	if len(r.only) == 0 {
		tasks = append([]func() error{func() (err error) {
			listed, err = r.s.server.Shares(ctx, storage.Mutable, r.si)
			return err
		}}, tasks...)
	}
	if err := together(tasks); err != nil {
		return nil, err
	}
	tasks = nil
	for _, n := range listed {
		if !slices.Contains(numbers, n) {
			tasks = append(tasks, read(n)...)
		}
	}
	if err := together(tasks); err != nil {
		return nil, err
	}
	return r.parse(), nil
}

func (r *reader) readPiece(ctx context.Context, n storage.ShareNumber, span storage.Span) (piece, error) {
	data, err := readSpan(ctx, r.s.server, r.si, n, span)
	return piece{span.Offset, data, int64(len(data)) < span.Size}, err
}

// readSpan reads in steps, so that a server has to send what it makes us
// hold.
func readSpan(ctx context.Context, server Server, si caps.StorageIndex, n storage.ShareNumber, span storage.Span) ([]byte, error) {
	const step = 4 << 20
	var out []byte
	for int64(len(out)) < span.Size {
		p := make([]byte, min(step, span.Size-int64(len(out))))
		got, err := server.Read(ctx, storage.Mutable, si, n, span.Offset+int64(len(out)), p)
		if err != nil {
			return nil, err
		}
		out = append(out, p[:got]...)
		if got < len(p) {
			break
		}
	}
	return out, nil
}

// together runs tasks, some at once, and returns one of their errors.
func together(tasks []func() error) error {
	slots := make(chan struct{}, atOnce)
	errs := make(chan error, len(tasks))
	for _, task := range tasks {
		slots <- struct{}{}
		go func() {
			err := task()
			<-slots
			errs <- err
		}()
	}
	var out error
	for range tasks {
		if err := <-errs; err != nil && (out == nil || errors.Is(out, storage.ErrNotFound)) {
			out = err
		}
	}
	return out
}
