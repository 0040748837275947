package agree_test

import (
	"testing"

	"lafs/shares/agree"
)

// grids are the shapes that the schedules are played on: one slot a server.
var grids = []struct{ servers, needed int }{{3, 1}, {3, 2}, {4, 2}, {5, 1}, {5, 3}, {7, 3}, {10, 3}}

// play runs schedules until one breaks a promise, and returns how many there
// were and what broke. With spare servers, the list is changed on the way.
func play(r rules, first, count uint64, spare int) (played uint64, fault string) {
	for seed := first; seed < first+count; seed++ {
		g := grids[seed%uint64(len(grids))]
		s := newSim(r, seed, g.servers, g.needed, 2+int(seed/7%4), 4, spare)
		fault := s.run()
		if watch != nil {
			watch(s)
		}
		if fault != "" {
			return seed - first + 1, fault
		}
	}
	return count, ""
}

// watch, if not nil, sees each schedule when it has been played.
var watch func(*sim)

func schedules(t *testing.T) uint64 {
	if testing.Short() {
		return 2000
	}
	return 20_000
}

func TestSchedules(t *testing.T) {
	if n, fault := play(sound(), 0, schedules(t), 0); fault != "" {
		t.Fatalf("schedule %d: %s", n-1, fault)
	}
}

// TestSchedulesOfMoves: clients replace the list while others write and
// read; some know only the first list, or none; servers that were taken off
// forget.
func TestSchedulesOfMoves(t *testing.T) {
	moves := 0
	watch = func(s *sim) { moves += s.installed }
	defer func() { watch = nil }()
	if n, fault := play(sound(), 0, schedules(t)/5, 3); fault != "" {
		t.Fatalf("schedule %d: %s", n-1, fault)
	}
	t.Logf("%d lists were installed", moves)
}

