package grid

import "lafs/shares/caps"

// decodersAtOnce is how many spans are decoded at once: two processors decode
// many times what Tor brings, and each span costs memory.
const decodersAtOnce = 2

// A cut is how a download is cut into spans.
type cut struct {
	segment     int64 // bytes of a segment
	perSpan     int   // segments
	first, last int   // segments that hold what is wanted
}

func newCut(segment int64, c *caps.CHKVerifier, offset, length int64) cut {
	return cut{
		segment: segment,
		perSpan: max(1, int(spanBytes/max(1, segment/int64(c.Needed)))),
		first:   int(offset / segment),
		last:    int((offset + length - 1) / segment),
	}
}

// count is how many segments the span has that begins with first.
func (c cut) count(first int) int { return min(c.perSpan, c.last-first+1) }

// cost is the memory that a span takes: it is held once, as blocks or as
// plaintext.
func (c cut) cost() int64 { return c.segment * int64(c.perSpan) }

// reserves is the memory for parts that are asked of further servers, those of
// two spans.
func (c cut) reserves() int64 { return 2 * c.cost() }

// base is the memory without which a download does not begin: one span, what
// is decoded once more, and reserves.
func (c cut) base() int64 { return (1+decodersAtOnce)*c.cost() + c.reserves() }
