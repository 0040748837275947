package gbs

import (
	"io"
	"sync"

	"lafs/shares/storage"
)

// freeBytes is what each request may hold beside the budget: small ones
// never fail for large ones.
const freeBytes = 64 << 10

// A budget bounds the memory that requests take together.
type budget struct {
	mu   sync.Mutex
	left int64 // guarded by mu
}

// A claim is what one request took of a budget. One goroutine uses it.
type claim struct {
	of          *budget
	need, taken int64
}

func (b *budget) claim() *claim { return &claim{of: b} }

// take asks for n bytes more; false if they are not there.
func (c *claim) take(n int64) bool {
	c.need += n
	more := c.need - freeBytes - c.taken
	if more <= 0 {
		return true
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.of.left < more {
		return false
	}
	c.of.left -= more
	c.taken += more
	return true
}

// end gives everything back.
func (c *claim) end() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.left += c.taken
	c.taken = 0
}

// readAll reads r to its end and takes what it holds as it comes: who sends
// slowly takes little. storage.ErrBusy: there is no room for more.
func (c *claim) readAll(r io.Reader) ([]byte, error) {
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
		if !c.take(grown - int64(cap(b))) {
			return nil, storage.ErrBusy
		}
		next := make([]byte, len(b), grown)
		copy(next, b)
		b = next
	}
}
