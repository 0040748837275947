package immutable

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Sizes of the two headers and of an entry of the share hash chain, in bytes
// (FORMATS.md section 3.5).
const (
	headerSizeV1 = 0x24
	headerSizeV2 = 0x44
	chainEntry   = 2 + hashSize
)

// A layout is where the sections of a share are: offsets in bytes from the
// share's start.
type layout struct {
	version   int // 1 or 2: the width of the numbers
	data      int64
	plaintext int64 // a tree of zeros that nobody reads
	crypttext int64
	blocks    int64
	chain     int64
	ueb       int64 // of its length, which stands before it
}

// newLayout is the layout that writers make: version 1 unless a number does
// not fit.
func newLayout(g *geometry) layout {
	l := layoutAt(g, 1, headerSizeV1)
	if g.blockSize > math.MaxUint32 || l.ueb > math.MaxUint32 {
		return layoutAt(g, 2, headerSizeV2)
	}
	return l
}

func layoutAt(g *geometry, version int, data int64) layout {
	l := layout{version: version, data: data}
	l.plaintext = l.data + g.dataSize()
	l.crypttext = l.plaintext + g.treeSize()
	l.blocks = l.crypttext + g.treeSize()
	l.chain = l.blocks + g.treeSize()
	l.ueb = l.chain + int64(g.chainEntries())*chainEntry
	return l
}

// blocksAt is where the blocks of count segments from first on are.
func (g *geometry) blocksAt(l layout, first, count int) span {
	return span{l.data + int64(first)*g.blockSize, int64(count-1)*g.blockSize + g.blockSizeOf(first+count-1)}
}

// lengthSize is the size of the UEB's length.
func (l layout) lengthSize() int64 {
	if l.version == 1 {
		return 4
	}
	return 8
}

// header writes the share's header.
func (l layout) header(g *geometry) []byte {
	numbers := []int64{g.blockSize, g.dataSize(), l.data, l.plaintext, l.crypttext, l.blocks, l.chain, l.ueb}
	h := binary.BigEndian.AppendUint32(nil, uint32(l.version))
	for _, n := range numbers {
		h = l.appendNumber(h, n)
	}
	return h
}

func (l layout) appendNumber(b []byte, n int64) []byte {
	if l.version == 1 {
		return binary.BigEndian.AppendUint32(b, uint32(n))
	}
	return binary.BigEndian.AppendUint64(b, uint64(n))
}

// headerSize tells how long the header is that starts with these bytes.
func headerSize(start []byte) (int64, error) {
	if len(start) >= 4 {
		switch binary.BigEndian.Uint32(start) {
		case 1:
			return headerSizeV1, nil
		case 2:
			return headerSizeV2, nil
		}
	}
	return 0, corrupt("its header has no known version")
}

// maxOffset bounds what a header may say, so that sums stay below 2^63.
const maxOffset = 1 << 62

// parseHeader reads a whole header. The offsets are not trusted: check tells
// whether the sections fit what they must hold.
func parseHeader(h []byte) (layout, error) {
	size, err := headerSize(h)
	if err != nil {
		return layout{}, err
	}
	if int64(len(h)) < size {
		return layout{}, corrupt("its header is cut off")
	}
	l := layout{version: 1}
	if size == headerSizeV2 {
		l.version = 2
	}
	// The first two numbers, block size and data size, are for nobody.
	h = h[4+2*l.lengthSize():]
	for _, field := range []*int64{&l.data, &l.plaintext, &l.crypttext, &l.blocks, &l.chain, &l.ueb} {
		n := uint64(0)
		if l.version == 1 {
			n = uint64(binary.BigEndian.Uint32(h))
		} else {
			n = binary.BigEndian.Uint64(h)
		}
		if n > maxOffset {
			return layout{}, corrupt("an offset in its header is beyond all shares")
		}
		*field = int64(n)
		h = h[l.lengthSize():]
	}
	if l.data < size || l.plaintext < l.data || l.crypttext < l.plaintext || l.blocks < l.crypttext || l.chain < l.blocks || l.ueb < l.chain {
		return layout{}, corrupt("the sections in its header overlap")
	}
	return l, nil
}

// check tells whether every section has room for what the geometry puts in
// it.
func (l layout) check(g *geometry) error {
	for _, s := range []struct {
		name              string
		room, least, most int64
	}{
		{"data", l.plaintext - l.data, g.dataSize(), maxOffset},
		{"crypttext hash tree", l.blocks - l.crypttext, g.treeSize(), maxOffset},
		{"block hash tree", l.chain - l.blocks, g.treeSize(), maxOffset},
		{"share hash chain", l.ueb - l.chain, g.chainSize(), g.chainSize()},
	} {
		if s.room < s.least || s.room > s.most {
			return corrupt(fmt.Sprintf("its header gives the %s the wrong room", s.name))
		}
	}
	return nil
}

func (g *geometry) chainSize() int64 { return int64(g.chainEntries()) * chainEntry }
