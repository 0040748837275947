package update

import (
	"fmt"
	"math"
	"slices"

	"lafs/node/grid"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/placement"
	"lafs/shares/storage"
)

// candidates orders the servers in the order in which si visits them; those
// that have stopped answering come last.
func (e *Engine) candidates(si caps.StorageIndex) []grid.Server {
	servers := placement.Permute(si, e.cfg.Servers(), serverSeed)
	e.mu.Lock()
	defer e.mu.Unlock()
	slices.SortStableFunc(servers, func(a, b grid.Server) int { return e.rank(a.ID) - e.rank(b.ID) })
	return servers
}

func serverSeed(s grid.Server) []byte { return s.Seed }

// rank is 1 for servers that have stopped answering. The caller holds mu.
func (e *Engine) rank(id string) int {
	if p := e.peers[id]; p != nil && p.suspect {
		return 1
	}
	return 0
}

// place chooses the servers of a new object: of the layouts over the first
// candidates, the one that lets the most servers fail and still writes.
func (e *Engine) place(si caps.StorageIndex) (*layout, error) {
	servers := e.candidates(si)
	voters := slices.DeleteFunc(slices.Clone(servers), func(s grid.Server) bool { return s.Slots == nil })
	switch {
	case len(servers) == 0:
		return nil, fmt.Errorf("%w: no storage server is known yet", ErrTooFewServers)
	case len(voters) == 0:
		return nil, ErrNoSlots
	}
	m, total := choose(len(voters), e.cfg.Needed, e.cfg.Total)
	l := &layout{needed: e.cfg.Needed, total: total}
	for i, s := range voters[:m] {
		v := voter{id: s.ID}
		for n := i; n < total; n += m {
			v.shares = append(v.shares, storage.ShareNumber(n))
		}
		l.voters = append(l.voters, v)
	}
	return l, l.complete()
}

// chooses reports whether there are more servers than a new object is put on.
func (e *Engine) chooses() bool {
	known := 0
	for _, s := range e.cfg.Servers() {
		if s.Slots != nil {
			known++
		}
	}
	m, _ := choose(known, e.cfg.Needed, e.cfg.Total)
	return m < known
}

// choose says over how many of the known servers N shares are spread, and
// how large N is. N is raised where few servers could otherwise lose none,
// such as three shares of which two are needed on three servers: a quorum
// must leave k shares behind it.
func choose(known, needed, total int) (servers, shares int) {
	best := -1
	for _, n := range []int{total, min(max(total, needed*min(known, total)), 255)} {
		for m := min(known, n); m >= 1; m-- {
			q, err := agree.NewQuorums(spread(m, n), needed)
			if err != nil {
				continue
			}
			// Failures survived, then failures survived in one trip.
			if score := (m-q.Classic)*1000 + (m - q.Fast); score > best {
				best, servers, shares = score, m, n
			}
		}
		if best >= 1000 {
			break
		}
	}
	return servers, shares
}

// spread counts how many of n shares each of m servers gets.
func spread(m, n int) []int {
	slots := make([]int, m)
	for i := range n {
		slots[i%m]++
	}
	return slots
}

// successor is the list to take l's place when some of its servers are gone.
// Their shares go to spare servers, as many as are gone if that is as good as
// any, or to those that stay. Those that stay can install it without the
// others. It is nil if no server is gone, and if l is no worse.
func (l *layout) successor(gone map[string]bool, spare []string) (best *layout) {
	var kept []voter
	var homeless []storage.ShareNumber
	for _, v := range l.voters {
		if gone[v.id] {
			homeless = append(homeless, v.shares...)
		} else {
			kept = append(kept, v)
		}
	}
	if len(homeless) == 0 || len(kept) == 0 || l.generation == math.MaxUint16 {
		return nil
	}
	// How many servers may fail before it can not be written, or not in one
	// trip. To stay, and wait for servers to come back, costs only the latter.
	score := (len(kept) - l.quorums.Classic) * 1000
	before := &layout{needed: l.needed, total: l.total, generation: l.generation, voters: l.voters}
	try := func(spare []string) {
		m := &layout{needed: l.needed, total: l.total, generation: l.generation + 1, before: before, voters: settle(kept, spare, homeless)}
		if m.complete() != nil || m.quorums.Classic > len(kept) {
			return
		}
		n := len(m.voters)
		s := (n-m.quorums.Classic)*1000 + n - m.quorums.Fast
		if s > score && (len(spare) > 0 || s >= score+1000) || s == score && best == nil && len(spare) > 0 {
			best, score = m, s
		}
	}
	usual := min(len(l.voters)-len(kept), len(spare))
	try(spare[:usual])
	for n := range min(len(spare), len(homeless)) + 1 {
		if n != usual {
			try(spare[:n])
		}
	}
	return best
}

// settle gives each homeless share to a server that has the fewest, and to a
// spare one rather than to one that is there already.
func settle(kept []voter, spare []string, homeless []storage.ShareNumber) []voter {
	var out []voter
	for _, id := range spare {
		out = append(out, voter{id: id})
	}
	for _, v := range kept {
		out = append(out, voter{v.id, slices.Clone(v.shares)})
	}
	for _, n := range homeless {
		least := 0
		for i := range out {
			if len(out[i].shares) < len(out[least].shares) {
				least = i
			}
		}
		out[least].shares = append(out[least].shares, n)
	}
	return out
}
