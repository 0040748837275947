package mux

import "context"

// What a handler claims is kept apart from what waits for handlers: a
// quarter of the bytes is for the latter alone.
const buffersPart = 4

// A session may claim while it has no more than sessionShare times what is
// left for others, so two thirds of all; a group, groupShare times, so three
// quarters.
const (
	sessionShare = 2
	groupShare   = 3
)

// A Claim is what one request's handler holds of a budget's bytes. One
// goroutine uses it.
type Claim struct {
	of             *budget
	session, group any
	taken          int64
}

// Claim returns a claim of nothing, for a request that came with ctx from
// who belongs to group, as in Place.Know. End must follow.
func (b *Budget) Claim(ctx context.Context, group any) *Claim {
	c := &Claim{of: b.bytes, group: group}
	if p := PlaceOf(ctx); p != nil {
		c.session = p
	}
	return c
}

// Take asks for n bytes more; false if they are not there, or would leave
// too little for others.
func (c *Claim) Take(n int64) bool {
	if n <= 0 {
		return true
	}
	b := c.of
	b.mu.Lock()
	defer b.mu.Unlock()
	left := b.max - max(b.total, b.max/buffersPart) - b.claimed - n
	if left < 0 || c.session != nil && b.bySession[c.session]+n > sessionShare*left || b.byGroup[c.group]+n > groupShare*left {
		b.refused++
		return false
	}
	b.claimLocked(c, n)
	return true
}

// End gives everything back.
func (c *Claim) End() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.claimLocked(c, -c.taken)
}

func (b *budget) claimLocked(c *Claim, n int64) {
	b.claimed += n
	c.taken += n
	count := func(m map[any]int64, k any) {
		if m[k] += n; m[k] == 0 {
			delete(m, k)
		}
	}
	if c.session != nil {
		count(b.bySession, c.session)
	}
	count(b.byGroup, c.group)
}
