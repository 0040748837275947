// Package erasure is the k-of-N code that makes N blocks of k, any k of which
// give the others back. It is byte for byte that of zfec (FORMATS.md section
// 3.3): the first k blocks are the data itself.
package erasure

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/reedsolomon"
)

// MaxTotal is the largest N: the code works in a field of 256 elements.
const MaxTotal = 256

// maxInversionCache bounds the N for which inverted matrices are kept: there
// may be as many as there are k-subsets.
const maxInversionCache = 16

// A Codec codes k of N. It is safe for concurrent use.
type Codec struct {
	needed, total int
	rs            reedsolomon.Encoder
}

// maxKept bounds the codecs that New keeps. Making one costs up to tens of
// milliseconds; caps from elsewhere may ask for any of 32,896 kinds.
const maxKept = 32

var (
	keptMu sync.Mutex
	kept   = make(map[[2]int]*Codec) // guarded by keptMu
)

// New returns the codec for k = needed of N = total, which it keeps for the
// next caller. 1 <= k <= N <= MaxTotal.
func New(needed, total int) (*Codec, error) {
	if needed < 1 || needed > total || total > MaxTotal {
		return nil, fmt.Errorf("no code makes %d shares of which %d are needed", total, needed)
	}
	keptMu.Lock()
	defer keptMu.Unlock()
	key := [2]int{needed, total}
	if c := kept[key]; c != nil {
		return c, nil
	}
	rs, err := reedsolomon.New(needed, total-needed,
		reedsolomon.WithCustomMatrix(parityRows(needed, total)),
		reedsolomon.WithInversionCache(total <= maxInversionCache))
	if err != nil {
		return nil, fmt.Errorf("make the code: %w", err)
	}
	if len(kept) >= maxKept {
		for old := range kept {
			delete(kept, old)
			break
		}
	}
	c := &Codec{needed, total, rs}
	kept[key] = c
	return c, nil
}

// Encode reads the first k of N blocks and overwrites the others. All must be
// of one length, at least 1.
func (c *Codec) Encode(blocks [][]byte) error {
	if len(blocks) != c.total {
		return fmt.Errorf("encode %d blocks with a code for %d", len(blocks), c.total)
	}
	if c.needed == c.total {
		return nil
	}
	if err := c.rs.Encode(blocks); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return nil
}

var errTooFew = errors.New("decode: too few blocks")

// Decode fills in those of the first k blocks that are missing: of length 0.
// It writes to their room when their capacity is enough, else to new memory.
// blocks has N places, at least k of them with blocks, all of one length.
func (c *Codec) Decode(blocks [][]byte) error {
	if len(blocks) != c.total {
		return fmt.Errorf("decode %d blocks with a code for %d", len(blocks), c.total)
	}
	present, primary := 0, 0
	for i, b := range blocks {
		if len(b) > 0 {
			present++
			if i < c.needed {
				primary++
			}
		}
	}
	switch {
	case present < c.needed:
		return errTooFew
	case primary == c.needed:
		return nil
	}
	if err := c.rs.ReconstructData(blocks); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}
