package grid

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// A memory is what all transfers share.
type memory struct {
	size int64
	all  *semaphore.Weighted
	used atomic.Int64
}

func newMemory(size int64) *memory { return &memory{size: size, all: semaphore.NewWeighted(size)} }

// surplus, in twelfths of all memory, is how much may be in use for a transfer
// to go beyond its own third. That is 24 MiB of 48: over Tor 20 lanes have some
// 10 MiB on their way, and as much lies and waits for what comes before it. A
// node that gets 1 GiB then has some 100 MiB resident.
const surplus = 6

// An account is one transfer's part of the memory of all transfers: a third
// is its own to take, and up to surplus while others leave so much unused.
type account struct {
	m      *memory
	own    *semaphore.Weighted
	ownMax int64
}

func (g *Grid) account() *account {
	most := max(g.memory.size/3, 1)
	return &account{m: g.memory, own: semaphore.NewWeighted(most), ownMax: most}
}

// A hold is memory in use. Its last user gives it back.
type hold struct {
	a    *account
	n    int64
	own  bool // it is of the account's own part
	refs atomic.Int64
}

// take waits for n bytes, to be released by refs users. What is larger than
// a transfer's part counts as the whole part, so that it can proceed alone.
func (a *account) take(ctx context.Context, n int64, refs int) (*hold, error) {
	if h := a.tryTake(n, refs); h != nil {
		return h, nil
	}
	n = min(n, a.ownMax)
	if err := a.own.Acquire(ctx, n); err != nil {
		return nil, err
	}
	if err := a.m.all.Acquire(ctx, n); err != nil {
		a.own.Release(n)
		return nil, err
	}
	return a.held(n, true, refs), nil
}

// tryTake is take without waiting; nil means that there is not enough.
func (a *account) tryTake(n int64, refs int) *hold {
	if n == 0 {
		return a.held(0, true, refs) // does not queue behind those that want some
	}
	n = min(n, a.ownMax)
	own := a.own.TryAcquire(n)
	if !own && a.m.used.Load()+n > a.m.size*surplus/12 {
		return nil
	}
	if !a.m.all.TryAcquire(n) {
		if own {
			a.own.Release(n)
		}
		return nil
	}
	return a.held(n, own, refs)
}

func (a *account) held(n int64, own bool, refs int) *hold {
	a.m.used.Add(n)
	h := &hold{a: a, n: n, own: own}
	h.refs.Store(int64(refs))
	return h
}

// release ends one use.
func (h *hold) release() {
	if h.refs.Add(-1) > 0 {
		return
	}
	h.a.m.used.Add(-h.n)
	h.a.m.all.Release(h.n)
	if h.own {
		h.a.own.Release(h.n)
	}
}
