package agree_test

import (
	"fmt"
	"slices"

	"lafs/shares/agree"
)

// run does the client's modifies one after the other.
func (c *client) run(yield func(struct{}) bool) {
	pause := func() bool {
		c.waiting = true
		return yield(struct{}{})
	}
	for ; c.todo > 0; c.todo-- {
		c.busy = false
		if !pause() {
			return
		}
		c.busy = true
		if c.sim.moving && c.sim.rng.IntN(4) == 0 {
			// One that has slept for long, or is new.
			c.known, c.list = false, []string{"", c.sim.force[0]}[c.sim.rng.IntN(2)]
		}
		o := &op{outcome: "unknown"}
		for _, done := range c.sim.ops {
			if done.outcome == "done" || done.outcome == "read" && !done.acked.IsZero() {
				o.after = append(o.after, done.acked)
			}
		}
		c.sim.ops = append(c.sim.ops, o)
		if c.sim.rng.IntN(3) == 0 {
			if !c.read(o, pause) {
				return
			}
			continue
		}
		if !c.modify(o, c.sim.moving && c.sim.rng.IntN(3) == 0, pause) {
			return
		}
		if o.outcome == "unknown" && (len(o.versions) == 0 || c.sim.client.denies) {
			o.outcome = "not done"
		}
	}
}

// read is one reading: it returns a version that was the newest chosen one
// at some moment, or says that it is undecided.
func (c *client) read(o *op, pause func() bool) bool {
	f, ok := c.look(pause)
	if ok && (f.Verdict == agree.Chosen || f.Verdict == agree.Previous) && !f.Behind {
		o.outcome, o.reads, o.acked = "read", true, f.Version
	}
	return ok
}

// look reads from the servers of the list, or from all, and follows to newer
// lists.
func (c *client) look(pause func() bool) (f agree.Finding, ok bool) {
	s := c.sim
	var all []answer
	asked := c.voters(c.list)
	for range 3 {
		answers, ok := c.ask(agree.Read{}, "", asked, pause)
		if !ok {
			return f, false
		}
		all = append(all, answers...)
		f = s.find(s.lists[c.list], s.witnesses(all, false))
		asked = nil
		for _, l := range []*agree.List{f.List, f.Next} {
			if l == nil {
				continue
			}
			for _, i := range c.voters(s.nameOf(l)) {
				if !slices.ContainsFunc(all, func(a answer) bool { return a.server == i }) && !slices.Contains(asked, i) {
					asked = append(asked, i)
				}
			}
		}
		if f.Verdict != agree.TooFew && !f.Behind || len(asked) == 0 {
			break
		}
	}
	c.follow(f)
	return f, true
}

// follow notes a newer list, once it is installed.
func (c *client) follow(f agree.Finding) {
	if f.List != nil && f.Installed && (c.list == "" || c.sim.lists[c.list].Generation < f.List.Generation) {
		c.list = c.sim.nameOf(f.List)
	}
}

// voters are the servers of a list; all if there is none.
func (c *client) voters(list string) (out []int) {
	for i := range c.sim.servers {
		if list == "" || c.sim.has(list, i) {
			out = append(out, i)
		}
	}
	return out
}

// ask sends m and collects answers until the schedule lets the client go on.
func (c *client) ask(m agree.Message, list string, to []int, pause func() bool) ([]answer, bool) {
	c.round++
	c.answers, c.asked = nil, to
	c.cast(m, list, to, false)
	ok := pause()
	for _, a := range c.answers {
		c.maxN = max(c.maxN, a.state.Promised.N, a.state.Accepted.N)
		c.maxSeq = max(c.maxSeq, a.state.Current.Seq, a.state.Base.Version.Seq)
	}
	return c.answers, ok
}

func (c *client) cast(m agree.Message, list string, to []int, ignored bool) {
	for _, i := range to {
		e := envelope{from: c, round: c.round, server: i, msg: m, list: list, ignored: ignored}
		c.sim.flight = append(c.sim.flight, e)
		if c.sim.rng.IntN(50) == 0 {
			c.sim.flight = append(c.sim.flight, e) // a repeat
		}
	}
}

