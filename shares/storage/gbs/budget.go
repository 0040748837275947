package gbs

import (
	"io"

	"lafs/onion/mux"
	"lafs/shares/storage"
)

// freeBytes is what each request may hold beside the budget: small ones
// never fail for large ones.
const freeBytes = 64 << 10

// A claim is what one request takes of the process's bytes. One goroutine
// uses it.
type claim struct {
	of          *mux.Claim
	need, taken int64
}

// take asks for n bytes more; false if they are not there.
func (c *claim) take(n int64) bool {
	c.need += n
	more := c.need - freeBytes - c.taken
	if more <= 0 {
		return true
	}
	if !c.of.Take(more) {
		c.need -= n
		return false
	}
	c.taken += more
	return true
}

// end gives everything back.
func (c *claim) end() { c.of.End() }

// readAll reads r to its end, of which size bytes are announced, -1 if none
// are, and takes what it holds as it comes: who sends slowly takes little.
// storage.ErrBusy: there is no room for more.
func (c *claim) readAll(r io.Reader, size int64) ([]byte, error) {
	b := make([]byte, 0, 1024)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
		if len(b) < cap(b) {
			continue
		}
		grown := 2 * int64(cap(b))
		if size >= int64(cap(b)) {
			grown = min(grown, size+1) // one more, to see the end
		}
		if !c.take(grown - int64(cap(b))) {
			return nil, storage.ErrBusy
		}
		next := make([]byte, len(b), grown)
		copy(next, b)
		b = next
	}
}
