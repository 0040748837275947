package agree_test

import (
	"testing"

	"lafs/shares/agree"
)

func TestClassic(t *testing.T) {
	const first = uint64(3) << 48
	const last = first | (1<<48 - 1)
	for _, tt := range []struct {
		name        string
		seen, clock uint64
		want        uint64
	}{
		{"nothing seen", 0, 0, first + 1},
		{"by the clock", 0, 1000, first + 1000},
		{"above what was seen", first + 2000, 1000, first + 2001},
		{"the clock is ahead", first + 10, 1000, first + 1000},
		{"of an older generation", 2<<48 | 5000, 7, first + 7},
		{"of a newer generation", 4<<48 | 5000, 7, first + 7},
		{"a clock before its time", 0, 1<<64 - 1, first + 1},
		{"the last one", last, 7, last},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := agree.Classic(3, tt.seen, tt.clock, 9)
			if want := (agree.Ballot{N: tt.want, Nonce: 9}); b != want || b.Generation() != 3 || !agree.First(3).Less(b) {
				t.Errorf("Classic: got %+v, want %+v", b, want)
			}
		})
	}
	if last := (agree.Ballot{N: last, Nonce: 1<<64 - 1, Fast: 1<<64 - 1}); !last.Less(agree.First(4)) {
		t.Error("a ballot of one generation is not below the first of the next")
	}
}

func TestRecorded(t *testing.T) {
	b, c := ballot(1, 1, 0), ballot(2, 1, 0)
	one, two := version(1, 1), version(2, 2)
	voted := agree.State{Promised: b, Accepted: b, Current: one}
	for _, tt := range []struct {
		name       string
		msg        agree.Message
		before     agree.State
		have, sent string
		want       string
		ok         bool
	}{
		{"the first vote", agree.Fast{New: one}, agree.State{}, "", "a", "a", true},
		{"a vote in a later ballot", agree.Accept{Ballot: c, Version: one, Base: agree.Base{Itself: true}}, voted, "a", "b", "b", true},
		{"the same vote", agree.Accept{Ballot: b, Version: one}, voted, "a", "b", "a", true},
		{"learning one's own vote", agree.Learn{Version: one, Ballot: b}, voted, "a", "b", "a", true},
		{"learning a later one", agree.Learn{Version: two, Ballot: c}, voted, "a", "b", "b", true},
		{"a fast write", agree.Fast{Old: one, Ballot: b, New: two}, voted, "a", "a", "a", true},
		{"a fast write by another list", agree.Fast{Old: one, Ballot: b, New: two}, voted, "b", "a", "b", false},
		{"none sent", agree.Fast{Old: one, Ballot: b, New: two}, voted, "a", "", "a", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			after, done := tt.before.Apply(tt.msg)
			if !done {
				t.Fatal("the step is refused")
			}
			got, ok := agree.Recorded(tt.msg, tt.before, after, []byte(tt.have), []byte(tt.sent))
			if string(got) != tt.want || ok != tt.ok {
				t.Errorf("Recorded: got %q, %v, want %q, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func list(t *testing.T, generation uint16, before *agree.List, voters ...string) *agree.List {
	t.Helper()
	q, err := agree.NewQuorums(ones(len(voters)), 3)
	if err != nil {
		t.Fatal(err)
	}
	return &agree.List{Generation: generation, Voters: voters, Quorums: q, Before: before}
}

func TestFind(t *testing.T) {
	l := list(t, 0, nil, "a", "b", "c", "d", "e") // classic 4, fast 4, read 2
	m := list(t, 1, l, "a", "b", "c", "d", "f")
	x, y, old := version(2, 2), version(3, 3), version(1, 1)
	c, first := ballot(5, 1, 0), agree.First(1)
	itself := agree.Base{Itself: true}
	behind := agree.State{Promised: ballot(1, 1, 0), Accepted: ballot(1, 1, 0), Current: old, Committed: true}
	sealed := agree.State{Promised: c, Accepted: c, Current: x, Base: itself}
	begun := agree.State{Promised: first, Accepted: first, Current: x, Base: itself}
	known := begun
	known.Committed = true
	next := agree.State{Promised: first.Next(), Accepted: first.Next(), Current: y, Base: agree.Base{Version: x}}
	w := func(server string, s agree.State, l *agree.List) agree.Witness {
		return agree.Witness{Server: server, State: s, List: l}
	}
	for _, tt := range []struct {
		name              string
		known             *agree.List
		witnesses         []agree.Witness
		list, next        *agree.List
		installed, sealed bool
		behind, sure      bool
		verdict           agree.Verdict
		version           agree.VersionID
	}{
		{"nobody has a list", nil, []agree.Witness{w("a", agree.State{}, nil)}, nil, nil, false, false, false, false, agree.TooFew, agree.VersionID{}},
		{"only the old list", nil, []agree.Witness{w("a", behind, l), w("e", behind, l)},
			l, nil, true, false, false, true, agree.Chosen, old},
		{"a seal that one has", l, []agree.Witness{w("a", sealed, m), w("e", behind, l)},
			l, m, true, false, true, false, agree.Chosen, x},
		{"a seal, and two of the next list say nothing new", l, []agree.Witness{w("a", sealed, m), w("b", sealed, m)},
			l, m, true, false, false, false, agree.Chosen, x},
		{"a seal that a quorum has", l, []agree.Witness{w("a", sealed, m), w("b", sealed, m), w("c", sealed, m), w("d", sealed, m)},
			l, m, true, true, false, false, agree.Chosen, x},
		{"a seal below the top", l, []agree.Witness{w("a", sealed, m),
			w("b", agree.State{Accepted: ballot(6, 1, 0), Current: y, Base: agree.Base{Version: old}}, l), w("c", behind, l)},
			l, nil, true, false, false, false, agree.Previous, old},
		{"one has begun", l, []agree.Witness{w("a", begun, m), w("b", sealed, m)},
			m, nil, false, false, false, false, agree.Chosen, x},
		{"a quorum has begun", l, []agree.Witness{w("a", begun, m), w("b", begun, m), w("c", begun, m), w("f", begun, m)},
			m, nil, true, false, false, true, agree.Chosen, x},
		{"one knows", nil, []agree.Witness{w("a", known, m), w("e", behind, l)}, m, nil, true, false, false, false, agree.TooFew, agree.VersionID{}},
		{"one that was taken off knows", l, []agree.Witness{w("e", known, m), w("a", sealed, m), w("b", sealed, m)},
			m, nil, true, false, false, false, agree.TooFew, agree.VersionID{}},
		{"somebody has written", l, []agree.Witness{w("a", next, m), w("b", begun, m)},
			m, nil, true, false, false, false, agree.Possible, y},
		{"what has nothing says nothing", l, []agree.Witness{w("e", behind, l), w("d", agree.State{}, nil)},
			l, nil, true, false, false, false, agree.TooFew, agree.VersionID{}},
		{"a list that is not the vote's", l, []agree.Witness{w("a", begun, l), w("b", behind, l), w("c", behind, l)},
			l, nil, true, false, false, true, agree.Chosen, old},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := agree.Find(tt.known, tt.witnesses)
			if f.List != tt.list || f.Next != tt.next || f.Installed != tt.installed || f.Sealed != tt.sealed || f.Behind != tt.behind ||
				f.Sure != tt.sure || f.Verdict != tt.verdict || f.Version != tt.version {
				t.Errorf("Find: got %+v", f)
			}
		})
	}
}
