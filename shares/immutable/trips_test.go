package immutable_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"lafs/shares/immutable"
)

// distant is a reader whose every read takes one trip.
type distant []byte

const trip = time.Second

func (d distant) ReadShare(ctx context.Context, offset int64, p []byte) (int, error) {
	time.Sleep(trip)
	return bytesReader(d).ReadShare(ctx, offset, p)
}

// TestTrips counts the trips, one after another, that it takes to open the
// first share of a file, to open a second one, and to read a block.
func TestTrips(t *testing.T) {
	const mib = 1 << 20
	for _, tc := range []struct {
		name                string
		size                int
		segSize             int64
		first, second, read time.Duration
	}{
		{"tiny", 56, 0, 1, 1, 0},
		{"small", 180_000, 0, 1, 1, 0},
		{"small, old", 180_000, immutable.OldSegmentSize, 1, 1, 0},
		{"small, strange", 100_000, 7_777, 1, 1, 0},
		{"small, strange, near the limit", 180_000, 7_777, 1, 1, 1},
		{"middle", 200_000, 0, 1, 1, 1},
		{"middle, old", 200_000, immutable.OldSegmentSize, 1, 1, 1},
		{"10 MiB", 10 * mib, 0, 1, 1, 1},
		{"10 MiB, old", 10 * mib, immutable.OldSegmentSize, 1, 1, 1},
		{"10 MiB, strange", 10 * mib, 77_777, 3, 1, 1},
		{"40 MiB", 40 * mib, 0, 1, 1, 1},
		{"40 MiB, old", 40 * mib, immutable.OldSegmentSize, 2, 1, 1},
		{"paged trees", 300_000, 60, 3, 1, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			plaintext := make([]byte, tc.size)
			shares, c := encodeWith(t, immutable.Params{Needed: 3, Total: 4, MaxSegmentSize: tc.segSize}, plaintext, immutable.RandomKey())
			synctest.Test(t, func(t *testing.T) {
				d, err := immutable.NewDecoder(c)
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				took := func(what string, want time.Duration) {
					t.Helper()
					if got := time.Since(start) / trip; got != want {
						t.Errorf("%s: %d trips, want %d", what, got, want)
					}
					start = time.Now()
				}
				if _, err = d.OpenShare(t.Context(), 0, distant(shares[0])); err != nil {
					t.Fatal(err)
				}
				took("first share", tc.first)
				s, err := d.OpenShare(t.Context(), 3, distant(shares[3]))
				if err != nil {
					t.Fatal(err)
				}
				took("second share", tc.second)
				blocks, err := s.Blocks(t.Context(), 0, min(2, d.NumSegments()))
				if err != nil || !bytes.HasPrefix(shares[3][0x24:], blocks[0]) {
					t.Fatal(err)
				}
				took("blocks", tc.read)
			})
		})
	}
}
