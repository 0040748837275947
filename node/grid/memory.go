package grid

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// An account is one transfer's part of the memory of all transfers.
type account struct {
	own, all *semaphore.Weighted
	ownMax   int64
}

func (g *Grid) account() *account {
	most := max(g.cfg.Memory/3, 1)
	return &account{own: semaphore.NewWeighted(most), all: g.memory, ownMax: most}
}

// A hold is memory in use. Its last user gives it back.
type hold struct {
	a    *account
	n    int64
	refs atomic.Int64
}

// take waits for n bytes, to be released by refs users. What is larger than
// a transfer's part counts as the whole part, so that it can proceed alone.
func (a *account) take(ctx context.Context, n int64, refs int) (*hold, error) {
	if n == 0 {
		return a.held(0, refs), nil // does not queue behind those that want some
	}
	n = min(n, a.ownMax)
	if err := a.own.Acquire(ctx, n); err != nil {
		return nil, err
	}
	if err := a.all.Acquire(ctx, n); err != nil {
		a.own.Release(n)
		return nil, err
	}
	return a.held(n, refs), nil
}

// tryTake is take without waiting; nil means that there is not enough.
func (a *account) tryTake(n int64, refs int) *hold {
	if n == 0 {
		return a.held(0, refs)
	}
	n = min(n, a.ownMax)
	if !a.own.TryAcquire(n) {
		return nil
	}
	if !a.all.TryAcquire(n) {
		a.own.Release(n)
		return nil
	}
	return a.held(n, refs)
}

func (a *account) held(n int64, refs int) *hold {
	h := &hold{a: a, n: n}
	h.refs.Store(int64(refs))
	return h
}

// release ends one use.
func (h *hold) release() {
	if h.refs.Add(-1) == 0 {
		h.a.all.Release(h.n)
		h.a.own.Release(h.n)
	}
}
