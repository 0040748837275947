package grid

import "hash/maphash"

// A seen tells whether a source gives the same bytes each time that it is
// read. A file that is written to while it is being uploaded would have the
// key of what it was: servers may hold that already, so that the cap of a
// mixture reads nothing, and two texts encrypted with one key give each other
// away. It keeps 8 bytes a segment, in memory, and serves one goroutine at a
// time.
type seen struct {
	seed maphash.Seed
	sums []uint64 // of segments, from the first on
}

func newSeen() *seen { return &seen{seed: maphash.MakeSeed()} }

// segment notes segment i, or compares it with what it was before; they come
// in order. Of a nil seen all is good: a repair's source is checked against
// its cap.
func (s *seen) segment(i int, plaintext []byte) error {
	if s == nil {
		return nil
	}
	sum := maphash.Bytes(s.seed, plaintext)
	if i == len(s.sums) {
		s.sums = append(s.sums, sum)
	}
	if s.sums[i] != sum {
		return ErrSourceChanged
	}
	return nil
}
