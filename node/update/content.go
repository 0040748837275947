package update

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// firstFetch is how much of every share a reading brings: with it, small
// objects take one trip.
const firstFetch = 32 << 10

// glance is how much of a share a reading brings that is likely to find what
// the engine has seen chosen less than freshFor ago: what proves its name, and
// not the content, which is here. Else that takes one trip more.
const (
	glance   = 1 << 10
	freshFor = 30 * time.Second
)

const (
	// maxWhole bounds a content that is written, or read, whole: what its
	// owner signed may be of any size.
	maxWhole = 512 << 20
	// maxPiece is how much of a share one request brings, so that it comes
	// in its time over a slow way; a server that has several shares sends as
	// much of each. leastPiece is the least that is to come: of 768 shares,
	// see storage.SlotRequest.
	maxPiece   = 4 << 20
	leastPiece = min(maxPiece, storage.MaxSlotFetch/768)
)

// A version is one version with its content.
type version struct {
	id        agree.VersionID
	ancestors []agree.VersionID // newest first
	data      []byte
	// partial: data is a part of size bytes.
	partial bool
	size    int64
	salts   []byte
	// shares has all of them, whole, by number; nil until they are needed.
	shares [][]byte
}

// lineage is what a version built on v has as ancestors.
func (v *version) lineage() []agree.VersionID {
	if v.id.IsZero() {
		return nil
	}
	all := append([]agree.VersionID{v.id}, v.ancestors...)
	return all[:min(len(all), storage.MaxAncestors)]
}

// descends says whether v is u or built on it.
func (v *version) descends(u agree.VersionID) bool {
	return v.id == u || slices.Contains(v.ancestors, u)
}

// A source is where a share is.
type source struct {
	server string // its id
	number storage.ShareNumber
}

func (p part) source() source { return source{p.server.ID, p.number} }

// An opened share is good as far as it was looked at.
type opened struct {
	source
	*mutable.Share
}

