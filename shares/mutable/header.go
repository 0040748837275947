package mutable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"lafs/shares/hashes"
)

// A Format is one of the two formats of a mutable share: the version byte
// with which it starts.
type Format uint8

// The formats. SDMF has one segment, and is read and written whole; MDMF has
// segments of 128 KiB, each with a salt of its own.
const (
	SDMF Format = 0
	MDMF Format = 1
)

// String returns the format's name.
func (f Format) String() string {
	switch f {
	case SDMF:
		return "SDMF"
	case MDMF:
		return "MDMF"
	}
	return "unknown format"
}

// ErrCorrupt is matched by every error that says a share's bytes are wrong.
var ErrCorrupt = errors.New("the share is corrupt")

const (
	// Headers, up to and with the table of offsets.
	sdmfHeader = 107
	mdmfHeader = 123
	// What is signed: a share's first bytes.
	sdmfSigned = 75
	mdmfSigned = 59
	// mdmfData is where the blocks of an MDMF share start: room is reserved
	// before them for keys, signature and chain of any size.
	mdmfData = mdmfHeader + 1220 + 260 + 292 + 272
	// mdmfSegment is the size of an MDMF segment before rounding up to k.
	mdmfSegment = 128 << 10

	saltSize  = 16
	hashSize  = 32
	chainItem = 2 + hashSize
	// MaxTotal is the largest N of a mutable object: it is one byte.
	MaxTotal = 255
	// maxData bounds what a header can make a reader compute with; Tahoe's
	// own limit is a little lower.
	maxData = 1 << 56
	// maxKey bounds the encrypted private key, and the public one.
	maxKey = 4096
)

// HeaderSize is how many bytes of a share ParseHeader needs at most.
const HeaderSize = mdmfHeader

// A Header is the fixed part of a share. All shares of one version have the
// same but for the offsets, which nobody signs.
type Header struct {
	Format Format
	// Seq and Root identify the version.
	Seq  uint64
	Root hashes.Hash
	// Salt is an SDMF version's.
	Salt [saltSize]byte
	// Needed and Total are k and N.
	Needed, Total int
	// SegmentSize and DataSize are in bytes of plaintext.
	SegmentSize, DataSize int64

	at offsets
}

// offsets say where the parts of a share are.
type offsets struct {
	publicKey, publicKeyEnd, signature, chain, tree, data, privateKey, end int64
}

// ParseHeader reads the first bytes of a share and checks that they agree
// with each other: its errors match ErrCorrupt. Nothing is authenticated yet.
func ParseHeader(b []byte) (*Header, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrCorrupt)
	}
	var h *Header
	switch f := Format(b[0]); {
	case f == SDMF && len(b) >= sdmfHeader:
		h = parseSDMF(b)
	case f == MDMF && len(b) >= mdmfHeader:
		h = parseMDMF(b)
	case f > MDMF:
		return nil, fmt.Errorf("%w: format %d is unknown", ErrCorrupt, f)
	default:
		return nil, fmt.Errorf("%w: it ends in the header", ErrCorrupt)
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	return h, nil
}

func parseSDMF(b []byte) *Header {
	u32 := func(i int) int64 { return int64(binary.BigEndian.Uint32(b[i:])) }
	h := &Header{Format: SDMF, Seq: binary.BigEndian.Uint64(b[1:]), Root: hashes.Hash(b[9:41]), Salt: [saltSize]byte(b[41:57]),
		Needed: int(b[57]), Total: int(b[58]), SegmentSize: u63(b[59:]), DataSize: u63(b[67:])}
	h.at = offsets{publicKey: sdmfHeader, publicKeyEnd: u32(75), signature: u32(75), chain: u32(79), tree: u32(83),
		data: u32(87), privateKey: u63(b[91:]), end: u63(b[99:])}
	return h
}

func parseMDMF(b []byte) *Header {
	h := &Header{Format: MDMF, Seq: binary.BigEndian.Uint64(b[1:]), Root: hashes.Hash(b[9:41]),
		Needed: int(b[41]), Total: int(b[42]), SegmentSize: u63(b[43:]), DataSize: u63(b[51:])}
	h.at = offsets{privateKey: u63(b[59:]), chain: u63(b[67:]), signature: u63(b[75:]), publicKey: u63(b[83:]),
		publicKeyEnd: u63(b[91:]), data: u63(b[99:]), tree: u63(b[107:]), end: u63(b[115:])}
	return h
}

// u63 reads a number that must be a size: what is too large for one becomes
// -1, which no check lets pass.
func u63(b []byte) int64 {
	n := binary.BigEndian.Uint64(b)
	if n > maxData {
		return -1
	}
	return int64(n)
}

