package update

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"lafs/shares/agree"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

func someLayout(t testing.TB) (*layout, *mutable.Key) {
	key, err := mutable.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	l := &layout{needed: 1, total: 3, voters: []voter{{"v0-a", []storage.ShareNumber{0}}, {"v0-b", []storage.ShareNumber{2}}, {"v0-e", []storage.ShareNumber{1}}}}
	if err := l.complete(); err != nil {
		t.Fatal(err)
	}
	if err := l.sign(key); err != nil {
		t.Fatal(err)
	}
	return l, key
}

// movedLayout has taken the place of someLayout.
func movedLayout(t testing.TB) (*layout, *mutable.Key) {
	l, key := someLayout(t)
	m := l.successor(map[string]bool{"v0-b": true}, []string{"v0-c"})
	if m == nil {
		t.Fatal("no successor")
	}
	if err := m.sign(key); err != nil {
		t.Fatal(err)
	}
	return m, key
}

func FuzzParseLayout(f *testing.F) {
	l, _ := someLayout(f)
	f.Add(l.raw)
	f.Add(l.raw[:20])
	m, _ := movedLayout(f)
	f.Add(m.raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, text, _, _, err := parseLayout(raw)
		if err == nil && !bytes.Equal(l.marshal(), text) {
			t.Errorf("%x is read as %x", text, l.marshal())
		}
	})
}

// A list that was changed anywhere is not believed.
func TestLayoutSigned(t *testing.T) {
	for _, make := range []func(testing.TB) (*layout, *mutable.Key){someLayout, movedLayout} {
		l, key := make(t)
		if _, err := openLayout(key.Fingerprint(), l.raw); err != nil {
			t.Fatal(err)
		}
		for i := range l.raw {
			bad := bytes.Clone(l.raw)
			bad[i] ^= 1
			if _, err := openLayout(key.Fingerprint(), bad); err == nil {
				t.Errorf("byte %d changed: the list is believed", i)
			}
		}
	}
}

func TestLayoutMoved(t *testing.T) {
	m, key := movedLayout(t)
	got, err := openLayout(key.Fingerprint(), m.raw)
	if err != nil {
		t.Fatal(err)
	}
	if got.generation != 1 || !got.has("v0-a") || !got.has("v0-c") || got.has("v0-b") || got.before.generation != 0 || !got.before.has("v0-b") ||
		got.list.Before != got.before.list || got.before.quorums != m.before.quorums {
		t.Errorf("openLayout: got %+v", got)
	}
	again := got.successor(map[string]bool{"v0-a": true}, []string{"v0-d"})
	if again.generation != 2 || again.before.generation != 1 || again.before.before != nil {
		t.Errorf("successor: got %+v", again)
	}
}

func TestSuccessor(t *testing.T) {
	for _, tt := range []struct {
		name         string
		slots        []int
		needed, gone int // the first are gone
		spare        int
		want         []int // slots, sorted; nil: the list stays
	}{
		{"none is gone", []int{1, 1, 1, 1, 1}, 3, 0, 5, nil},
		{"one for one", []int{2, 2, 2, 2, 2}, 3, 1, 3, []int{2, 2, 2, 2, 2}},
		{"three for three", []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 3, 3, 9, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
		{"one for three", []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 3, 3, 1, []int{1, 1, 1, 1, 1, 1, 2, 2}},
		{"none for one, and better than before", []int{2, 2, 2, 2, 2}, 3, 1, 0, []int{2, 2, 3, 3}},
		{"none for one, and no better", []int{1, 1, 1}, 1, 1, 0, nil},
		{"one for one of three", []int{1, 1, 1}, 1, 1, 1, []int{1, 1, 1}},
		{"more could not be installed without the new ones", []int{4, 3, 3}, 3, 1, 4, []int{3, 3, 4}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, gone, n := &layout{needed: tt.needed}, map[string]bool{}, 0
			for i, slots := range tt.slots {
				v := voter{id: fmt.Sprint("old", i)}
				for range slots {
					v.shares = append(v.shares, storage.ShareNumber(n))
					n++
				}
				l.voters = append(l.voters, v)
				gone[v.id] = i < tt.gone
			}
			l.total = n
			if err := l.complete(); err != nil {
				t.Fatal(err)
			}
			var spare, got = []string{}, []int(nil)
			for i := range tt.spare {
				spare = append(spare, fmt.Sprint("new", i))
			}
			if m := l.successor(gone, spare); m != nil {
				for _, v := range m.voters {
					got = append(got, len(v.shares))
					if gone[v.id] {
						t.Errorf("%s is gone and on the list", v.id)
					}
				}
				if m.quorums.Classic > len(tt.slots)-tt.gone {
					t.Errorf("%d must install it, and %d stay", m.quorums.Classic, len(tt.slots)-tt.gone)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("successor: got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	for _, tt := range []struct{ known, needed, total, servers, shares, down int }{
		{10, 3, 10, 10, 10, 3},
		{5, 3, 10, 5, 10, 1},
		{3, 3, 10, 3, 10, 1},
		{3, 2, 3, 3, 6, 1},
		{1, 3, 10, 1, 10, 0},
	} {
		m, n := choose(tt.known, tt.needed, tt.total)
		q, err := agree.NewQuorums(spread(m, n), tt.needed)
		if err != nil || m != tt.servers || n != tt.shares || m-q.Classic != tt.down {
			t.Errorf("choose(%d, %d of %d) = %d servers, %d shares, %d may be down; %v", tt.known, tt.needed, tt.total, m, n, m-q.Classic, err)
		}
	}
}