// open verifies k shares of a version as far as they are needed, reading
// what is missing, and returns them. Those that are wrong are left out and
// others take their place, and so they do where a server lets wait much
// longer than others did. Those in without are not looked at.
func (e *Engine) open(ctx context.Context, o *object, v *view, id agree.VersionID, whole bool, without map[source]bool) (good []opened, _ error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // of what is not waited for
	todo := e.inOrder(v, id)
	if whole && len(todo) > 0 && todo[0].header.DataSize > maxWhole {
		return nil, storage.ErrTooLarge
	}
	todo = slices.DeleteFunc(todo, func(p part) bool { return without[p.source()] })
	came := make(chan opened, len(todo))
	underWay := map[storage.ShareNumber]int{}
	taken := map[storage.ShareNumber]bool{}
	// start opens n shares more: others than those under way, and where late
	// is true and there are none, those again, from other servers.
	start := func(n int, late bool) {
		for _, again := range []bool{false, true} {
			for i := 0; i < len(todo) && n > 0 && (late || !again); {
				p := todo[i]
				if underWay[p.number] > 0 && !again && !taken[p.number] {
					i++
					continue
				}
				todo = slices.Delete(todo, i, i+1)
				if taken[p.number] {
					continue
				}
				underWay[p.number]++
				n--
				if !e.background(func() { came <- opened{p.source(), e.openPart(ctx, o, p, whole)} }) {
					came <- opened{p.source(), nil}
				}
			}
		}
	}
	began := time.Now()
	patience := time.NewTimer(firstPatience)
	defer patience.Stop()
	for waiting := 0; ; {
		if waiting = sum(underWay); waiting == 0 {
			if len(todo) == 0 || e.ctx.Err() != nil {
				return nil, fmt.Errorf("%w: %d good shares of version %d were found", mutable.ErrTooFew, len(good), id.Seq)
			}
			start(todo[0].header.Needed-len(good), false)
			continue
		}
		select {
		case c := <-came:
			underWay[c.number]--
			switch {
			case c.Share == nil:
				start(1, false)
				continue
			case taken[c.number]:
				continue
			}
			taken[c.number] = true
			if good = append(good, c); len(good) >= c.Needed {
				return good, nil
			}
			// The others may take as long again.
			patience.Reset(max(time.Since(began), leastGrace))
		case <-patience.C:
			start(waiting, true)
			patience.Reset(max(time.Since(began), leastGrace))
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// firstPatience is how long shares are waited for of which none has come.
const firstPatience = 10 * time.Second

// inOrder lists a version's shares: first those that are here whole, then
// those that were seen, then what others of the placement list, whose answers
// nobody waited for, should have; last those of servers that have stopped
// answering.
func (e *Engine) inOrder(v *view, id agree.VersionID) []part {
	var out []part
	for _, p := range v.parts {
		if p.version == id {
			out = append(out, p)
		}
	}
	if len(out) > 0 && v.layout != nil {
		out = append(out, e.unseen(v, out)...)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	cost := func(p part) int {
		switch {
		case missing(p) == 0:
			return 0
		case e.peer(p.server.ID).suspect:
			return 3
		case len(p.share.Data) == 0:
			return 2
		}
		return 1
	}
	slices.SortStableFunc(out, func(a, b part) int { return cost(a) - cost(b) })
	return out
}

// unseen are the shares that servers of the list should have of the version
// that seen are of.
func (e *Engine) unseen(v *view, seen []part) (out []part) {
	var size int64 // the shares' own lengths tell if a server forged one
	for _, p := range seen {
		size = max(size, p.header.ShareSize())
	}
	for i, s := range e.servers(v.layout) {
		if s.Slots == nil || slices.ContainsFunc(v.parts, func(p part) bool { return p.server.ID == s.ID }) {
			continue
		}
		for _, n := range v.layout.voters[i].shares {
			out = append(out, part{version: seen[0].version, number: n, header: seen[0].header, server: s,
				share: storage.SlotShare{Size: size}})
		}
	}
	return out
}

func sum(counts map[storage.ShareNumber]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// together runs f(0) to f(n-1) at once and waits for all.
func together(n int, f func(i int)) {
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() { f(i) })
	}
	wait.Wait()
}

func missing(p part) int {
	if int64(len(p.share.Data)) < p.share.Size {
		return 1
	}
	return 0
}

// openPart verifies one share; nil if it is not good.
func (e *Engine) openPart(ctx context.Context, o *object, p part, whole bool) *mutable.Share {
	r := &partReader{e: e, o: o, part: p}
	if whole && missing(p) > 0 {
		rest, err := r.fetch(ctx, int64(len(p.share.Data)), p.share.Size-int64(len(p.share.Data)))
		if err != nil {
			return nil
		}
		r.part.share.Data = slices.Concat(p.share.Data, rest)
	}
	s, err := mutable.OpenShare(ctx, o.fingerprint, int(p.number), r)
	if err != nil || storage.VersionOf(s.Header) != p.version {
		return nil
	}
	if whole && s.Segments() > 0 {
		if _, err := s.Blocks(ctx, 0, s.Segments()); err != nil {
			return nil
		}
	}
	return s
}

// A partReader reads a share of which the beginning is here.
type partReader struct {
	e *Engine
	o *object
	part
}

// ReadShare implements mutable.ShareReader.
func (r *partReader) ReadShare(ctx context.Context, offset int64, p []byte) (int, error) {
	n := int64(len(p))
	here := int64(len(r.share.Data))
	if offset+n <= here || here == r.share.Size {
		if offset >= here {
			return 0, nil
		}
		return copy(p, r.share.Data[offset:]), nil
	}
	b, err := r.fetch(ctx, offset, min(n, r.share.Size-offset))
	return copy(p, b), err
}

// fetch reads from the server, in as many requests as it takes. It returns
// less than n bytes where the share is shorter.
func (r *partReader) fetch(ctx context.Context, offset, n int64) (out []byte, err error) {
	for int64(len(out)) < n {
		at := offset + int64(len(out))
		want := min(n-int64(len(out)), maxPiece)
		s, err := r.piece(ctx, at, want)
		if err != nil {
			return nil, err
		}
		n = min(n, s.Size-offset)
		if out = append(out, s.Data...); int64(len(s.Data)) < min(leastPiece, want, s.Size-at) {
			return nil, storage.ErrPeer
		}
	}
	return out, nil
}

// piece reads up to n bytes. The share must still be of the version that it
// was.
func (r *partReader) piece(ctx context.Context, offset, n int64) (storage.SlotShare, error) {
	req := storage.SlotRequest{Message: agree.Read{}, Fetch: n, From: offset, Numbers: []storage.ShareNumber{r.number}}
	ctx, cancel := context.WithTimeout(ctx, timeFor(&req))
	defer cancel()
	a, err := r.server.Slots.Slot(ctx, r.o.si, req)
	if err != nil {
		return storage.SlotShare{}, err
	}
	set := a.Older
	switch {
	case a.Foreign && r.foreign, !a.Foreign && a.State.Current == r.version:
		set = a.Current
	case a.Foreign && a.State.Current == r.version, !a.Foreign && a.State.Base.Version == r.version:
		set = a.Base
	}
	s, ok := set[r.number]
	if !ok || int64(len(s.Data)) > n {
		return storage.SlotShare{}, fmt.Errorf("%w: it changed while it was being read", storage.ErrNotFound)
	}
	return s, nil
}

// load rebuilds a version's content, from the engine's memory if it is
// there. w may be nil; with it the object's key is learnt.
func (e *Engine) load(ctx context.Context, o *object, w *caps.MutableWriter, v *view, id agree.VersionID) (*version, error) {
	if id.IsZero() {
		return &version{}, nil
	}
	// What a read cap has read came without the key, which shares bring.
	if got := o.remembered(id); got != nil && (w == nil || o.privateKey() != nil) {
		return got, nil
	}
	good, err := e.open(ctx, o, v, id, true, nil)
	if err != nil {
		return nil, err
	}
	shares := make([]*mutable.Share, len(good))
	for i, s := range good {
		shares[i] = s.Share
	}
	if w != nil && o.privateKey() == nil {
		for _, s := range shares {
			if key, err := s.Key(w); err == nil {
				o.setKey(key)
				break
			}
		}
	}
	out := &version{id: id, ancestors: v.ancestors(id)}
	out.data, err = mutable.Decode(ctx, o.readKey, shares, 0, shares[0].DataSize)
	if err != nil {
		return nil, err
	}
	out.salts = shares[0].Salt[:]
	if h := shares[0].Header; h.Format == mutable.MDMF {
		out.salts = nil
		if h.Segments() > 0 {
			blocks, err := shares[0].Blocks(ctx, 0, h.Segments())
			if err != nil {
				return nil, err
			}
			for _, b := range blocks {
				out.salts = append(out.salts, b.Salt[:]...)
			}
		}
	}
	return out, nil
}

// complete makes all shares of a version that was read: the salts make them
// the same again but for the signature.
func (e *Engine) complete(o *object, l *layout, v *version) error {
	if v.id.IsZero() || v.shares != nil {
		return nil
	}
	made, err := mutable.Encode(o.privateKey(), mutable.Params{Format: o.format, Needed: l.needed, Total: l.total,
		Salts: bytes.NewReader(v.salts)}, v.id.Seq, v.data)
	if err != nil {
		return err
	}
	if storage.VersionOf(made.Header) != v.id {
		return fmt.Errorf("%w: its shares cannot be made again", mutable.ErrCorrupt)
	}
	v.shares = made.Shares
	return nil
}

// sharesOf picks a voter's.
func (v *version) sharesOf(t voter) map[storage.ShareNumber][]byte {
	if v.shares == nil {
		return nil
	}
	out := make(map[storage.ShareNumber][]byte, len(t.shares))
	for _, n := range t.shares {
		out[n] = v.shares[n]
	}
	return out
}
