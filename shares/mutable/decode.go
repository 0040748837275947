package mutable

import (
	"context"
	"errors"
	"fmt"

	"lafs/shares/caps"
	"lafs/shares/erasure"
	"lafs/shares/hashes"
)

// ErrTooFew is a decoding of fewer distinct shares than the version needs.
var ErrTooFew = errors.New("fewer shares than the object needs")

// DecodeSegment rebuilds and decrypts segment s of the version from blocks
// by share number, of which it uses k. The blocks are verified: Share.Blocks
// gave them, from shares of this version.
func (h *Header) DecodeSegment(key *caps.ReadKey, s int, blocks map[int]Block) ([]byte, error) {
	codec, err := erasure.New(h.Needed, h.Total)
	if err != nil {
		return nil, err
	}
	if len(blocks) < h.Needed {
		return nil, fmt.Errorf("%w: %d of %d", ErrTooFew, len(blocks), h.Needed)
	}
	data := make([][]byte, h.Total)
	var salt [saltSize]byte
	used := 0
	for n, b := range blocks {
		if used == h.Needed {
			break
		}
		if used > 0 && salt != b.Salt {
			// Verified blocks of one version: its owner signed nonsense.
			return nil, fmt.Errorf("%w: segment %d has two salts", ErrCorrupt, s)
		}
		salt = b.Salt
		data[n] = b.Data
		used++
	}
	if err := codec.Decode(data); err != nil {
		return nil, err
	}
	text := make([]byte, 0, h.SegmentSize)
	for _, p := range data[:h.Needed] {
		text = append(text, p...)
	}
	text = text[:h.segmentLength(s)]
	dataKey := hashes.MutableDataKey(salt[:], key.Bytes())
	crypt(dataKey[:], text, text)
	return text, nil
}

// Decode rebuilds length bytes of the object from offset on, with whole
// segments read from each of the first k of shares. All are of one version.
// Memory is that of the range: the caller bounds it.
func Decode(ctx context.Context, key *caps.ReadKey, shares []*Share, offset, length int64) ([]byte, error) {
	if len(shares) == 0 {
		return nil, ErrTooFew
	}
	h := shares[0].Header
	if offset < 0 || length < 0 || offset > h.DataSize-length {
		return nil, fmt.Errorf("bytes %d to %d of %d", offset, offset+length, h.DataSize)
	}
	if length == 0 {
		return nil, nil
	}
	first, last := int(offset/h.SegmentSize), int((offset+length-1)/h.SegmentSize)
	read := make(map[int][]Block, h.Needed)
	for _, s := range shares {
		if len(read) == h.Needed {
			break
		}
		if s.Seq != h.Seq || s.Root != h.Root {
			return nil, errors.New("shares of two versions")
		}
		if read[s.number] != nil {
			continue
		}
		blocks, err := s.Blocks(ctx, first, last-first+1)
		if err != nil {
			return nil, err
		}
		read[s.number] = blocks
	}
	out := make([]byte, 0, int64(last-first+1)*h.SegmentSize)
	for s := first; s <= last; s++ {
		blocks := make(map[int]Block, len(read))
		for n, list := range read {
			blocks[n] = list[s-first]
		}
		text, err := h.DecodeSegment(key, s, blocks)
		if err != nil {
			return nil, err
		}
		out = append(out, text...)
	}
	skip := offset - int64(first)*h.SegmentSize
	return out[skip : skip+length], nil
}