// check refuses headers whose parts do not fit together.
func (h *Header) check() error {
	a := h.at
	if h.Needed < 1 || h.Needed > h.Total || h.DataSize < 0 || h.SegmentSize < 0 {
		return fmt.Errorf("%w: %d of %d shares, segments of %d bytes, %d in all", ErrCorrupt, h.Needed, h.Total, h.SegmentSize, h.DataSize)
	}
	k := int64(h.Needed)
	var order []int64
	switch h.Format {
	case SDMF:
		if h.SegmentSize != roundUp(h.DataSize, k) {
			return fmt.Errorf("%w: its segment is not as long as its data", ErrCorrupt)
		}
		order = []int64{a.publicKey, a.signature, a.chain, a.tree, a.data, a.privateKey, a.end}
	case MDMF:
		if h.SegmentSize != roundUp(mdmfSegment, k) {
			return fmt.Errorf("%w: its segments are not of 128 KiB", ErrCorrupt)
		}
		if a.data != mdmfData || a.privateKey != mdmfHeader {
			return fmt.Errorf("%w: its parts are not where MDMF has them", ErrCorrupt)
		}
		order = []int64{a.privateKey, a.chain, a.signature, a.publicKey, a.publicKeyEnd, a.data, a.tree, a.end}
	}
	for i := 1; i < len(order); i++ {
		if order[i] < order[i-1] {
			return fmt.Errorf("%w: its parts overlap", ErrCorrupt)
		}
	}
	return h.checkLengths()
}

func (h *Header) checkLengths() error {
	a := h.at
	keyEnd := a.chain
	if h.Format == SDMF {
		keyEnd = a.end
	}
	signatureEnd, chainEnd, treeEnd, dataEnd := a.chain, a.tree, a.data, a.privateKey
	if h.Format == MDMF {
		signatureEnd, chainEnd, treeEnd, dataEnd = a.publicKey, a.signature, a.end, a.tree
	}
	switch {
	case keyEnd-a.privateKey > maxKey, a.publicKeyEnd-a.publicKey > maxKey:
		return fmt.Errorf("%w: a key is too long", ErrCorrupt)
	case signatureEnd-a.signature != keyBits/8:
		return fmt.Errorf("%w: its signature has another length", ErrCorrupt)
	case chainEnd-a.chain != int64(chainItem*bits.Len(uint(hashes.Width(h.Total)-1))):
		return fmt.Errorf("%w: its share hash chain has another length", ErrCorrupt)
	case treeEnd-a.tree != hashSize*int64(hashes.Nodes(h.Segments())):
		return fmt.Errorf("%w: its block hash tree has another length", ErrCorrupt)
	case dataEnd-a.data != h.dataLength():
		return fmt.Errorf("%w: its blocks have another length", ErrCorrupt)
	}
	return nil
}

func roundUp(n, k int64) int64 { return (n + k - 1) / k * k }

// Segments is the number of segments, 0 for an empty object.
func (h *Header) Segments() int {
	if h.DataSize == 0 {
		return 0
	}
	return int((h.DataSize + h.SegmentSize - 1) / h.SegmentSize)
}

// segmentLength is the plaintext in segment s.
func (h *Header) segmentLength(s int) int64 {
	return min(h.SegmentSize, h.DataSize-int64(s)*h.SegmentSize)
}

// blockLength is the length of a block of segment s, without its salt.
func (h *Header) blockLength(s int) int64 {
	k := int64(h.Needed)
	return (h.segmentLength(s) + k - 1) / k
}

// stride is what a full block takes in a share, with its salt.
func (h *Header) stride() int64 { return h.SegmentSize/int64(h.Needed) + h.saltLength() }

func (h *Header) saltLength() int64 {
	if h.Format == MDMF {
		return saltSize
	}
	return 0
}

func (h *Header) dataLength() int64 {
	n := h.Segments()
	if n == 0 {
		return 0
	}
	return int64(n-1)*h.stride() + h.blockLength(n-1) + h.saltLength()
}

// ShareSize is the length of a share, in bytes.
func (h *Header) ShareSize() int64 { return h.at.end }

// signed is the beginning of every share of the version: what the signature
// is over.
func (h *Header) signed() []byte {
	b := []byte{byte(h.Format)}
	b = binary.BigEndian.AppendUint64(b, h.Seq)
	b = append(b, h.Root[:]...)
	if h.Format == SDMF {
		b = append(b, h.Salt[:]...)
	}
	b = append(b, byte(h.Needed), byte(h.Total))
	b = binary.BigEndian.AppendUint64(b, uint64(h.SegmentSize))
	return binary.BigEndian.AppendUint64(b, uint64(h.DataSize))
}

// Checkstring is the part of the header that a write to a share tests, so
// that it replaces the version that the writer has seen.
func (h *Header) Checkstring() []byte {
	if h.Format == SDMF {
		return h.signed()[:57]
	}
	return h.signed()[:41]
}

// append writes the whole header.
func (h *Header) append(b []byte) []byte {
	a := h.at
	b = append(b, h.signed()...)
	if h.Format == SDMF {
		for _, o := range []int64{a.signature, a.chain, a.tree, a.data} {
			b = binary.BigEndian.AppendUint32(b, uint32(o))
		}
		for _, o := range []int64{a.privateKey, a.end} {
			b = binary.BigEndian.AppendUint64(b, uint64(o))
		}
		return b
	}
	for _, o := range []int64{a.privateKey, a.chain, a.signature, a.publicKey, a.publicKeyEnd, a.data, a.tree, a.end} {
		b = binary.BigEndian.AppendUint64(b, uint64(o))
	}
	return b
}
