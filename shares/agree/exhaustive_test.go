package agree_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"

	"lafs/shares/agree"
)

// A walker is a client in a walk through all orders of events: each of its
// phases sends one message to several servers.
type walker struct {
	mover   bool
	list    string // a mover's own
	id      byte
	phase   int
	sent    []sending
	answers []answer // of the phase
}

type sending struct {
	msg  agree.Message
	list string
	to   []int
	came uint8 // which of to it has reached
}

// A world is one state of the walk.
type world struct {
	s       *sim
	walkers []walker
}

func (w *world) clone() *world {
	s := *w.s
	s.servers, s.recs = slices.Clone(s.servers), slices.Clone(s.recs)
	s.force, s.chosen = slices.Clone(s.force), slices.Clone(s.chosen)
	s.votes = maps.Clone(s.votes)
	out := &world{s: &s}
	for _, k := range w.walkers {
		k.sent, k.answers = slices.Clone(k.sent), slices.Clone(k.answers)
		out.walkers = append(out.walkers, k)
	}
	return out
}

// A coding is what two worlds are told apart by.
type coding []byte

func (b *coding) number(n int) { *b = append(*b, byte(n)) }

func (b *coding) text(s string) { *b = append(append(*b, byte(len(s))), s...) }

func (b *coding) ballot(x agree.Ballot) {
	*b = binary.BigEndian.AppendUint64(*b, x.N)
	*b = append(*b, byte(x.Nonce), byte(x.Fast))
}

func (b *coding) version(v agree.VersionID) { *b = append(*b, byte(v.Seq), v.Root[0], v.Root[1]) }

func (b *coding) base(x agree.Base) {
	b.number(b2i(x.Itself))
	b.version(x.Version)
}

func (b *coding) state(s agree.State, rec string) {
	b.ballot(s.Promised)
	b.ballot(s.Accepted)
	b.version(s.Current)
	b.base(s.Base)
	b.number(b2i(s.Committed))
	b.text(rec)
}

func (b *coding) message(m agree.Message) {
	switch m := m.(type) {
	case agree.Prepare:
		b.text("prepare")
		b.ballot(m.Ballot)
	case agree.Accept:
		b.text("accept")
		b.ballot(m.Ballot)
		b.version(m.Version)
		b.base(m.Base)
	case agree.Fast:
		b.text("fast")
		b.version(m.Old)
		b.ballot(m.Ballot)
		b.version(m.New)
	default:
		panic(fmt.Sprintf("a walker sends %T", m))
	}
}

// shown tells apart what readers can see, and what they should.
func (w *world) shown() [sha256.Size]byte {
	b := make(coding, 0, 1<<10)
	for i, s := range w.s.servers {
		b.state(s, w.s.recs[i])
	}
	b.version(w.s.chosen[len(w.s.chosen)-1])
	return sha256.Sum256(b)
}

// key tells two worlds apart, as far as what may follow is concerned: two of
// one key are the same, but for a collision of SHA-256.
func (w *world) key() [sha256.Size]byte {
	b := make(coding, 0, 1<<10)
	for i, s := range w.s.servers {
		b.state(s, w.s.recs[i])
	}
	for _, k := range w.walkers {
		b = append(b, byte(k.phase), byte(len(k.sent)), byte(len(k.answers)))
		for _, m := range k.sent {
			b.message(m.msg)
			b.text(m.list)
			b = append(b, m.came)
		}
		slices.SortFunc(k.answers, func(x, y answer) int { return x.server - y.server })
		for _, a := range k.answers {
			b = append(b, byte(a.server), byte(b2i(a.done)))
			b.state(a.state, a.rec)
		}
	}
	var votes []string // a map has no order
	for v, who := range w.s.votes {
		var c coding
		c.ballot(v.ballot)
		c.version(v.version)
		c.text(v.list)
		votes = append(votes, string(binary.BigEndian.AppendUint16(c, who)))
	}
	slices.Sort(votes)
	for _, texts := range [][]string{votes, w.s.force} {
		b.number(len(texts))
		for _, t := range texts {
			b.text(t)
		}
	}
	b.number(w.s.installed)
	return sha256.Sum256(b)
}

// send begins the walker's next phase.
func (k *walker) send(m agree.Message, list string, to []int) {
	k.sent, k.answers = append(k.sent, sending{msg: m, list: list, to: to}), nil
	k.phase++
}

// next lets a walker go on with the answers that it has; false if it can't.
func (w *world) next(i int) bool {
	k, s := &w.walkers[i], w.s
	first := s.lists[s.force[0]]
	last := k.sent[len(k.sent)-1]
	switch m := last.msg.(type) {
	case agree.Prepare:
		if yes(k.answers) < first.Quorums.Classic {
			return false
		}
		f := agree.Find(first, s.witnesses(k.answers, true))
		if f.List != first || f.Verdict == agree.TooFew {
			return false
		}
		list := s.force[0]
		a := agree.Accept{Ballot: m.Ballot, Version: f.Version, Base: f.Base}
		if f.Verdict != agree.Possible {
			a.Base = agree.Base{Itself: true}
		}
		switch {
		case f.Next != nil:
			list = s.nameOf(f.Next)
		case k.mover:
			list = k.list
		case f.Verdict != agree.Possible:
			v := agree.VersionID{Seq: f.Version.Seq + 1, Root: [32]byte{k.id, f.Version.Root[0] + 1}}
			s.parent[v] = f.Version
			a.Version, a.Base = v, agree.Base{Version: f.Version}
		}
		k.send(a, list, on(s, s.force[0]))
		return true
	case agree.Accept:
		l := s.lists[last.list]
		if m.Ballot.Generation() > 0 || l.Generation == 0 || yes(k.answers) < first.Quorums.Classic {
			return false
		}
		k.send(agree.Accept{Ballot: agree.First(l.Generation), Version: m.Version, Base: agree.Base{Itself: true}}, last.list, on(s, last.list))
		return true
	}
	return false
}

