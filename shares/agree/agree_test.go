package agree_test

import (
	"errors"
	"testing"

	"lafs/shares/agree"
)

func slots(counts ...int) []int { return counts }

func ones(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = 1
	}
	return s
}

func TestQuorums(t *testing.T) {
	for _, tt := range []struct {
		name                string
		slots               []int
		needed              int
		classic, fast, read int
	}{
		{"10x1 k3", ones(10), 3, 7, 7, 4},
		{"7x1 k3", ones(7), 3, 5, 5, 3},
		{"5x1 k3", ones(5), 3, 4, 4, 2},
		{"5x1 k1", ones(5), 1, 3, 4, 3},
		{"3x1 k1", ones(3), 1, 2, 3, 2},
		{"3x1 k2", ones(3), 2, 3, 3, 1},
		{"4+3+3 k3", slots(4, 3, 3), 3, 2, 3, 2},
		{"5x2 k3", slots(2, 2, 2, 2, 2), 3, 4, 4, 2},
		{"5+5 k3", slots(5, 5), 3, 2, 2, 1},
		{"1x10 k3", slots(10), 3, 1, 1, 1},
		{"1x1 k1", slots(1), 1, 1, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q, err := agree.NewQuorums(tt.slots, tt.needed)
			want := agree.Quorums{Servers: len(tt.slots), Classic: tt.classic, Fast: tt.fast, Read: tt.read}
			if err != nil || q != want {
				t.Errorf("NewQuorums: got %+v, %v, want %+v", q, err, want)
			}
		})
	}
}

func TestQuorumsRefuse(t *testing.T) {
	for _, tt := range []struct {
		name   string
		slots  []int
		needed int
	}{
		{"no server", nil, 1},
		{"nothing needed", ones(3), 0},
		{"too few slots", ones(2), 3},
		{"an empty place", slots(3, 0, 3), 3},
		{"more slots than a code has", slots(200, 100), 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := agree.NewQuorums(tt.slots, tt.needed); !errors.Is(err, agree.ErrPlacement) {
				t.Errorf("NewQuorums: got %v, want ErrPlacement", err)
			}
		})
	}
}

// Two fast quorums and a classic one must meet, and what any two quorums
// share must rebuild the object: for every shape, not only the table's.
func TestQuorumsMeet(t *testing.T) {
	for n := 1; n <= 20; n++ {
		for k := 1; k <= n; k++ {
			q, err := agree.NewQuorums(ones(n), k)
			if err != nil {
				t.Fatal(err)
			}
			if q.Classic < n && 2*q.Classic-n < k {
				t.Errorf("%dx1 k%d: two classic quorums of %d share fewer than k slots", n, k, q.Classic)
			}
			if 2*q.Classic <= n || 2*q.Fast+q.Classic <= 2*n || q.Read+q.Classic <= n || q.Fast < q.Classic {
				t.Errorf("%dx1 k%d: %+v do not meet", n, k, q)
			}
		}
	}
}

func version(seq uint64, root byte) agree.VersionID {
	return agree.VersionID{Seq: seq, Root: [32]byte{root}}
}

func ballot(n, nonce, fast uint64) agree.Ballot { return agree.Ballot{N: n, Nonce: nonce, Fast: fast} }

