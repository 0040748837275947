package agree

import (
	"errors"
	"fmt"
	"slices"
)

// Quorums are the numbers of servers, of those on an object's placement
// list, that its operations need.
type Quorums struct {
	// Servers is the length of the placement list.
	Servers int
	// Classic servers must vote in a classic ballot for a version to be
	// chosen.
	Classic int
	// Fast servers must vote in a fast ballot for a version to be chosen.
	Fast int
	// Read servers meet every classic quorum: it takes the states of that
	// many to decide anything.
	Read int
}

// ErrPlacement is a placement list that holds no object: no server, fewer
// slots than the object needs, or an empty place.
var ErrPlacement = errors.New("the placement list cannot hold the object")

// NewQuorums computes quorums for an object whose shares any needed rebuild
// and of which the i-th server of the placement list holds slots[i].
func NewQuorums(slots []int, needed int) (Quorums, error) {
	n, total := len(slots), 0
	sorted := slices.Sorted(slices.Values(slots))
	for _, w := range sorted {
		if w < 1 || w > 256 {
			return Quorums{}, fmt.Errorf("%w: a server with %d slots", ErrPlacement, w)
		}
		total += w
	}
	if needed < 1 || total < needed || total > 256 {
		return Quorums{}, fmt.Errorf("%w: %d slots on %d servers, %d needed", ErrPlacement, total, n, needed)
	}
	// small is how many slots m servers hold at the least.
	small := func(m int) int {
		sum := 0
		for _, w := range sorted[:max(m, 0)] {
			sum += w
		}
		return sum
	}
	q := Quorums{Servers: n, Classic: n, Fast: n}
	for t := 1; t <= n; t++ {
		if 2*t > n && small(2*t-n) >= needed && 2*small(t) > total {
			q.Classic = t
			break
		}
	}
	for t := q.Classic; t <= n; t++ {
		if 2*t+q.Classic > 2*n && small(t+q.Classic-n) >= needed {
			q.Fast = t
			break
		}
	}
	q.Read = n - q.Classic + 1
	return q, nil
}

// of is the number of votes that choose a version in ballot b.
func (q Quorums) of(b Ballot) int {
	if b.IsFast() {
		return q.Fast
	}
	return q.Classic
}
