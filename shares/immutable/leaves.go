package immutable

import (
	"math/bits"
	"sync"

	"lafs/shares/hashes"
)

// maxRow bounds the row of a hash tree that is read when a share is opened:
// 2^12 hashes are 128 KiB.
const maxRow = 12

// leaves are the leaves of one hash tree over the segments, so far as they
// are proved. Of a small tree the whole lowest row is read and proved at
// once: inner nodes need not be read, they follow. Of a larger one, a higher
// row is proved first, and the leaves under a node of it, a page, when they
// are needed. Safe for concurrent use.
type leaves struct {
	segments int
	pageBits int // log2 of the leaves in a page

	mu    sync.Mutex
	top   []hashes.Hash         // guarded by mu; nil until proved
	pages map[int][]hashes.Hash // guarded by mu; by place in top
}

func newLeaves(segments int) *leaves {
	depth := bits.Len(uint(hashes.Width(segments))) - 1
	return &leaves{segments: segments, pageBits: max(0, depth-maxRow), pages: make(map[int][]hashes.Hash)}
}

// pageOf is the number of the page that leaf seg is in.
func (l *leaves) pageOf(seg int) int { return seg >> l.pageBits }

// topSpan is where the top row is in a share whose tree is at offset tree.
// Places behind the last leaf are not read, where they follow from nothing.
func (l *leaves) topSpan(tree int64) span {
	width := hashes.Width(l.segments) >> l.pageBits
	count := width
	if l.pageBits == 0 {
		count = l.segments
	}
	return span{tree + int64(width-1)*hashSize, int64(count) * hashSize}
}

// proveTop takes what is at topSpan if it proves root.
func (l *leaves) proveTop(raw []byte, root hashes.Hash) bool {
	row := unpack(raw)
	if l.pageBits == 0 {
		row = fill(row, 0, hashes.Width(l.segments))
	}
	if hashes.RootOfRow(row) != root {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.top = row
	return true
}

// proved reports whether the top row is known.
func (l *leaves) proved() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.top != nil
}

// missing tells which leaves must be read, in a share whose tree is at offset
// tree, before those of count segments from first are known; false if none.
func (l *leaves) missing(tree int64, first, count int) (from int, at span, ok bool) {
	if l.pageBits == 0 {
		return 0, span{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	low, high := l.pageOf(first), l.pageOf(first+count-1)
	for low <= high && l.pages[low] != nil {
		low++
	}
	for low <= high && l.pages[high] != nil {
		high--
	}
	if low > high {
		return 0, span{}, false
	}
	from = low << l.pageBits
	to := min((high+1)<<l.pageBits, l.segments)
	return from, span{tree + int64(hashes.LeafNode(l.segments, from))*hashSize, int64(to-from) * hashSize}, true
}

// provePages takes the leaves from number from on, whole pages, if they prove
// their places in the top row.
func (l *leaves) provePages(from int, raw []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	row := unpack(raw)
	for size := 1 << l.pageBits; len(row) > 0; from += size {
		page := fill(row[:min(size, len(row))], from, size)
		if hashes.RootOfRow(page) != l.top[l.pageOf(from)] {
			return false
		}
		l.pages[l.pageOf(from)] = page
		row = row[min(size, len(row)):]
	}
	return true
}

// of returns the proved hash of segment seg.
func (l *leaves) of(seg int) (hashes.Hash, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pageBits == 0 {
		if l.top == nil {
			return hashes.Hash{}, false
		}
		return l.top[seg], true
	}
	page, ok := l.pages[l.pageOf(seg)]
	if !ok {
		return hashes.Hash{}, false
	}
	return page[seg-l.pageOf(seg)<<l.pageBits], true
}

func unpack(raw []byte) []hashes.Hash {
	row := make([]hashes.Hash, len(raw)/int(hashSize))
	for i := range row {
		row[i] = hashes.Hash(raw[i*int(hashSize):])
	}
	return row
}

// fill appends to row, which starts with leaf number from, the empty leaves
// that are missing to size.
func fill(row []hashes.Hash, from, size int) []hashes.Hash {
	row = row[:len(row):len(row)]
	for len(row) < size {
		row = append(row, hashes.EmptyLeaf(from+len(row)))
	}
	return row
}
