package main

import (
	"bytes"
	"context"
	"io"
	"os"

	"lafs/shares/caps"
	"lafs/shares/immutable"
)

// tahoeSegment is the largest segment that Tahoe-LAFS makes, in bytes.
const tahoeSegment = 128 << 10

// unchanged tells whether a file on the disk, of size bytes, is the one that
// a cap names. It asks nobody: the same content under the cap's key gives the
// same cap. Files whose segments are neither of our size nor of Tahoe's, and
// those that cannot be read, count as changed.
func unchanged(ctx context.Context, path string, size int64, cap string) bool {
	c, err := caps.Parse(cap)
	if err != nil {
		return false
	}
	switch c := c.(type) {
	case *caps.LIT:
		if c.Size() != size {
			return false
		}
		f, err := os.Open(path)
		if err != nil {
			return false
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, size+1))
		return err == nil && bytes.Equal(text, c.Data())
	case *caps.CHK:
		if c.Size != size {
			return false
		}
		return givesCap(ctx, path, c, immutable.DefaultSegmentSize) ||
			size > tahoeSegment && givesCap(ctx, path, c, tahoeSegment)
	}
	return false
}

// givesCap encodes a file with the cap's key and compares the caps.
func givesCap(ctx context.Context, path string, c *caps.CHK, segment int64) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	enc, err := immutable.NewEncoder(immutable.Params{Needed: c.Needed, Total: c.Total, MaxSegmentSize: segment}, c.Size, c.Key)
	if err != nil {
		return false
	}
	buf := make([]byte, enc.SegmentSize())
	for left := c.Size; left > 0; {
		part := buf[:min(left, int64(len(buf)))]
		if _, err := io.ReadFull(f, part); err != nil || ctx.Err() != nil {
			return false
		}
		if _, err := enc.Encode(part); err != nil {
			return false
		}
		left -= int64(len(part))
	}
	_, got, err := enc.Finish()
	return err == nil && got.Reveal() == c.Reveal()
}
