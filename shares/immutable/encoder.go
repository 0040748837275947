package immutable

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"runtime"
	"sync"

	"lafs/shares/caps"
	"lafs/shares/erasure"
	"lafs/shares/hashes"
)

// An Encoder makes the N shares of one file, all at once, a segment at a
// time. Share i is Header, then block i of every segment, then tail i. For
// one goroutine at a time.
//
// It holds two segments with their blocks, N/k * 2 MiB with today's
// segments, and 32 bytes per share and segment.
type Encoder struct {
	*geometry
	layout layout
	codec  *erasure.Codec
	index  caps.StorageIndex
	key    *caps.ReadKey // nil: of ciphertext
	stream cipher.Stream // nil with key
	again  *file         // what the shares must agree with; nil if they are new

	next    int       // segment that Encode wants
	buffers [2][]byte // of N blocks each, used in turn

	// The rest is written by hashing goroutines until hashing says that they
	// have ended.
	hashing       [2]sync.WaitGroup // of the segments in buffers
	turns         chan struct{}     // holds one value for each of them at work
	written       chan struct{}     // closed when crypttext has the segments so far
	blockHashes   [][]hashes.Hash   // by share, by segment
	segmentHashes []hashes.Hash
	crypttext     hash.Hash // over the whole ciphertext
}

// NewEncoder begins to encode size bytes under key, which should belong to
// this content alone: a Keyer's or RandomKey's.
func NewEncoder(p Params, size int64, key *caps.ReadKey) (*Encoder, error) {
	g, err := p.geometry(size)
	if err != nil {
		return nil, err
	}
	codec, err := erasure.New(g.needed, g.total)
	if err != nil {
		return nil, err
	}
	return newEncoder(g, codec, key, key.StorageIndex()), nil
}

func newEncoder(g *geometry, codec *erasure.Codec, key *caps.ReadKey, index caps.StorageIndex) *Encoder {
	e := &Encoder{
		geometry: g, layout: newLayout(g), codec: codec, key: key, index: index,
		blockHashes:   make([][]hashes.Hash, g.total),
		segmentHashes: make([]hashes.Hash, g.segments),
		crypttext:     hashes.NewCrypttext(),
		turns:         make(chan struct{}, runtime.GOMAXPROCS(0)),
		written:       make(chan struct{}),
	}
	close(e.written)
	for i := range e.blockHashes {
		e.blockHashes[i] = make([]hashes.Hash, g.segments)
	}
	if key != nil {
		e.stream = keystream(key, 0)
	}
	return e
}

// StorageIndex is where the shares go.
func (e *Encoder) StorageIndex() caps.StorageIndex { return e.index }

// ShareSize is the exact size of every share in bytes.
func (e *Encoder) ShareSize() int64 {
	packed := int64(len(new(ueb).marshal(e.geometry)))
	if e.again != nil {
		packed = int64(len(e.again.raw))
	}
	return e.layout.ueb + e.layout.lengthSize() + packed
}

// Header returns the first bytes of every share.
func (e *Encoder) Header() []byte { return e.layout.header(e.geometry) }

// SegmentSize is how many bytes of plaintext Encode wants; the last segment
// is the rest.
func (e *Encoder) SegmentSize() int64 { return e.segSize }

// NumSegments is how many times Encode is to be called.
func (e *Encoder) NumSegments() int { return e.segments }

// Encode takes the plaintext of the next segment and returns its N blocks:
// block i follows, in share i, what came before. The blocks' memory is used
// again by the next call but one: until then they may be read, at the same
// time as the next call works. The plaintext is not kept.
func (e *Encoder) Encode(plaintext []byte) ([][]byte, error) {
	if e.next == e.segments {
		return nil, errors.New("encode: the file has no more segments")
	}
	if want := e.segmentSize(e.next); int64(len(plaintext)) != want {
		return nil, fmt.Errorf("encode: segment %d has %d bytes, not %d", e.next, len(plaintext), want)
	}
	blocks, padded := e.room()
	segment := padded[:len(plaintext)]
	if e.stream != nil {
		e.stream.XORKeyStream(segment, plaintext)
	} else {
		copy(segment, plaintext)
	}
	clear(padded[len(plaintext):])
	if err := e.codec.Encode(blocks); err != nil {
		return nil, err
	}
	e.hash(segment, blocks)
	e.next++
	return blocks, nil
}

