package grid_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"lafs/node/grid"
)

// turningSource gives other bytes, as many, each time that it is opened; the
// last ones from then on.
type turningSource struct{ left *[][]byte }

func turning(texts ...[]byte) turningSource { return turningSource{&texts} }

func (s turningSource) Size() int64 { return int64(len((*s.left)[0])) }
func (s turningSource) Open() (io.ReadCloser, error) {
	b := (*s.left)[0]
	if len(*s.left) > 1 {
		*s.left = (*s.left)[1:]
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// TestSourceTurns: a file that is written to while it is being uploaded has
// the key of what it was, and servers may hold that: the cap of the mixture
// would read nothing, and two texts would be encrypted with one key.
func TestSourceTurns(t *testing.T) {
	for _, size := range []int{5_000, 2_000_000} {
		for _, at := range []int{0, size / 2, size - 1} {
			for _, there := range []bool{false, true} {
				tg := newGrid(t, 5, 3, 5, 5)
				before := content(size)
				after := slices.Clone(before)
				after[at] ^= 1
				if there {
					tg.put(t, before)
				}
				written := tg.written()
				res, err := tg.Upload(t.Context(), turning(before, after), grid.UploadOptions{})
				if err == nil {
					_, err := tg.get(t.Context(), res.Cap, 0, -1)
					t.Errorf("%d bytes, changed at %d, there before: %v: it was uploaded; get: %v", size, at, there, err)
				} else if !errors.Is(err, grid.ErrSourceChanged) {
					t.Errorf("%d bytes, changed at %d: got %v, want ErrSourceChanged", size, at, err)
				}
				if at == 0 && tg.written() != written {
					t.Errorf("%d bytes, changed at the beginning: %d were sent", size, tg.written()-written)
				}
			}
		}
	}
}
