package placement

import "slices"

// A Server is one candidate as an upload sees it. Share numbers outside 0 to
// total-1 are ignored.
type Server struct {
	// Has lists the shares that it holds whole.
	Has []int
	// Ready lists the shares that it has agreed to take: sending one of them
	// costs no further question.
	Ready []int
	// Open says that it takes any share if asked, but those of Not: others,
	// corrupt ones say, stand in their place.
	Open bool
	Not  []int
}

// A Layout is where shares go. Indexes are those of the servers given to
// Plan.
type Layout struct {
	// Send lists, for each server, the shares to send there, rising. What is
	// not Ready there must be asked for first.
	Send [][]int
	// Unplaced lists the shares that nobody holds and nobody takes.
	Unplaced []int
	// Happiness is reached once everything in Send has arrived.
	Happiness int
}

// Plan lays out the shares 0 to total-1. Shares that a server has stay where
// they are and are not sent again, except that shares crowded on few servers
// are copied to others while the happiness is below happy. Shares that nobody
// has are spread: first over servers that stand for no other share, in the
// order given, what is Ready first; then, when there are fewer servers than
// shares, several to a server, evenly. The happiness of the result is the
// highest that can be, or happy where reaching more would need copies.
//
// With all servers open and empty, share i goes to server i mod
// len(servers).
func Plan(total, happy int, servers []Server) Layout {
	p := newPlan(total, servers)
	p.match(happy)
	out := Layout{Send: make([][]int, len(servers)), Happiness: p.pairs.size}
	load := make([]int, len(servers))
	for i := range servers {
		load[i] = len(p.has[i])
	}
	send := func(n, server int) {
		out.Send[server] = append(out.Send[server], n)
		load[server]++
	}
	var rest []int
	for n := range total {
		server, paired := p.pairs.serverOf[n]
		switch {
		case paired && !p.has[server][n]:
			send(n, server)
		case !paired && !p.held[n]:
			rest = append(rest, n)
		}
	}
	// What somebody is ready to take goes first, so that no share without a
	// home takes the place of one that has an offer.
	for _, mayAsk := range []bool{false, true} {
		for _, n := range rest {
			if placed(out.Send, n) {
				continue
			}
			if server := p.leastLoaded(n, load, mayAsk); server != none {
				send(n, server)
			} else if mayAsk {
				out.Unplaced = append(out.Unplaced, n)
			}
		}
	}
	for i := range out.Send {
		slices.Sort(out.Send[i])
	}
	return out
}

func placed(send [][]int, n int) bool {
	return slices.ContainsFunc(send, func(s []int) bool { return slices.Contains(s, n) })
}

// A plan is Plan's working state.
type plan struct {
	total   int
	servers []Server
	has     []map[int]bool // by server: shares held
	ready   []map[int]bool // by server: shares it agreed to take
	held    map[int]bool   // shares that anybody has
	pairs   *matching
}

func newPlan(total int, servers []Server) *plan {
	p := &plan{total: total, servers: servers, held: make(map[int]bool), pairs: newMatching(len(servers))}
	for _, s := range servers {
		has, ready := make(map[int]bool), make(map[int]bool)
		for _, n := range s.Has {
			if n >= 0 && n < total {
				has[n], p.held[n] = true, true
			}
		}
		for _, n := range s.Ready {
			if n >= 0 && n < total && !has[n] {
				ready[n] = true
			}
		}
		p.has, p.ready = append(p.has, has), append(p.ready, ready)
	}
	return p
}

// match pairs shares with servers in rounds, from what costs nothing to what
// costs most. A later round never unpairs a share or a server.
func (p *plan) match(happy int) {
	hasEdges := p.edges(func(server, n int) bool { return p.has[server][n] })
	readyEdges := p.edges(func(server, n int) bool { return p.ready[server][n] })
	openEdges := p.edges(func(server, n int) bool { return p.opens(server, n) && !p.has[server][n] })

	// What is held. Servers that take nothing come first: nothing but what
	// they hold can make them count.
	closed := p.edges(func(server, n int) bool { return p.has[server][n] && !p.servers[server].Open })
	for n := range p.total {
		p.pairs.augment(n, closed)
	}
	for n := range p.total {
		p.pairs.augment(n, join(closed, hasEdges))
	}
	// What must be sent in any case: first where it is expected. Shares that
	// are held may change places among their holders, no more.
	forMissing := func(missing edges) edges {
		return func(n int, visit func(int) bool) {
			if p.held[n] {
				hasEdges(n, visit)
			} else {
				missing(n, visit)
			}
		}
	}
	for _, next := range []edges{forMissing(readyEdges), forMissing(join(readyEdges, openEdges))} {
		for n := range p.total {
			if !p.held[n] {
				p.pairs.augment(n, next)
			}
		}
	}
	// Copies of what is held elsewhere, only as far as happiness asks.
	all := join(hasEdges, readyEdges, openEdges)
	for n := range p.total {
		if p.pairs.size < happy {
			p.pairs.augment(n, all)
		}
	}
}

// opens reports whether a server takes share n if asked.
func (p *plan) opens(server, n int) bool {
	s := p.servers[server]
	return s.Open && !slices.Contains(s.Not, n)
}

func (p *plan) edges(ok func(server, n int) bool) edges {
	return func(n int, visit func(int) bool) {
		for i := range p.servers {
			if ok(i, n) && !visit(i) {
				return
			}
		}
	}
}

// join visits the servers of each list in turn.
func join(lists ...edges) edges {
	return func(n int, visit func(int) bool) {
		going := true
		for _, list := range lists {
			list(n, func(server int) bool {
				going = visit(server)
				return going
			})
			if !going {
				return
			}
		}
	}
}

// leastLoaded returns the server with the fewest shares that takes share n:
// one that is ready to, or, where mayAsk, any open one.
func (p *plan) leastLoaded(n int, load []int, mayAsk bool) int {
	best := none
	for i := range p.servers {
		takes := p.ready[i][n] || mayAsk && p.opens(i, n)
		if takes && (best == none || load[i] < load[best]) {
			best = i
		}
	}
	return best
}
