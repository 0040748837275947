package immutable_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"lafs/shares/immutable"
)

// TestConcurrent opens all shares at once and reads segments at once.
func TestConcurrent(t *testing.T) {
	for _, size := range []int{3000, 40_000, 400_000} {
		plaintext := content("concurrent", size)
		shares, c := encodeWith(t, immutable.Params{Needed: 3, Total: 8, MaxSegmentSize: 30}, plaintext, immutable.RandomKey())
		d, err := immutable.NewDecoder(c)
		if err != nil {
			t.Fatal(err)
		}
		opened := make([]*immutable.Share, len(shares))
		var wg sync.WaitGroup
		for n := range shares {
			wg.Go(func() {
				var err error
				if opened[n], err = d.OpenShare(context.Background(), n, bytesReader(shares[n])); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for reader := range 4 {
			wg.Go(func() {
				for seg := reader; seg < d.NumSegments(); seg += 1 + d.NumSegments()/97 {
					blocks := make(map[int][]byte)
					for i := range 3 {
						n := (seg + i*(reader+1)) % 8
						got, err := opened[n].Blocks(context.Background(), seg, 1)
						if err != nil {
							t.Error(err)
							return
						}
						blocks[n] = got[0]
					}
					if len(blocks) < 3 {
						continue
					}
					got, err := d.DecodeSegment(seg, blocks)
					if at := seg * 30; err != nil || !bytes.Equal(got, plaintext[at:min(at+30, size)]) {
						t.Errorf("segment %d: %v", seg, err)
					}
				}
			})
		}
		wg.Wait()
	}
}

// TestLastResort: a share whose segment hashes are wrong, one of just k, does
// for its blocks once another share has shown those hashes.
func TestLastResort(t *testing.T) {
	shares, c := encodeWith(t, immutable.Params{Needed: 2, Total: 2}, content("a", 500), immutable.RandomKey())
	spoilt := slices.Clone(shares[0])
	spoilt[sectionsOf(spoilt).crypttext] ^= 1
	d, err := immutable.NewDecoder(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.OpenShare(context.Background(), 0, bytesReader(spoilt)); !errors.Is(err, immutable.ErrCorrupt) {
		t.Errorf("OpenShare before another share: got %v, want ErrCorrupt", err)
	}
	if _, err := d.OpenShare(context.Background(), 1, bytesReader(shares[1])); err != nil {
		t.Fatal(err)
	}
	if _, err := d.OpenShare(context.Background(), 0, bytesReader(spoilt)); err != nil {
		t.Errorf("OpenShare after another share: %v", err)
	}
}
