package store

import (
	"cmp"
	"slices"

	"lafs/shares/storage"
)

// ranges are the bytes of an upload that were written: in rising order,
// neither empty nor touching.
type ranges []storage.Range

// add returns r with [begin, end) in it.
func (r ranges) add(begin, end int64) ranges {
	// i is the first range that ends at begin or later, j the first that
	// begins after end: those between are swallowed.
	i, _ := slices.BinarySearchFunc(r, begin, func(e storage.Range, at int64) int { return cmp.Compare(e.End, at) })
	j := i
	for j < len(r) && r[j].Begin <= end {
		begin, end = min(begin, r[j].Begin), max(end, r[j].End)
		j++
	}
	return slices.Replace(r, i, j, storage.Range{Begin: begin, End: end})
}

// within returns the parts of r that lie in [begin, end).
func (r ranges) within(begin, end int64) []storage.Range {
	var out []storage.Range
	for _, e := range r {
		if b, d := max(e.Begin, begin), min(e.End, end); b < d {
			out = append(out, storage.Range{Begin: b, End: d})
		}
	}
	return out
}

// missing returns what of [0, size) is not in r.
func (r ranges) missing(size int64) []storage.Range {
	var out []storage.Range
	at := int64(0)
	for _, e := range r {
		if at < e.Begin {
			out = append(out, storage.Range{Begin: at, End: e.Begin})
		}
		at = e.End
	}
	if at < size {
		out = append(out, storage.Range{Begin: at, End: size})
	}
	return out
}

// total returns how many bytes are in r.
func (r ranges) total() int64 {
	var n int64
	for _, e := range r {
		n += e.End - e.Begin
	}
	return n
}
