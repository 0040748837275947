package immutable

import (
	"context"
	"strconv"

	"lafs/shares/caps"
	"lafs/shares/hashes"
)

// blocksAtOnce bounds what CheckAlone holds of the blocks, in bytes, beside
// one block, which may be larger.
const blocksAtOnce = 4 << 20

// CheckAlone reads all of share number n without a cap, for those who hold
// shares: every hash in it is checked down from its own UEB. What it cannot
// tell is whether the UEB is that of the file in whose bucket the share lies.
//
// ErrCorrupt: the share is wrong, and the answer says whether it could still
// be opened, so that readers can use those of its blocks that are right.
// Other errors are the reader's, or say that the file is of a kind that is
// not read.
func CheckAlone(ctx context.Context, n int, r ShareReader) (opens bool, err error) {
	c, err := claimed(ctx, r)
	if err != nil {
		return false, err
	}
	d, err := NewVerifier(c)
	if err != nil {
		return false, err
	}
	s, err := d.OpenShare(ctx, n, r)
	if err != nil {
		return false, err
	}
	if err := s.CheckTrees(ctx); err != nil {
		return true, err
	}
	step := int(max(1, blocksAtOnce/s.file.blockSize))
	for first := 0; first < d.NumSegments(); first += step {
		if _, err := s.Blocks(ctx, first, min(step, d.NumSegments()-first)); err != nil {
			return true, err
		}
	}
	return true, nil
}

// claimed is the verify cap that a share's own UEB would prove it by, of no
// storage index.
func claimed(ctx context.Context, r ShareReader) (*caps.CHKVerifier, error) {
	src := &source{reader: r}
	l, err := readLayout(ctx, src)
	if err != nil {
		return nil, err
	}
	raw, err := readRawUEB(ctx, src, l)
	if err != nil {
		return nil, err
	}
	values, err := cutUEB(raw)
	if err != nil {
		return nil, err
	}
	number := func(key string, most int64) (int64, error) {
		n, err := strconv.ParseInt(string(values[key]), 10, 64)
		if err != nil || n < 1 || n > most {
			return 0, corrupt("its UEB has no good " + key)
		}
		return n, nil
	}
	needed, err := number("needed_shares", 256)
	if err != nil {
		return nil, err
	}
	total, err := number("total_shares", 256)
	if err != nil {
		return nil, err
	}
	size, err := number("size", caps.MaxSize)
	if err != nil {
		return nil, err
	}
	if needed > total {
		return nil, corrupt("its UEB needs more shares than there are")
	}
	return &caps.CHKVerifier{UEBHash: hashes.UEB(raw), Needed: int(needed), Total: int(total), Size: size}, nil
}