func (k *walker) ballot() agree.Ballot { return agree.Classic(0, 0, uint64(10+k.id), uint64(k.id)) }

func on(s *sim, list string) (out []int) {
	for i := range s.servers {
		if s.has(list, i) {
			out = append(out, i)
		}
	}
	return out
}

// deliver brings a message of any phase to a server; its answer may be lost.
func (w *world) deliver(i, phase, target int, lost bool) {
	k, s := &w.walkers[i], w.s
	m := &k.sent[phase]
	m.came |= 1 << target
	n := m.to[target]
	before := s.servers[n]
	after, done := before.Apply(m.msg)
	rec, ok := agree.Recorded(m.msg, before, after, []byte(s.recs[n]), []byte(m.list))
	if done && ok {
		s.servers[n] = after
		if _, prepare := m.msg.(agree.Prepare); !prepare {
			s.recs[n] = string(rec)
		}
	}
	if before != s.servers[n] {
		s.changed(n)
	}
	if phase == len(k.sent)-1 && !lost {
		k.answers = append(k.answers, answer{n, s.servers[n], done && ok, s.recs[n]})
	}
}

// glances has readers see every set of servers.
func (w *world) glances() string {
	s := w.s
	for set := range 1 << len(s.servers) {
		var list []agree.Witness
		for i, st := range s.servers {
			if set>>i&1 == 1 {
				list = append(list, agree.Witness{Server: serverName(i), State: st, List: s.lists[s.recs[i]]})
			}
		}
		for _, known := range []*agree.List{nil, s.lists[s.force[0]]} {
			f := agree.Find(known, list)
			if (f.Verdict == agree.Chosen || f.Verdict == agree.Previous) && !f.Behind && f.Version != s.chosen[len(s.chosen)-1] {
				return fmt.Sprintf("servers %b show version %d where %d is chosen", set, f.Version.Seq, s.chosen[len(s.chosen)-1].Seq)
			}
		}
	}
	return ""
}

// TestAllOrders walks through every order in which the messages of two
// clients can arrive, be late or be lost: three servers hold an object, of
// which one is to give way to a fourth. What is written to the new list is
// left to the random schedules.
func TestAllOrders(t *testing.T) {
	for _, tt := range []struct {
		name   string
		movers []bool
		fast   bool // the first begins with a write in one step
		lossy  bool
		short  bool
	}{
		{"a mover, every answer may be lost", []bool{true}, false, true, true},
		{"a mover and a fast writer", []bool{true, false}, true, false, true},
		{"two movers", []bool{true, true}, false, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if testing.Short() && !tt.short {
				t.Skip("takes long")
			}
			s := newSim(sound(), 1, 3, 1, 0, 0, 1)
			s.moving = false
			x, b := agree.VersionID{Seq: 1, Root: [32]byte{100}}, agree.Ballot{N: 1, Nonce: 1}
			s.parent[x], s.chosen, s.highest = agree.VersionID{}, []agree.VersionID{x}, b
			for i := range 3 {
				s.servers[i] = agree.State{Promised: b, Accepted: b, Current: x, Committed: true}
				s.recs[i] = s.force[0]
			}
			start := &world{s: s}
			for i, mover := range tt.movers {
				k := walker{mover: mover, id: byte(i + 1)}
				if mover {
					k.list = s.newList([]int{1, 2, 3}, s.force[0])
				}
				if !mover && tt.fast {
					u := agree.VersionID{Seq: 2, Root: [32]byte{k.id}}
					s.parent[u] = x
					k.send(agree.Fast{Old: x, Ballot: b, New: u}, s.force[0], []int{0, 1, 2})
					k.phase = 1
				} else {
					k.send(agree.Prepare{Ballot: k.ballot()}, "", []int{0, 1, 2})
				}
				start.walkers = append(start.walkers, k)
			}
			seen, todo := map[[sha256.Size]byte]bool{start.key(): true}, []*world{start}
			glanced := map[[sha256.Size]byte]bool{}
			installed, splits := 0, 0
			visit := func(w *world) {
				if now := w.shown(); w.s.fault == "" && !glanced[now] {
					glanced[now] = true
					w.s.fault = w.glances()
				}
				if w.s.fault != "" {
					t.Fatalf("after %d worlds: %s\n%+v\n%v", len(seen), w.s.fault, w.s.servers, w.s.recs)
				}
				if key := w.key(); !seen[key] {
					seen[key] = true
					installed += w.s.installed
					if len(w.s.chosen) > 1 {
						splits++
					}
					todo = append(todo, w)
				}
			}
			for len(todo) > 0 {
				w := todo[len(todo)-1]
				todo = todo[:len(todo)-1]
				for i, k := range w.walkers {
					if again := w.clone(); again.next(i) {
						visit(again)
					}
					for phase, m := range k.sent {
						for target := range m.to {
							if m.came>>target&1 == 1 {
								continue
							}
							for _, lost := range []bool{false, true}[:1+b2i(tt.lossy && phase == len(k.sent)-1)] {
								again := w.clone()
								again.deliver(i, phase, target, lost)
								visit(again)
							}
						}
					}
				}
				if len(seen) > 3_000_000 {
					t.Fatal("too many worlds")
				}
			}
			t.Logf("%d worlds; in %d the list was replaced, in %d something was written", len(seen), installed, splits)
			if installed == 0 {
				t.Error("the list was never replaced")
			}
		})
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
