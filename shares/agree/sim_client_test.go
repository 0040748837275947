package agree_test

import (
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
		if !c.modify(o, pause) {
			return
		}
		if o.outcome == "unknown" && len(o.versions) == 0 {
			o.outcome = "not done"
		}
	}
}

// read is one reading: it returns a version that was the newest chosen one
// at some moment, or says that it is undecided.
func (c *client) read(o *op, pause func() bool) bool {
	answers, ok := c.ask(agree.Read{}, pause)
	if !ok {
		return false
	}
	list, _ := states(answers, false)
	if d := c.sim.decide(c.sim.used, list); d.Verdict == agree.Chosen || d.Verdict == agree.Previous {
		o.outcome, o.reads, o.acked = "read", true, d.Version
	}
	return true
}

// ask sends m to every server and collects answers until the schedule lets
// the client go on.
func (c *client) ask(m agree.Message, pause func() bool) ([]answer, bool) {
	c.round++
	c.answers = nil
	c.cast(m, false)
	ok := pause()
	for _, a := range c.answers {
		c.maxN = max(c.maxN, a.state.Promised.N, a.state.Accepted.N)
		c.maxSeq = max(c.maxSeq, a.state.Current.Seq, a.state.Base.Version.Seq)
	}
	return c.answers, ok
}

func (c *client) cast(m agree.Message, ignored bool) {
	for i := range c.sim.servers {
		e := envelope{from: c, round: c.round, server: i, msg: m, ignored: ignored}
		c.sim.flight = append(c.sim.flight, e)
		if c.sim.rng.IntN(50) == 0 {
			c.sim.flight = append(c.sim.flight, e) // a repeat
		}
	}
}

func states(answers []answer, onlyDone bool) (list []agree.State, done int) {
	for _, a := range answers {
		if a.done {
			done++
		}
		if a.done || !onlyDone {
			list = append(list, a.state)
		}
	}
	return list, done
}

// modify is section 4 of the design, without its waits: the schedule is
// hostile enough. It is false when the simulation is being torn down.
func (c *client) modify(o *op, pause func() bool) bool {
	s := c.sim
	var open []agree.VersionID
	ballots := map[agree.VersionID]agree.Ballot{}
	ack := func(own, v agree.VersionID, b agree.Ballot, sure bool) {
		o.outcome, o.acked = "done", own
		c.known, c.version, c.ballot = sure, v, b
		if sure {
			c.cast(agree.Learn{Version: v, Ballot: b}, true)
		}
	}
	mine := func(v agree.VersionID) (agree.VersionID, bool) {
		i := slices.IndexFunc(open, func(u agree.VersionID) bool { return s.descends(v, u) })
		if i < 0 {
			return agree.VersionID{}, false
		}
		return open[i], true
	}
	for range 12 {
		var answers []answer
		ok := true
		if c.known && len(open) == 0 {
			u := s.newVersion(c.version, max(c.maxSeq, c.version.Seq)+1)
			open, ballots[u] = append(open, u), c.ballot.Next()
			o.versions = append(o.versions, u)
			if answers, ok = c.ask(agree.Fast{Old: c.version, Ballot: c.ballot, New: u}, pause); !ok {
				return false
			}
			if _, yes := states(answers, true); yes >= s.used.Fast {
				ack(u, u, c.ballot.Next(), true)
				return true
			}
		} else if answers, ok = c.ask(agree.Read{}, pause); !ok {
			return false
		}
		c.known = false
		list, _ := states(answers, false)
		d := s.decide(s.used, list)
		if d.Verdict == agree.Chosen {
			if own, is := mine(d.Version); is {
				ack(own, d.Version, d.Ballot, d.Sure)
				return true
			}
			if d.Sure {
				open = slices.DeleteFunc(open, func(u agree.VersionID) bool { return !d.Ballot.Less(ballots[u]) })
			}
			if d.Sure && len(open) == 0 {
				c.known, c.version, c.ballot = true, d.Version, d.Ballot
				continue
			}
		}

		c.maxN++
		b := agree.Ballot{N: c.maxN, Nonce: s.rng.Uint64()}
		if answers, ok = c.ask(agree.Prepare{Ballot: b}, pause); !ok {
			return false
		}
		list, yes := states(answers, true)
		if yes < s.used.Classic {
			continue
		}
		d = s.decide(s.used, list)
		if s.dropOpen {
			open = nil
		}
		m := agree.Accept{Ballot: b, Version: d.Version, Base: d.Base}
		own, is := agree.VersionID{}, false
		if d.Verdict != agree.Possible {
			if own, is = mine(d.Version); is {
				m.Base = agree.Base{Itself: true}
			} else {
				own, is = s.newVersion(d.Version, c.maxSeq+1), true
				open, ballots[own] = append(open, own), b
				o.versions = append(o.versions, own)
				m.Version, m.Base = own, agree.Base{Version: d.Version}
			}
		}
		if answers, ok = c.ask(m, pause); !ok {
			return false
		}
		if _, yes := states(answers, true); yes < s.used.Classic {
			continue
		}
		if is {
			ack(own, m.Version, b, true)
			return true
		}
		c.known, c.version, c.ballot = true, m.Version, b
		c.cast(agree.Learn{Version: m.Version, Ballot: b}, true)
		if own, is := mine(m.Version); is {
			ack(own, m.Version, b, true)
			return true
		}
	}
	return true
}
