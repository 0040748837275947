package agree_test

import (
	"testing"

	"lafs/shares/agree"
)

// grids are the shapes that the schedules are played on: one slot a server.
var grids = []struct{ servers, needed int }{{3, 1}, {3, 2}, {4, 2}, {5, 1}, {5, 3}, {7, 3}, {10, 3}}

// play runs schedules until one breaks a promise, and returns how many there
// were and what broke.
func play(r rules, first, count uint64) (played uint64, fault string) {
	for seed := first; seed < first+count; seed++ {
		g := grids[seed%uint64(len(grids))]
		s := newSim(r, seed, ones(g.servers), g.needed, 2+int(seed/7%4), 4)
		if fault := s.run(); fault != "" {
			return seed - first + 1, fault
		}
	}
	return count, ""
}

func schedules(t *testing.T) uint64 {
	if testing.Short() {
		return 2000
	}
	return 20_000
}

func TestSchedules(t *testing.T) {
	if n, fault := play(sound(), 0, schedules(t)); fault != "" {
		t.Fatalf("schedule %d: %s", n-1, fault)
	}
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
			r.decide = func(q agree.Quorums, list []agree.State) agree.Decision {
				d := agree.Decide(q, list)
				if d.Verdict == agree.Possible {
					d.Verdict, d.Version = agree.Previous, d.Base.Version
				}
				return d
			}
		}},
		{"what may be chosen is taken for chosen", func(r *rules) {
			r.decide = func(q agree.Quorums, list []agree.State) agree.Decision {
				d := agree.Decide(q, list)
				if d.Verdict == agree.Possible {
					d.Verdict, d.Sure = agree.Chosen, true
				}
				return d
			}
		}},
		{"open versions are forgotten", func(r *rules) { r.dropOpen = true }},
		{"servers lose their state", func(r *rules) { r.amnesia = true }},
		{"deciding on too few states", func(r *rules) {
			r.quorums = func(q agree.Quorums) agree.Quorums { q.Read = 1; return q }
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := sound()
			tt.breakIt(&r)
			n, fault := play(r, 0, 60_000)
			if fault == "" {
				t.Fatalf("%d schedules, and nothing was noticed", n)
			}
			t.Logf("schedule %d: %s", n-1, fault)
		})
	}
}
