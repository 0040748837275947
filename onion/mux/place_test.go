package mux

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A crowd is a budget with circuits that have names.
type crowd struct {
	*testing.T
	*Budget
	cut map[string]bool
}

// in admits a circuit; a group makes it known, and busy gives it a request.
func (c *crowd) in(name string, group any, busy bool) *Place {
	p := c.Admit(func() { c.cut[name] = true })
	if p == nil {
		return nil
	}
	if group != nil {
		p.Know(group)
	}
	if busy {
		p.begin()
	}
	time.Sleep(time.Second)
	return p
}

// TestWhoMakesRoom: idle ones first, strangers before those who are known, of
// the group that has most; nobody with a request for somebody without.
func TestWhoMakesRoom(t *testing.T) {
	type circuit struct {
		name  string
		group any
		busy  bool
	}
	for _, tt := range []struct {
		name  string
		stand []circuit
		wait  time.Duration
		out   string // "" is the newcomer
	}{
		{"an idle stranger", []circuit{{"a", 1, false}, {"b", 1, true}, {"c", nil, false}, {"d", 2, false}}, 0, "c"},
		{"the one that is idle longest", []circuit{{"a", 1, true}, {"b", 1, false}, {"c", 1, false}, {"d", 1, false}}, 0, "b"},
		{"one of the largest group", []circuit{{"a", 1, false}, {"b", 2, true}, {"c", 2, false}, {"d", 2, false}}, 0, "c"},
		{"nobody who has a request", []circuit{{"a", 1, true}, {"b", 1, true}, {"c", 1, true}, {"d", 1, true}}, time.Hour, ""},
		{"no stranger with a request at once", []circuit{{"a", 1, true}, {"b", 1, true}, {"c", 1, true}, {"d", nil, true}}, 0, ""},
		{"a stranger who lets us wait", []circuit{{"a", 1, true}, {"b", 1, true}, {"c", 1, true}, {"d", nil, true}}, time.Minute, "d"},
		{"nobody known where strangers have their part", []circuit{{"a", 1, false}, {"b", 1, false}, {"c", 1, false}, {"d", nil, true}}, 0, ""},
		{"a known one where strangers have less", []circuit{{"a", 1, false}, {"b", 1, false}, {"c", 1, false}, {"d", 1, true}}, 0, "a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &crowd{t, NewBudget(BudgetConfig{Sessions: len(tt.stand)}), map[string]bool{}}
				places := map[string]*Place{}
				for _, s := range tt.stand {
					places[s.name] = c.in(s.name, s.group, s.busy)
				}
				time.Sleep(tt.wait)
				got := c.in("new", nil, false)
				if (got == nil) != (tt.out == "") || len(c.cut) != min(1, len(tt.out)) || tt.out != "" && !c.cut[tt.out] {
					t.Errorf("cut: got %v, admitted %v, want %q", c.cut, got != nil, tt.out)
				}
				for _, p := range append([]*Place{got}, values(places)...) {
					if p != nil {
						p.Leave()
						p.Leave()
					}
				}
				if b := c.Budget; len(b.places)+b.strangers+len(b.groups) != 0 {
					t.Errorf("still counted: %+v", b.Load())
				}
			})
		})
	}
}

func values(m map[string]*Place) (out []*Place) {
	for _, p := range m {
		out = append(out, p)
	}
	return out
}

// TestStrangersFlood: however many come, three quarters of the places stay
// with those who are known, and one who has a request keeps his.
func TestStrangersFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{t, NewBudget(BudgetConfig{Sessions: 40}), map[string]bool{}}
		for range 40 {
			c.in("known", 1, false)
		}
		c.cut = map[string]bool{}
		for range 1000 {
			// Each has begun a request that never ends.
			if p := c.in("stranger", nil, true); p != nil {
				time.Sleep(10 * time.Second)
			}
		}
		if l := c.Load(); l.Known < 30 {
			t.Errorf("known: got %d, want at least 30", l.Known)
		}
	})
}

// TestStreamsAreShared: one who opens all it can leaves others some, and
// strangers leave those who are known half.
func TestStreamsAreShared(t *testing.T) {
	for _, tt := range []struct {
		name   string
		hogs   int
		known  bool
		atMost int
	}{
		{"one hog", 1, true, 2 * streamsPerSession}, {"many hogs", 1500, true, 6144}, {"many strangers", 1500, false, 6144 - 1536},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBudget(BudgetConfig{})
			var all []*Place
			for range tt.hogs {
				p := b.Admit(func() {})
				if tt.known {
					p.Know(1)
				}
				all = append(all, p)
				for range streamsPerSession * 2 {
					p.open()
				}
			}
			if l := b.Load(); l.Streams > tt.atMost || l.StreamsRefused == 0 && tt.hogs > 1 {
				t.Errorf("got %+v, want at most %d streams", l, tt.atMost)
			}
			late := b.Admit(func() {})
			for i := range ownStreams {
				if !late.open() {
					t.Errorf("the newcomer's stream %d is refused: %+v", i, b.Load())
				}
			}
			for _, p := range all {
				for p.streams > 0 {
					p.close()
				}
				p.Leave()
			}
			late.Leave()
			late.close() // as its handler ends
			if b.streams != 0 || b.alien != 0 {
				t.Errorf("still counted: %d, of strangers %d", b.streams, b.alien)
			}
		})
	}
}

// TestClaimsAreShared: neither a session nor a group takes all the bytes,
// and what waits for handlers has its part whatever they claim.
func TestClaimsAreShared(t *testing.T) {
	const all = 16 << 20
	b := NewBudget(BudgetConfig{Bytes: all})
	grab := func(p *Place, group any) (*Claim, int64) {
		c := b.Claim(WithPlace(context.Background(), p), group)
		for c.Take(64 << 10) {
		}
		return c, c.taken
	}
	hog, other := b.Admit(func() {}), b.Admit(func() {})
	c1, n1 := grab(hog, 1)
	c2, n2 := grab(other, 1)
	c3, n3 := grab(b.Admit(func() {}), 2)
	if most := int64(all / 2); n1 > most || n1 < most-128<<10 {
		t.Errorf("one session: got %d, want two thirds of what is for handlers, %d", n1, most)
	}
	if n1+n2 > all*3/4*3/4 || n2 == 0 {
		t.Errorf("one group: got %d and %d", n1, n2)
	}
	if n3 < 1<<20 {
		t.Errorf("another group: got %d, want at least a MiB", n3)
	}
	if got := n1 + n2 + n3; got > all*3/4 {
		t.Errorf("all: got %d, want three quarters at most", got)
	}
	for _, c := range []*Claim{c1, c2, c3} {
		c.End()
		c.End()
	}
	if b.bytes.claimed != 0 || len(b.bytes.bySession)+len(b.bytes.byGroup) != 0 {
		t.Errorf("still claimed: %+v", b.Load())
	}
}
