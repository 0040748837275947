package update

import (
	"errors"
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
		return nil, errors.Join(ErrTooFewServers, errors.New("no storage server is known yet"))
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
