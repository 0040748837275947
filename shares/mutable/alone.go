package mutable

import (
	"context"
	"fmt"

	"lafs/shares/hashes"
)

// blocksAtOnce bounds what CheckAlone holds of the blocks, in bytes, beside
// one block, which may be larger.
const blocksAtOnce = 4 << 20

// maxBlock bounds the block that CheckAlone reads, in bytes: in SDMF one is
// all of the object's data that the share has.
const maxBlock = 128 << 20

// CheckAlone reads all of share number n without a cap, for those who hold
// shares: signature, trees and blocks are checked down from the public key
// that the share itself carries, whose fingerprint it returns. All shares of
// a slot have the same; whether it is the right one only a cap can tell.
//
// ErrCorrupt: the share is wrong, and the answer says whether it could still
// be opened, so that readers can use those of its blocks that are right.
// Other errors are the reader's, or say that the share is too large to check.
func CheckAlone(ctx context.Context, n int, r ShareReader) (fingerprint hashes.Hash, opens bool, err error) {
	first := make([]byte, firstRead)
	got, err := r.ReadShare(ctx, 0, first)
	if err != nil {
		return fingerprint, false, err
	}
	h, err := ParseHeader(first[:got])
	if err != nil {
		return fingerprint, false, err
	}
	s := &Share{Header: h, number: n, reader: r}
	// Whoever stored the share wrote the sizes in it: nothing is read by them
	// before it is known to be there.
	if _, err := s.read(ctx, h.ShareSize()-1, h.ShareSize()); err != nil {
		return fingerprint, false, err
	}
	if h.Segments() > 0 && h.blockLength(0) > maxBlock {
		return fingerprint, true, fmt.Errorf("its blocks have %d bytes, and the most that is checked is %d", h.blockLength(0), maxBlock)
	}
	public, err := s.read(ctx, h.at.publicKey, h.at.publicKeyEnd)
	if err != nil {
		return fingerprint, false, err
	}
	fingerprint = hashes.MutableFingerprint(public)
	if s, err = OpenShare(ctx, fingerprint, n, r); err != nil {
		return fingerprint, false, err
	}
	step := int(max(1, blocksAtOnce/max(1, s.stride())))
	for first := 0; first < s.Segments(); first += step {
		if _, err := s.Blocks(ctx, first, min(step, s.Segments()-first)); err != nil {
			return fingerprint, true, err
		}
	}
	// The size of the container is not the share's, and nothing is after it.
	var more [1]byte
	if got, err := r.ReadShare(ctx, h.ShareSize(), more[:]); err != nil {
		return fingerprint, true, err
	} else if got > 0 {
		return fingerprint, true, fmt.Errorf("%w: something follows its end", ErrCorrupt)
	}
	return fingerprint, true, nil
}
