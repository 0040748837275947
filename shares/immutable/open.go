package immutable

import (
	"context"
	"encoding/binary"

	"lafs/shares/hashes"
)

// wholeShare is the size, in bytes, up to which a share is read whole when it
// is opened; and up to which a bit more is read in one piece rather than in
// several. About what a fresh circuit carries in one trip.
const wholeShare = 64 << 10

// OpenShare reads what proves the blocks of share number n, and checks it up
// to the cap. Where the share is laid out as writers do it, with segments of
// 1 MiB at most, or with the segments that a share opened earlier has shown,
// all reads go out at once, and of a small share its blocks come along. Any
// other layout takes up to two rounds more; old segments, of 128 KiB, at most
// one.
//
// ErrCorrupt: the share is wrong. One that is wrong only in the hashes of the
// segments opens all the same once another share has shown them: where every
// share counts, try again. Other errors are the reader's, or say that
// the file is of a kind that is not read.
func (d *Decoder) OpenShare(ctx context.Context, n int, r ShareReader) (*Share, error) {
	return d.OpenHead(ctx, n, r, Head{})
}

// A Head is spans of a share that are at hand before it is opened: begin and
// end, and the bytes, fewer where the share ends.
type Head struct {
	Spans [][2]int64
	Data  [][]byte
}

// HeadSpans is what is worth having as a Head: enough to open a share that is
// laid out as is likeliest.
func (d *Decoder) HeadSpans() [][2]int64 {
	var out [][2]int64
	for _, s := range firstSpans(d.guesses()[:1]) {
		out = append(out, [2]int64{s.offset, s.end()})
	}
	return out
}

// OpenHead is OpenShare with a Head at hand, which saves the first reads.
func (d *Decoder) OpenHead(ctx context.Context, n int, r ShareReader, head Head) (*Share, error) {
	if n < 0 || n >= d.cap.Total {
		return nil, corrupt("its number is none of the file's")
	}
	guesses := d.guesses()
	s := &source{reader: r}
	for i, at := range head.Spans {
		s.held = append(s.held, held{span{at[0], at[1] - at[0]}, head.Data[i]})
	}
	if len(s.held) == 0 {
		if err := s.fetch(ctx, firstSpans(guesses)...); err != nil {
			return nil, err
		}
	}
	l, err := readLayout(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := s.fetch(ctx, d.secondSpans(l, guesses)...); err != nil {
		return nil, err
	}
	f, err := d.readUEB(ctx, s, l)
	if err != nil {
		return nil, err
	}
	share := &Share{file: f, layout: l, source: s, blocks: newLeaves(f.segments)}
	if err := share.prove(ctx, n); err != nil {
		return nil, err
	}
	share.source = &source{reader: r, held: s.smallWhole()}
	return share, nil
}

// smallWhole keeps what is held if that is a small share, read whole.
func (s *source) smallWhole() []held {
	for _, h := range s.held {
		if h.offset == 0 && h.length > headerSizeV2 && len(s.held) == 1 {
			return []held{h}
		}
	}
	return nil
}

// A guess is a way in which the share may be laid out.
type guess struct {
	*geometry
	layout
	hashes bool // the hashes of the segments are wanted too
}

// guesses lists the layouts that are likely, the likeliest first. None of
// them may be right.
func (d *Decoder) guesses() []guess {
	if f := d.known(); f != nil {
		return []guess{{f.geometry, newLayout(f.geometry), !f.crypttext.proved()}}
	}
	var out []guess
	for _, segSize := range []int64{DefaultSegmentSize, OldSegmentSize} {
		p := Params{Needed: d.cap.Needed, Total: d.cap.Total, MaxSegmentSize: segSize}
		if g, err := p.geometry(d.cap.Size); err == nil {
			out = append(out, guess{g, newLayout(g), true})
		}
	}
	return out
}

func (g guess) blocksSpan(first, count int) span { return g.geometry.blocksAt(g.layout, first, count) }

// end is behind the longest UEB that there could be.
func (g guess) end() int64 { return g.uebSpan().end() }

// uebSpan holds the UEB's length and the longest UEB.
func (l layout) uebSpan() span { return span{l.ueb, l.lengthSize() + maxUEB} }

// proofs is all but header and data, as far as it is read.
func (g guess) proofs() []span {
	from := g.blocks
	if g.hashes {
		from = g.layout.crypttext
	}
	if g.end()-from <= wholeShare {
		return []span{{from, g.end() - from}}
	}
	row := newLeaves(g.segments)
	spans := []span{row.topSpan(g.blocks), {g.chain, g.end() - g.chain}}
	if g.hashes {
		spans = append(spans, row.topSpan(g.layout.crypttext))
	}
	return spans
}

// firstSpans are to be read before anything is known of the share: all of it
// if it is small by every guess; else header and proofs, by every guess if
// that is little more than by the first.
func firstSpans(guesses []guess) []span {
	var most int64
	for _, g := range guesses {
		most = max(most, g.end())
	}
	if most-maxUEB <= wholeShare {
		// A share that is laid out as nobody guesses may be larger, and
		// bytes behind the end cost nothing.
		return []span{{0, wholeShare + maxUEB}}
	}
	spans := []span{{0, headerSizeV2}}
	proofs := guesses[0].proofs()
	if len(guesses) == 2 {
		other := guesses[1].proofs()
		if both := proofs[0].join(other[0]); len(proofs) == 1 && len(other) == 1 && both.length <= wholeShare {
			proofs = []span{both}
		}
	}
	return append(spans, proofs...)
}

// secondSpans are to be read once the header is known: nothing new if a guess
// was right.
func (d *Decoder) secondSpans(l layout, guesses []guess) []span {
	for _, g := range guesses {
		if g.layout == l {
			return g.proofs()
		}
	}
	chain := int64(len(hashes.Path(d.cap.Total, 0))) * chainEntry
	return []span{l.uebSpan(), {l.chain, chain}}
}

func readLayout(ctx context.Context, s *source) (layout, error) {
	header, err := s.upTo(ctx, span{0, headerSizeV2})
	if err != nil {
		return layout{}, err
	}
	return parseHeader(header)
}

func (d *Decoder) readUEB(ctx context.Context, s *source, l layout) (*file, error) {
	raw, err := readRawUEB(ctx, s, l)
	if err != nil {
		return nil, err
	}
	return d.learn(raw)
}

// readRawUEB reads the bytes that the layout has as UEB.
func readRawUEB(ctx context.Context, s *source, l layout) ([]byte, error) {
	raw, err := s.upTo(ctx, l.uebSpan())
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) < l.lengthSize() {
		return nil, corrupt("it ends before its UEB")
	}
	length := uint64(0)
	if l.version == 1 {
		length = uint64(binary.BigEndian.Uint32(raw))
	} else {
		length = binary.BigEndian.Uint64(raw)
	}
	raw = raw[l.lengthSize():]
	if length >= maxUEB || length > uint64(len(raw)) {
		return nil, corrupt("its UEB has a wrong length")
	}
	return raw[:length], nil
}