// room returns the memory for the next segment: N blocks, of which the first
// k are side by side and make up padded.
func (e *Encoder) room() (blocks [][]byte, padded []byte) {
	size := e.blockSizeOf(e.next)
	e.hashing[e.next%2].Wait()
	buffer := &e.buffers[e.next%2]
	if *buffer == nil {
		*buffer = make([]byte, size*int64(e.total))
	}
	blocks = make([][]byte, e.total)
	for i := range blocks {
		blocks[i] = (*buffer)[int64(i)*size : int64(i+1)*size : int64(i+1)*size]
	}
	return blocks, (*buffer)[:size*int64(e.needed)]
}

// hash begins to hash one segment. Hashing is most of the encoder's work, so
// it goes to all processors, and goes on while the next segment is encrypted
// and coded.
func (e *Encoder) hash(segment []byte, blocks [][]byte) {
	seg := e.next
	work := func(f func()) {
		e.hashing[seg%2].Go(func() {
			e.turns <- struct{}{}
			defer func() { <-e.turns }()
			f()
		})
	}
	// The two over the whole segment first: they take longest.
	before, after := e.written, make(chan struct{})
	e.written = after
	e.hashing[seg%2].Go(func() {
		<-before
		e.turns <- struct{}{}
		defer func() { <-e.turns }()
		e.crypttext.Write(segment)
		close(after)
	})
	work(func() { e.segmentHashes[seg] = hashes.CrypttextSegment(segment) })
	for i, b := range blocks {
		work(func() { e.blockHashes[i][seg] = hashes.Block(b) })
	}
}

// Finish returns what ends the shares, tail i share i, and the cap: the file
// can be read by it as soon as any k shares are stored whole.
func (e *Encoder) Finish() (tails [][]byte, c *caps.CHK, err error) {
	if e.next < e.segments {
		return nil, nil, fmt.Errorf("finish: %d of %d segments are encoded", e.next, e.segments)
	}
	for i := range e.hashing {
		e.hashing[i].Wait()
	}
	if err := e.checkCrypttext(); err != nil {
		return nil, nil, err
	}
	roots := make([]hashes.Hash, e.total)
	tails = make([][]byte, e.total)
	crypttext := hashes.NewTree(e.segmentHashes)
	raw := crypttext.Append(make([]byte, e.treeSize())) // after the tree of zeros
	for i := range tails {
		tree := hashes.NewTree(e.blockHashes[i])
		roots[i] = tree.Root()
		tail := make([]byte, 0, e.ShareSize()-e.layout.plaintext)
		tails[i] = tree.Append(append(tail, raw...))
	}
	shares := hashes.NewTree(roots)
	u := &ueb{segSize: e.segSize, crypttextRoot: crypttext.Root(), shareRoot: shares.Root()}
	e.crypttext.Sum(u.crypttextHash[:0])
	packed := u.marshal(e.geometry)
	if e.again != nil {
		if u.shareRoot != e.again.ueb.shareRoot {
			return nil, nil, corrupt("its shares do not make up each other")
		}
		packed = e.again.raw
	}
	for i, tail := range tails {
		for _, node := range hashes.Path(e.total, i) {
			tail = binary.BigEndian.AppendUint16(tail, uint16(node))
			tail = append(tail, shares[node][:]...)
		}
		tails[i] = append(e.layout.appendNumber(tail, int64(len(packed))), packed...)
	}
	if e.key == nil {
		return tails, nil, nil
	}
	return tails, &caps.CHK{Key: e.key, UEBHash: hashes.UEB(packed), Needed: e.needed, Total: e.total, Size: e.size}, nil
}
