package agree

import (
	"fmt"
	"slices"
)

// A Verdict is what a set of states says about the newest version.
type Verdict uint8

const (
	// TooFew: the states of more servers are needed.
	TooFew Verdict = iota
	// Chosen: the version is chosen, and nothing newer was when the states
	// were read.
	Chosen
	// Possible: the version may be chosen; the servers that are missing
	// know. Only asking them, or a classic ballot, can tell.
	Possible
	// Previous: no candidate can have been chosen, and the version, on
	// which all candidates were built, is the newest chosen one.
	Previous
)

// String names the verdict.
func (v Verdict) String() string {
	switch v {
	case TooFew:
		return "too few states"
	case Chosen:
		return "chosen"
	case Possible:
		return "possibly chosen"
	case Previous:
		return "previous"
	}
	return fmt.Sprintf("verdict %d", uint8(v))
}

// A Decision is the outcome of Decide.
type Decision struct {
	Verdict Verdict
	// Version is the chosen version, or the candidate that may be chosen.
	Version VersionID
	// Ballot is the highest ballot that any state voted in.
	Ballot Ballot
	// Sure: Version is chosen in Ballot itself, so that a fast write on it
	// can be tried.
	Sure bool
	// Base belongs to a Version that is Possible.
	Base Base
}

// Decide applies the decision rule to the states of distinct servers of one
// placement list. It trusts the states: signatures of versions are checked
// before.
//
// A server that has nothing of an object that others have is not counted,
// once the object has more than a first version that is being written: it
// may have voted, and dropped its shares when their lease ended.
func Decide(q Quorums, states []State) Decision { return decide(q, remembering(states)) }

func decide(q Quorums, states []State) Decision {
	if len(states) < q.Read {
		return Decision{Verdict: TooFew}
	}
	var top Ballot
	for _, s := range states {
		if top.Less(s.Accepted) {
			top = s.Accepted
		}
	}
	if top == (Ballot{}) {
		return Decision{Verdict: Chosen, Sure: true}
	}
	if v, ok := settled(q, top, states); ok {
		return Decision{Verdict: Chosen, Version: v, Ballot: top, Sure: true}
	}
	best, base, held := candidate(top, states)
	switch {
	case base.Itself:
		return Decision{Verdict: Chosen, Version: best, Ballot: top}
	case held+q.Servers-len(states) >= q.of(top):
		return Decision{Verdict: Possible, Version: best, Ballot: top, Base: base}
	}
	return Decision{Verdict: Previous, Version: base.Version, Ballot: top}
}

// remembering leaves out the servers that may have forgotten.
func remembering(states []State) []State {
	states = slices.Clone(states)
	if !slices.ContainsFunc(states, State.grown) {
		return states
	}
	return slices.DeleteFunc(states, func(s State) bool { return s.Accepted == (Ballot{}) })
}

// grown says that the object is past the making of its first version.
func (s State) grown() bool {
	return s.Accepted != (Ballot{}) && (s.Committed || s.Base.Itself || !s.Base.Version.IsZero())
}

// settled finds the version that is chosen in ballot b: a server knows it to
// be, or a quorum voted for it.
func settled(q Quorums, b Ballot, states []State) (VersionID, bool) {
	votes := map[VersionID]int{}
	for _, s := range states {
		if s.Accepted != b {
			continue
		}
		votes[s.Current]++
		if s.Committed || votes[s.Current] >= q.of(b) {
			return s.Current, true
		}
	}
	return VersionID{}, false
}

// candidate returns, of the versions voted for in ballot b, the one that the
// most servers hold, in whatever ballot, as current or as base; equals are
// ordered by id, so that all clients choose alike.
func candidate(b Ballot, states []State) (best VersionID, base Base, held int) {
	for _, s := range states {
		if s.Accepted != b {
			continue
		}
		n := holders(s.Current, states)
		if n > held || n == held && less(best, s.Current) {
			best, base, held = s.Current, s.Base, n
		}
	}
	return best, base, held
}

// holders counts the servers that hold v as current in any ballot or as
// base: votes of lower ballots count too, or a version that was chosen there
// would be missed.
func holders(v VersionID, states []State) int {
	n := 0
	for _, s := range states {
		if s.Current == v || !s.Committed && !s.Base.Itself && s.Base.Version == v && s.Accepted != (Ballot{}) {
			n++
		}
	}
	return n
}

func less(a, b VersionID) bool {
	if a.Seq != b.Seq {
		return a.Seq < b.Seq
	}
	for i := range a.Root {
		if a.Root[i] != b.Root[i] {
			return a.Root[i] < b.Root[i]
		}
	}
	return false
}