// TestBrokenRules: each rule, broken on purpose, must be caught, or the
// schedules prove nothing.
func TestBrokenRules(t *testing.T) {
	for _, tt := range []struct {
		name    string
		breakIt func(*rules)
	}{
		{"servers forget promises", func(r *rules) {
			r.apply = func(s agree.State, m agree.Message) (agree.State, bool) {
				if _, ok := m.(agree.Accept); ok {
					s.Promised = agree.Ballot{}
				}
				return s.Apply(m)
			}
		}},
		{"fast votes ignore promises", func(r *rules) {
			r.apply = func(s agree.State, m agree.Message) (agree.State, bool) {
				if _, ok := m.(agree.Fast); ok {
					s.Promised = agree.Ballot{}
				}
				return s.Apply(m)
			}
		}},
		{"servers keep no old share", func(r *rules) {
			r.apply = func(s agree.State, m agree.Message) (agree.State, bool) {
				next, ok := s.Apply(m)
				if !next.Base.Itself {
					next.Base.Version = agree.VersionID{}
				}
				return next, ok
			}
		}},
		{"learning overtakes newer votes", func(r *rules) {
			r.apply = func(s agree.State, m agree.Message) (agree.State, bool) {
				if l, ok := m.(agree.Learn); ok {
					return agree.State{Promised: l.Ballot, Accepted: l.Ballot, Current: l.Version, Committed: true}, true
				}
				return s.Apply(m)
			}
		}},
		{"a fast vote counts on any version", func(r *rules) {
			r.apply = func(s agree.State, m agree.Message) (agree.State, bool) {
				if f, ok := m.(agree.Fast); ok && !s.Accepted.Less(f.Ballot) {
					f.Old, f.Ballot = s.Current, s.Accepted
					return s.Apply(f)
				}
				return s.Apply(m)
			}
		}},
		{"a fast quorum one too small", func(r *rules) {
			r.quorums = func(q agree.Quorums) agree.Quorums { q.Fast--; return q }
		}},
		{"a classic quorum one too small", func(r *rules) {
			r.quorums = func(q agree.Quorums) agree.Quorums { q.Classic--; return q }
		}},
		{"what may be chosen is taken for previous", func(r *rules) {
			r.find = func(l *agree.List, list []agree.Witness) agree.Finding {
				f := agree.Find(l, list)
				if f.Verdict == agree.Possible {
					f.Verdict, f.Version = agree.Previous, f.Base.Version
				}
				return f
			}
		}},
		{"what may be chosen is taken for chosen", func(r *rules) {
			r.find = func(l *agree.List, list []agree.Witness) agree.Finding {
				f := agree.Find(l, list)
				if f.Verdict == agree.Possible {
					f.Verdict, f.Sure = agree.Chosen, true
				}
				return f
			}
		}},
		{"open versions are forgotten", func(r *rules) { r.dropOpen = true }},
		{"servers lose their state", func(r *rules) { r.amnesia = true }},
		{"deciding on too few states", func(r *rules) {
			r.quorums = func(q agree.Quorums) agree.Quorums { q.Read = 1; return q }
		}},

		// More of what servers do.
		{"a promise is taken back", func(r *rules) {
			r.apply = func(s agree.State, m agree.Message) (agree.State, bool) {
				if p, ok := m.(agree.Prepare); ok {
					s.Promised = p.Ballot
					return s, true
				}
				return s.Apply(m)
			}
		}},
		{"a vote is no promise", func(r *rules) {
			r.apply = func(s agree.State, m agree.Message) (agree.State, bool) {
				next, done := s.Apply(m)
				switch m.(type) {
				case agree.Fast, agree.Accept:
					next.Promised = s.Promised
				}
				return next, done
			}
		}},
		{"what was known to be chosen stays so when it changes", func(r *rules) {
			r.apply = func(s agree.State, m agree.Message) (agree.State, bool) {
				next, done := s.Apply(m)
				next.Committed = next.Committed || s.Committed
				return next, done
			}
		}},
		{"promises do not survive a restart", func(r *rules) { r.restart = true }},

		// More of the decision rule.
		{"only votes of the highest ballot are counted", holding(func(w agree.Witness, f *agree.Finding) bool {
			return w.State.Accepted == f.Ballot && w.State.Current == f.Version
		})},
		{"what is kept as base is not counted", holding(func(w agree.Witness, f *agree.Finding) bool {
			return w.State.Current == f.Version
		})},
		{"what says that it is itself chosen is not believed", deciding(func(f *agree.Finding, list []agree.Witness) {
			if f.Verdict != agree.Chosen || f.Sure {
				return
			}
			f.Verdict, f.Version = agree.Previous, agree.VersionID{}
		})},
		{"what can not have been chosen is taken for chosen", deciding(func(f *agree.Finding, list []agree.Witness) {
			if f.Verdict != agree.Previous {
				return
			}
			for _, w := range list {
				if w.State.Accepted == f.Ballot {
					f.Verdict, f.Version, f.Sure = agree.Chosen, w.State.Current, true
				}
			}
		})},

		// What clients do.
		{"acknowledging with a vote too few", func(r *rules) { r.client.eager = true }},
		{"asking for votes with a promise too few", func(r *rules) { r.client.hasty = true }},
		{"an open version is dropped when another is chosen somewhere", func(r *rules) { r.client.hopeful = true }},
		{"not done, while a version is open", func(r *rules) { r.client.denies = true }},
		{"two ballots are the same", func(r *rules) { r.client.twins = true }},
		{"a version that may be chosen is written over", func(r *rules) { r.client.stubborn = true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := sound()
			tt.breakIt(&r)
			n, fault := play(r, 0, 60_000, 0)
			if fault == "" {
				t.Fatalf("%d schedules, and nothing was noticed", n)
			}
			t.Logf("schedule %d: %s", n-1, fault)
		})
	}
}

// deciding changes what is found.
func deciding(change func(f *agree.Finding, list []agree.Witness)) func(*rules) {
	return func(r *rules) {
		r.find = func(l *agree.List, list []agree.Witness) agree.Finding {
			f := agree.Find(l, list)
			change(&f, list)
			return f
		}
	}
}

