package immutable

import (
	"errors"
	"fmt"
	"sync"

	"lafs/shares/caps"
	"lafs/shares/erasure"
	"lafs/shares/hashes"
)

// A Decoder reads one file from its shares. It is safe for concurrent use.
type Decoder struct {
	cap *caps.CHKVerifier
	key *caps.ReadKey // nil: of ciphertext

	mu   sync.Mutex
	file *file // guarded by mu; nil until a share has shown the UEB
}

// A file is what the UEB tells, and the hashes of the segments that it
// proves. It does not change but for those.
type file struct {
	*geometry
	ueb       *ueb
	raw       []byte // the UEB itself
	crypttext *leaves
	codec     *erasure.Codec
}

// NewDecoder begins to read the file that c names.
func NewDecoder(c *caps.CHK) (*Decoder, error) {
	if _, err := (Params{Needed: c.Needed, Total: c.Total}).geometry(c.Size); err != nil {
		return nil, err
	}
	return &Decoder{cap: c.Verifier().(*caps.CHKVerifier), key: c.Key}, nil
}

// NewVerifier begins to read the shares of a file without the right to read
// the file: what DecodeSegment returns is ciphertext.
func NewVerifier(c *caps.CHKVerifier) (*Decoder, error) {
	if _, err := (Params{Needed: c.Needed, Total: c.Total}).geometry(c.Size); err != nil {
		return nil, err
	}
	return &Decoder{cap: c}, nil
}

// Size is the file's size in bytes.
func (d *Decoder) Size() int64 { return d.cap.Size }

// SegmentSize is the size of every segment but the last, in bytes; 0 before
// the first share has been opened.
func (d *Decoder) SegmentSize() int64 {
	if f := d.known(); f != nil {
		return f.segSize
	}
	return 0
}

// NumSegments is the number of segments; 0 before the first share has been
// opened.
func (d *Decoder) NumSegments() int {
	if f := d.known(); f != nil {
		return f.segments
	}
	return 0
}

// LikelySegmentSize is SegmentSize, and before the first share has been opened
// the likeliest guess at it.
func (d *Decoder) LikelySegmentSize() int64 { return d.guesses()[0].segSize }

// LikelyBlocks tells where in a share the blocks of count segments from
// segment first on lie, if it is laid out as is likeliest. There must be such
// segments at LikelySegmentSize.
func (d *Decoder) LikelyBlocks(first, count int) (begin, end int64) {
	s := d.guesses()[0].blocksSpan(first, count)
	return s.offset, s.end()
}

func (d *Decoder) known() *file {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.file
}

// learn takes a share's UEB if it is the cap's.
func (d *Decoder) learn(raw []byte) (*file, error) {
	if hashes.UEB(raw) != d.cap.UEBHash {
		return nil, corrupt("its UEB is not the cap's")
	}
	if f := d.known(); f != nil {
		return f, nil
	}
	u, g, err := parseUEB(raw, d.cap.Needed, d.cap.Total, d.cap.Size)
	if err != nil {
		return nil, err
	}
	codec, err := erasure.New(g.needed, g.total)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file == nil {
		d.file = &file{geometry: g, ueb: u, raw: append([]byte(nil), raw...), crypttext: newLeaves(g.segments), codec: codec}
	}
	return d.file, nil
}

var errNotRead = errors.New("decode: no share has been asked for the blocks of this segment")

// DecodeSegment returns the plaintext of segment seg, a verifier's its
// ciphertext, from k or more of its blocks, by share number. They are not changed. Blocks must have come from
// Share.Blocks of this decoder's shares: reading them brings in the segment's
// own hash too, which the result is checked against. ErrCorrupt, with blocks
// all of which are proved, means that whoever made the shares made them
// badly, and no other blocks will do.
func (d *Decoder) DecodeSegment(seg int, blocks map[int][]byte) ([]byte, error) {
	return d.DecodeSegmentInto(nil, seg, blocks)
}

// DecodeSegmentInto is DecodeSegment in the memory of into, where that is
// enough, whatever it holds; none of the blocks may lie in it.
func (d *Decoder) DecodeSegmentInto(into []byte, seg int, blocks map[int][]byte) ([]byte, error) {
	f := d.known()
	if f == nil {
		return nil, errNotRead
	}
	if seg < 0 || seg >= f.segments {
		return nil, fmt.Errorf("decode: no segment %d among %d", seg, f.segments)
	}
	want, ok := f.crypttext.of(seg)
	if !ok {
		return nil, errNotRead
	}
	padded, err := f.join(into, seg, blocks)
	if err != nil {
		return nil, err
	}
	segment := padded[:f.segmentSize(seg)]
	if hashes.CrypttextSegment(segment) != want {
		return nil, corrupt("its blocks do not make up the segment that the UEB promises")
	}
	if d.key != nil {
		keystream(d.key, int64(seg)*f.segSize).XORKeyStream(segment, segment)
	}
	return segment, nil
}

// join returns the k primary blocks of a segment side by side, in memory of
// their own, or that of into.
func (f *file) join(into []byte, seg int, blocks map[int][]byte) ([]byte, error) {
	size := f.blockSizeOf(seg)
	all := make([][]byte, f.total)
	for n, b := range blocks {
		if n < 0 || n >= f.total || int64(len(b)) != size {
			return nil, fmt.Errorf("decode: share %d has no block of %d bytes in this segment", n, len(b))
		}
		all[n] = b
	}
	whole := size * int64(f.needed)
	if int64(cap(into)) < whole {
		into = make([]byte, whole)
	}
	padded := into[:whole]
	for i := range f.needed {
		place := padded[int64(i)*size : int64(i+1)*size : int64(i+1)*size]
		all[i] = place[:copy(place, all[i])]
	}
	if err := f.codec.Decode(all); err != nil {
		return nil, err
	}
	return padded, nil
}