func TestApply(t *testing.T) {
	one, two, other := version(1, 1), version(2, 2), version(2, 3)
	b1 := ballot(1, 7, 0)
	voted := agree.State{Promised: b1, Accepted: b1, Current: one, Committed: true}
	fast := agree.State{Promised: b1.Next(), Accepted: b1.Next(), Current: two, Base: agree.Base{Version: one}}
	promised := voted
	promised.Promised = ballot(5, 1, 0)
	for _, tt := range []struct {
		name string
		in   agree.State
		msg  agree.Message
		done bool
		want agree.State
	}{
		{"read", voted, agree.Read{}, true, voted},
		{"prepare", voted, agree.Prepare{Ballot: ballot(5, 1, 0)}, true, promised},
		{"prepare again", promised, agree.Prepare{Ballot: ballot(5, 1, 0)}, true, promised},
		{"prepare below the promise", promised, agree.Prepare{Ballot: ballot(4, 9, 0)}, false, promised},
		{"first write", agree.State{}, agree.Fast{New: one}, true,
			agree.State{Promised: ballot(0, 0, 1), Accepted: ballot(0, 0, 1), Current: one}},
		{"fast", voted, agree.Fast{Old: one, Ballot: b1, New: two}, true, fast},
		{"fast repeated", fast, agree.Fast{Old: one, Ballot: b1, New: two}, true, fast},
		{"fast on another version", voted, agree.Fast{Old: other, Ballot: b1, New: two}, false, voted},
		{"fast in another ballot", voted, agree.Fast{Old: one, Ballot: ballot(0, 7, 0), New: two}, false, voted},
		{"fast after another's vote", fast, agree.Fast{Old: one, Ballot: b1, New: other}, false, fast},
		{"fast below the promise", promised, agree.Fast{Old: one, Ballot: b1, New: two}, false, promised},
		{"accept", promised, agree.Accept{Ballot: ballot(5, 1, 0), Version: two, Base: agree.Base{Version: one}}, true,
			agree.State{Promised: ballot(5, 1, 0), Accepted: ballot(5, 1, 0), Current: two, Base: agree.Base{Version: one}}},
		{"accept below the promise", promised, agree.Accept{Ballot: ballot(4, 9, 0), Version: two}, false, promised},
		{"learn its own vote", fast, agree.Learn{Version: two, Ballot: b1.Next()}, true,
			agree.State{Promised: b1.Next(), Accepted: b1.Next(), Current: two, Committed: true}},
		{"learn another vote of the ballot", fast, agree.Learn{Version: other, Ballot: b1.Next()}, true,
			agree.State{Promised: b1.Next(), Accepted: b1.Next(), Current: other, Committed: true}},
		{"learn keeps the promise", promised, agree.Learn{Version: two, Ballot: b1.Next()}, true,
			agree.State{Promised: ballot(5, 1, 0), Accepted: b1.Next(), Current: two, Committed: true}},
		{"learn something old", fast, agree.Learn{Version: one, Ballot: b1}, true, fast},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, done := tt.in.Apply(tt.msg)
			if done != tt.done || got != tt.want {
				t.Errorf("Apply: got %+v, %v, want %+v, %v", got, done, tt.want, tt.done)
			}
			if again, done := got.Apply(tt.msg); tt.done && (!done || again != got) {
				t.Errorf("Apply again: got %+v, %v, want no change", again, done)
			}
		})
	}
}

func TestDecide(t *testing.T) {
	q, err := agree.NewQuorums(ones(5), 3) // classic 4, fast 4, read 2
	if err != nil {
		t.Fatal(err)
	}
	one, two, other := version(1, 1), version(2, 2), version(2, 3)
	b, f := ballot(1, 1, 0), ballot(1, 1, 1)
	x := agree.State{Promised: b, Accepted: b, Current: one}
	known := x
	known.Committed = true
	u := agree.State{Promised: f, Accepted: f, Current: two, Base: agree.Base{Version: one}}
	w := agree.State{Promised: f, Accepted: f, Current: other, Base: agree.Base{Version: one}}
	itself := agree.State{Promised: ballot(2, 1, 0), Accepted: ballot(2, 1, 0), Current: one, Base: agree.Base{Itself: true}}
	for _, tt := range []struct {
		name   string
		states []agree.State
		want   agree.Verdict
		v      agree.VersionID
		sure   bool
	}{
		{"one state", []agree.State{u}, agree.TooFew, agree.VersionID{}, false},
		{"nobody has heard of it", make([]agree.State, 2), agree.Chosen, agree.VersionID{}, true},
		{"a quorum", []agree.State{u, u, u, u}, agree.Chosen, two, true},
		{"one knows", []agree.State{known, x}, agree.Chosen, one, true},
		{"itself", []agree.State{itself, x}, agree.Chosen, one, false},
		{"the missing could make a quorum", []agree.State{u, u, x}, agree.Possible, two, false},
		{"the missing could not", []agree.State{u, x, x}, agree.Previous, one, false},
		{"split", []agree.State{u, u, w, w, x}, agree.Previous, one, false},
		{"the larger half could win", []agree.State{u, u, u, w}, agree.Possible, two, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := agree.Decide(q, tt.states)
			if got.Verdict != tt.want || got.Version != tt.v || got.Sure != tt.sure {
				t.Errorf("Decide: got %+v, want %v of %v, sure %v", got, tt.want, tt.v, tt.sure)
			}
		})
	}
}