func (s *sim) witnesses(answers []answer, onlyDone bool) (out []agree.Witness) {
	for _, a := range answers {
		if a.done || !onlyDone {
			out = append(out, agree.Witness{Server: serverName(a.server), State: a.state, List: s.lists[a.rec]})
		}
	}
	return out
}

// holders counts those that promised and have shares of v.
func holders(answers []answer, v agree.VersionID) (n int) {
	for _, a := range answers {
		if st := a.state; a.done && (st.Current == v || !st.Committed && !st.Base.Itself && st.Base.Version == v) {
			n++
		}
	}
	return n
}

func yes(answers []answer) (n int) {
	for _, a := range answers {
		if a.done {
			n++
		}
	}
	return n
}

// install brings version x to the servers of a list that was chosen.
func (c *client) install(list string, x agree.VersionID, pause func() bool) bool {
	s, l := c.sim, c.sim.lists[list]
	b := agree.First(l.Generation)
	if s.careful {
		b = agree.Classic(l.Generation, c.maxN, 0, s.rng.Uint64())
	}
	answers, ok := c.ask(agree.Accept{Ballot: b, Version: x, Base: agree.Base{Itself: true}}, list, c.voters(list), pause)
	if !ok {
		return false
	}
	there := 0
	for _, a := range answers {
		if a.state.Accepted.Generation() >= l.Generation {
			there++
		}
	}
	if there < l.Quorums.Classic {
		return true
	}
	if c.list == "" || s.lists[c.list].Generation < l.Generation {
		c.list = list
	}
	to := c.voters(list)
	for i := range s.servers {
		if l.Before != nil && l.Before.Has(serverName(i)) && !l.Has(serverName(i)) {
			to = append(to, i)
		}
	}
	c.cast(agree.Learn{Version: x, Ballot: b}, list, to, true)
	if yes(answers) >= l.Quorums.Classic {
		c.known, c.version, c.ballot = true, x, b
	}
	return true
}

// successor is a list to take the place of the client's: some servers are
// replaced by others, or go, or come.
func (c *client) successor() string {
	s, on := c.sim, c.voters(c.list)
	var off []int
	for i := range s.servers {
		if !slices.Contains(on, i) {
			off = append(off, i)
		}
	}
	s.rng.Shuffle(len(on), func(i, j int) { on[i], on[j] = on[j], on[i] })
	s.rng.Shuffle(len(off), func(i, j int) { off[i], off[j] = off[j], off[i] })
	out, in := s.rng.IntN(3), min(s.rng.IntN(3), len(off))
	if len(on)-out+in < max(s.needed, 2) || out > len(on) {
		out = 0
	}
	return s.newList(append(on[out:len(on):len(on)], off[:in]...), c.list)
}

// less is one, if so.
func less(so bool) int {
	if so {
		return 1
	}
	return 0
}

