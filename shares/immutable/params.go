// Package immutable turns plaintext into the shares of an immutable file and
// back: key, encryption, segments, erasure code, hash trees, UEB (FORMATS.md
// section 3). It does no I/O of its own: the encoder hands out bytes, the
// decoder reads shares through a ShareReader. Memory is bounded by a few
// segments, plus 32 bytes per segment and share for the hash trees.
//
// Bytes of shares are never trusted: whatever they say is proved from the
// cap's UEB hash before it is used, and decides over no allocation.
package immutable

import (
	"fmt"

	"lafs/shares/caps"
	"lafs/shares/hashes"
)

// LITThreshold is the largest file, in bytes, that goes into its cap
// (caps.NewLIT) and not into shares.
const LITThreshold = 55

// DefaultSegmentSize is the maximum segment size of today's Tahoe-LAFS and
// ours; releases before 2023 had OldSegmentSize. In bytes.
const (
	DefaultSegmentSize = 1 << 20
	OldSegmentSize     = 128 << 10
)

// MaxSegmentSize is the largest segment that is written or read, in bytes: it
// bounds the memory that a cap of foreign making can ask for.
const MaxSegmentSize = 16 << 20

// maxSegments bounds the hash trees of one file: 256 TiB at 1 MiB a segment.
const maxSegments = 1 << 28

// Params say how a file is coded.
type Params struct {
	// Needed shares of Total rebuild the file: 1 <= Needed <= Total <= 256.
	Needed, Total int
	// MaxSegmentSize in bytes, at most the constant of that name; 0 means
	// DefaultSegmentSize. Files smaller than it are one segment.
	MaxSegmentSize int64
}

// A geometry is how a file is cut: all that follows from its size, k, N and
// the segment size. Sizes are in bytes.
type geometry struct {
	needed, total int
	size          int64
	segSize       int64 // a multiple of needed
	segments      int
	blockSize     int64 // of every segment but the last
	tailSize      int64 // of the last segment, without padding
	tailBlock     int64 // of the last segment
}

// geometry cuts a file of this size.
func (p Params) geometry(size int64) (*geometry, error) {
	most := p.MaxSegmentSize
	if most == 0 {
		most = DefaultSegmentSize
	}
	switch {
	case p.Needed < 1 || p.Needed > p.Total || p.Total > 256:
		return nil, fmt.Errorf("%d of %d shares is no code: 1 <= needed <= total <= 256", p.Needed, p.Total)
	case size < 1 || size > caps.MaxSize:
		return nil, fmt.Errorf("a file of %d bytes has no shares", size)
	case most < 1 || most > MaxSegmentSize:
		return nil, fmt.Errorf("a segment size of %d bytes is not from 1 to %d", most, MaxSegmentSize)
	}
	return newGeometry(p.Needed, p.Total, size, roundUp(min(most, size), int64(p.Needed)))
}

// newGeometry cuts a file into segments of exactly segSize bytes, a multiple
// of needed.
func newGeometry(needed, total int, size, segSize int64) (*geometry, error) {
	segments := (size-1)/segSize + 1
	if segments > maxSegments {
		return nil, fmt.Errorf("a file of %d bytes in segments of %d has too many segments", size, segSize)
	}
	g := &geometry{needed: needed, total: total, size: size, segSize: segSize, segments: int(segments)}
	g.blockSize = segSize / int64(needed)
	g.tailSize = size - (segments-1)*segSize
	g.tailBlock = g.paddedTail() / int64(needed)
	return g, nil
}

func (g *geometry) paddedTail() int64 { return roundUp(g.tailSize, int64(g.needed)) }

// segmentSize is the size of segment seg without padding.
func (g *geometry) segmentSize(seg int) int64 {
	if seg == g.segments-1 {
		return g.tailSize
	}
	return g.segSize
}

// blockSizeOf is the size of the blocks of segment seg.
func (g *geometry) blockSizeOf(seg int) int64 {
	if seg == g.segments-1 {
		return g.tailBlock
	}
	return g.blockSize
}

// dataSize is the size of all blocks of one share.
func (g *geometry) dataSize() int64 { return int64(g.segments-1)*g.blockSize + g.tailBlock }

// treeSize is the size of a whole hash tree over the segments.
func (g *geometry) treeSize() int64 { return int64(hashes.Nodes(g.segments)) * hashSize }

// chainEntries is the number of hashes that prove one share's root.
func (g *geometry) chainEntries() int { return len(hashes.Path(g.total, 0)) }

const hashSize = int64(len(hashes.Hash{}))

func roundUp(n, multiple int64) int64 { return (n + multiple - 1) / multiple * multiple }