// holding takes a version for one that may be chosen only if enough servers
// hold it in the way that counts says.
func holding(counts func(w agree.Witness, f *agree.Finding) bool) func(*rules) {
	return deciding(func(f *agree.Finding, list []agree.Witness) {
		if f.Verdict != agree.Possible {
			return
		}
		held := 0
		for _, w := range list {
			if counts(w, f) {
				held++
			}
		}
		quorum := f.List.Quorums.Classic
		if f.Ballot.IsFast() {
			quorum = f.List.Quorums.Fast
		}
		if held+f.List.Quorums.Servers-len(list) < quorum {
			f.Verdict, f.Version = agree.Previous, f.Base.Version
		}
	})
}

// TestBrokenMoves is TestBrokenRules for the rules by which a list is
// replaced.
func TestBrokenMoves(t *testing.T) {
	found := func(change func(f *agree.Finding, list []agree.Witness)) func(*rules) {
		return func(r *rules) {
			r.find = func(l *agree.List, list []agree.Witness) agree.Finding {
				f := agree.Find(l, list)
				change(&f, list)
				return f
			}
		}
	}
	for _, tt := range []struct {
		name    string
		breakIt func(*rules)
	}{
		{"installing before the seal is chosen", func(r *rules) { r.hasty = true }},
		{"installing in a ballot of one's own", func(r *rules) { r.careful = true }},
		{"a seal is not completed", found(func(f *agree.Finding, _ []agree.Witness) { f.Next, f.Sealed = nil, false })},
		{"a fast write on top of a seal", func(r *rules) {
			found(func(f *agree.Finding, _ []agree.Witness) {
				if f.Sealed {
					f.Sure, f.Next, f.Sealed = true, nil, false
				}
			})(r)
			r.recorded = func(_ agree.Message, _, _ agree.State, have, sent []byte) ([]byte, bool) {
				if len(sent) == 0 {
					return have, true
				}
				return sent, true
			}
		}},
		{"writing before the list is installed", found(func(f *agree.Finding, _ []agree.Witness) { f.Installed = f.List != nil })},
		{"reading without asking the next list", found(func(f *agree.Finding, _ []agree.Witness) { f.Behind = false })},
		{"an older list is as good", func(r *rules) {
			r.find = func(l *agree.List, list []agree.Witness) agree.Finding {
				if l == nil {
					return agree.Find(l, list)
				}
				var states []agree.State
				for _, w := range list {
					if l.Has(w.Server) {
						states = append(states, w.State)
					}
				}
				return agree.Finding{List: l, Installed: true, Decision: agree.Decide(l.Quorums, states)}
			}
		}},
		{"servers keep the first list", func(r *rules) {
			r.recorded = func(_ agree.Message, _, _ agree.State, have, sent []byte) ([]byte, bool) {
				if len(have) > 0 {
					return have, true
				}
				return sent, true
			}
		}},
		{"who has forgotten is counted", func(r *rules) {
			r.find = func(l *agree.List, list []agree.Witness) agree.Finding {
				f := agree.Find(l, list)
				if f.List == nil || f.Verdict != agree.TooFew {
					return f
				}
				var states []agree.State
				for _, w := range list {
					if f.List.Has(w.Server) {
						states = append(states, w.State)
					}
				}
				if len(states) < f.List.Quorums.Read {
					return f
				}
				// Without those that have nothing there would be too few.
				q := f.List.Quorums
				q.Read = 1
				f.Decision = agree.Decide(q, states)
				return f
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := sound()
			tt.breakIt(&r)
			n, fault := play(r, 0, 60_000, 3)
			if fault == "" {
				t.Fatalf("%d schedules, and nothing was noticed", n)
			}
			t.Logf("schedule %d: %s", n-1, fault)
		})
	}
}