// modify is section 4 of the design, without its waits: the schedule is
// hostile enough. It is false when the simulation is being torn down. moves:
// the list is to be replaced on the way.
func (c *client) modify(o *op, moves bool, pause func() bool) bool {
	s := c.sim
	var open []agree.VersionID
	ballots := map[agree.VersionID]agree.Ballot{}
	ack := func(own agree.VersionID) { o.outcome, o.acked = "done", own }
	learn := func(v agree.VersionID, b agree.Ballot) {
		c.known, c.version, c.ballot = true, v, b
		c.cast(agree.Learn{Version: v, Ballot: b}, c.list, c.voters(c.list), true)
	}
	mine := func(v agree.VersionID) (agree.VersionID, bool) {
		i := slices.IndexFunc(open, func(u agree.VersionID) bool { return s.descends(v, u) })
		if i < 0 {
			return agree.VersionID{}, false
		}
		return open[i], true
	}
	for range 12 {
		if c.known && len(open) == 0 && !moves {
			u := s.newVersion(c.version, max(c.maxSeq, c.version.Seq)+1)
			open, ballots[u] = append(open, u), c.ballot.Next()
			o.versions = append(o.versions, u)
			answers, ok := c.ask(agree.Fast{Old: c.version, Ballot: c.ballot, New: u}, c.list, c.voters(c.list), pause)
			if !ok {
				return false
			}
			if yes(answers) >= s.lists[c.list].Quorums.Fast-less(s.client.eager) {
				ack(u)
				learn(u, c.ballot.Next())
				return true
			}
			c.known = false
		}
		f, ok := c.look(pause)
		if !ok {
			return false
		}
		c.known = false
		if f.List == nil {
			if c.list == "" {
				c.list = s.force[0] // nobody has heard of the object
			}
		} else if next := f.Next; f.Verdict != agree.TooFew && (f.Sealed || !f.Installed) {
			// A change of the list was left half done.
			if !f.Installed {
				next = f.List
			}
			if !c.install(s.nameOf(next), f.Version, pause) {
				return false
			}
			continue
		} else if c.list == "" || s.lists[c.list].Generation < f.List.Generation {
			continue
		}
		if f.Verdict == agree.Chosen && f.Next == nil && !f.Behind {
			if own, is := mine(f.Version); is {
				ack(own)
				if f.Sure {
					learn(f.Version, f.Ballot)
				}
				return true
			}
			if f.Sure || s.client.hopeful {
				open = slices.DeleteFunc(open, func(u agree.VersionID) bool { return s.client.hopeful || !f.Ballot.Less(ballots[u]) })
			}
			if f.Sure && len(open) == 0 && !moves {
				c.known, c.version, c.ballot = true, f.Version, f.Ballot
				continue
			}
		}

		b := agree.Classic(s.lists[c.list].Generation, c.maxN, 0, s.rng.Uint64())
		if s.client.twins {
			b.Nonce = 0
		}
		answers, ok := c.ask(agree.Prepare{Ballot: b}, "", c.voters(c.list), pause)
		if !ok {
			return false
		}
		if yes(answers) < s.lists[c.list].Quorums.Classic-less(s.client.hasty) {
			continue
		}
		f = s.find(s.lists[c.list], s.witnesses(answers, true))
		if s.client.stubborn && f.Verdict == agree.Possible {
			f.Verdict, f.Version = agree.Previous, f.Base.Version
		}
		if f.List != s.lists[c.list] || f.Verdict == agree.TooFew {
			continue // it was moved; or too many have nothing, and may have forgotten
		}
		if f.Verdict != agree.Possible && !f.Version.IsZero() && holders(answers, f.Version) < s.needed && s.client == (clientRules{}) {
			s.fault = fmt.Sprintf("version %d is to be built on, and a quorum does not hold it", f.Version.Seq)
			return false
		}
		if s.dropOpen {
			open = nil
		}
		list := c.list
		if f.Next != nil {
			list = s.nameOf(f.Next)
		}
		m := agree.Accept{Ballot: b, Version: f.Version, Base: f.Base}
		own, is := agree.VersionID{}, false
		if f.Verdict != agree.Possible {
			if own, is = mine(f.Version); is || f.Next != nil || moves && !f.Version.IsZero() {
				m.Base = agree.Base{Itself: true}
			} else {
				own, is = s.newVersion(f.Version, c.maxSeq+1), true
				open, ballots[own] = append(open, own), b
				o.versions = append(o.versions, own)
				m.Version, m.Base = own, agree.Base{Version: f.Version}
			}
		}
		if moves && list == c.list {
			list = c.successor()
			moves = s.rng.IntN(2) == 0
		}
		if s.hasty && list != c.list {
			if !c.install(list, m.Version, pause) {
				return false
			}
		}
		if answers, ok = c.ask(m, list, c.voters(c.list), pause); !ok {
			return false
		}
		if yes(answers) < s.lists[c.list].Quorums.Classic-less(s.client.eager) {
			continue
		}
		if list != c.list {
			if own, is := mine(m.Version); is {
				ack(own)
			}
			if !c.install(list, m.Version, pause) {
				return false
			}
		} else {
			learn(m.Version, b)
			if own, is := mine(m.Version); is {
				ack(own)
			}
		}
		if o.outcome == "done" {
			return true
		}
		open = slices.DeleteFunc(open, func(u agree.VersionID) bool { return !b.Less(ballots[u]) })
	}
	return true
}
