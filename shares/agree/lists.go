package agree

import (
	"bytes"
	"slices"
)

// A List is a placement list as the rules see it: the servers that vote on
// one object. It is replaced, when servers are lost for good, by a list of
// the next generation, so that no acknowledged write is lost on the way:
//
//   - What is voted for is a version and a list. The list travels beside
//     every message that votes, and a server records it with its vote
//     (Recorded). A vote in a ballot of generation g is a vote of the list of
//     that generation; if the list recorded with it is of generation g+1, it
//     is a seal: if the version is chosen in that ballot, so is that list, as
//     the successor of the list of generation g. Only classic ballots seal.
//   - Seal: who wants to replace an installed list L by M takes a classic
//     ballot among L's servers, as for any write, decides, and asks them to
//     accept the version decided on (possible, or itself chosen), with M.
//   - Whoever decides, in any classic ballot of L, on a version that is
//     chosen or possible, and finds M recorded with it in the highest ballot
//     (Finding.Next), asks for votes for both. If none is possible, M was not
//     chosen either, and is dropped with the version.
//   - Install: when L's quorum has accepted version x and M, M's servers, all
//     of them, are asked to accept x, itself chosen, in First(g+1), with M.
//     Everybody who does that asks for the same, so it may be repeated at any
//     time. When a classic quorum of M has voted in that generation, M is
//     installed, and x can be rebuilt from every quorum of it.
//   - Nothing but the install is sent in ballots of generation g+1 before
//     whoever sends it knows that M is installed: a vote above First(g+1), a
//     state that is Committed, or a quorum that has voted shows it.
//   - A fast write is asked for with the list that it was prepared under, and
//     a server that has another one refuses it. Nobody asks for one on top of
//     a seal, and a Learn of a ballot carries the list that was voted for.
//
// Why that is safe. In one generation, versions with lists are chosen as
// versions are without: the argument for those holds word for word, with the
// seal as a last step of the chain. For let (x, M) be chosen in ballot c of
// L. Every classic ballot of L above c has promises of a quorum, which holds
// a vote in c or above; by induction all votes above c are for (x, M), since
// whoever saw it could only ask for it again, and no fast quorum is without a
// server that sealed. So L has one successor, and chooses nothing after it.
// A state with a vote in a ballot of generation g+1 proves that M is that
// successor, since nothing is sent there before. M's servers begin with x,
// which is the newest chosen version until one is chosen there, built on x;
// from then on the argument for one list holds again. All ballots of M are
// above those of L, so a server of both has one state: its votes in L are
// over when it votes in M, which is after the seal was chosen.
//
// What a client that knows only L sees: any Quorums.Read servers of L hold a
// seal (L chose nothing afterwards, so those votes stay, or gave way to votes
// of later generations, which name a later list). The seal names M, and M's
// servers tell whether they have voted; and so on down the chain. Servers
// that were lost, and come back, are fewer than Quorums.Read, and so are all
// that are not counted since they have dropped what they had.
type List struct {
	// Generation is 0 for the list that an object is made with.
	Generation uint16
	// Voters are the servers' ids.
	Voters []string
	// Quorums are computed from the places that the voters have.
	Quorums Quorums
	// Before is the list that this one replaces; nil for the first. Its own
	// Before is not known.
	Before *List
}

// Recorded is the placement list that a server has after a step on a slot,
// where it had have and the message brings sent. It belongs to the vote, and
// changes with it. If it is false, the step must be refused.
func Recorded(m Message, before, after State, have, sent []byte) ([]byte, bool) {
	switch _, fast := m.(Fast); {
	case len(sent) == 0:
		return have, true
	case len(have) == 0:
		return sent, true
	case after.Accepted == before.Accepted:
		return have, true
	case fast && !bytes.Equal(have, sent):
		return have, false
	}
	return sent, true
}

// A Witness is what one server says of one object.
type Witness struct {
	Server string
	State  State
	// List is the one recorded with the vote; nil for none, or one that is
	// not to be trusted.
	List *List
	// Void: what the server voted for was overwritten, and does not count. It
	// is then a server that has promised, and voted for nothing.
	Void bool
}

// voted returns the list that the vote was given in, and the one that it
// seals that list with, if it does.
func (w Witness) voted() (list, next *List) {
	g := w.State.Accepted.Generation()
	switch l := w.List; {
	case l == nil || w.Void || w.State.Accepted == (Ballot{}):
	case g == l.Generation:
		return l, nil
	case l.Before != nil && g == l.Before.Generation:
		return l.Before, l
	}
	return nil, nil
}

// A Finding is what witnesses say together.
type Finding struct {
	// List is the newest that was, for sure, chosen; nil if none was seen.
	// The decision is that of its servers.
	List *List
	// Installed: a quorum of List's has what it begins with, so that writers
	// may write to it.
	Installed bool
	Decision
	// Next, if not nil, takes List's place if Version is chosen in Ballot,
	// as it is if Sealed. The decision is not Sure then: nothing can be
	// written on top of it.
	Next   *List
	Sealed bool
	// Behind: too few of Next's servers were asked to know that they have
	// voted for nothing newer. A writer who has promises need not know.
	Behind bool
}

// Find decides on what witnesses say, distinct servers of any list. known is
// the newest list that the caller knows to be installed; it may be nil.
func Find(known *List, witnesses []Witness) Finding {
	f := Finding{List: known, Installed: known != nil}
	whole := known != nil
	for _, w := range witnesses {
		l, next := w.voted()
		if l == nil || f.List != nil && (l.Generation < f.List.Generation || l.Generation == f.List.Generation && (whole || next != nil)) {
			continue
		}
		// A successor names the list before it, but does not hold it whole.
		f.Installed = f.Installed && l.Generation == f.List.Generation || l.Generation == 0 || next != nil
		f.List, whole = l, next == nil
	}
	if f.List == nil {
		return f
	}
	states, void, voted := f.count(witnesses)
	f.Installed = f.Installed || voted >= f.List.Quorums.Classic
	if f.List.Generation > 0 && voted == 0 {
		return f
	}
	f.Decision = decide(f.List.Quorums, append(remembering(states), void...))
	if f.Verdict == Chosen || f.Verdict == Possible {
		f.succeed(witnesses)
	}
	return f
}

// count gathers the states of the list's servers, apart those that are void.
// voted is how many of them have voted in it.
func (f *Finding) count(witnesses []Witness) (states, void []State, voted int) {
	g := f.List.Generation
	for _, w := range witnesses {
		at := w.State.Accepted
		if w.Void {
			if f.List.Has(w.Server) {
				void = append(void, State{Promised: w.State.Promised})
			}
			continue
		}
		if at.Generation() == g && (w.State.Committed || First(g).Less(at)) {
			f.Installed = true
		}
		if at.Generation() > g || !f.List.Has(w.Server) {
			continue
		}
		states = append(states, w.State)
		if at.Generation() == g {
			voted++
		}
	}
	return states, void, voted
}

// succeed looks for the list that was voted for with the version.
func (f *Finding) succeed(witnesses []Witness) {
	for _, w := range witnesses {
		if !f.List.Has(w.Server) || w.Void || w.State.Accepted != f.Ballot || w.State.Current != f.Version {
			continue
		}
		if _, next := w.voted(); next != nil {
			f.Next = next
		}
	}
	if f.Next == nil {
		return
	}
	f.Sealed, f.Sure = f.Sure, false
	told := 0
	for _, w := range witnesses {
		if f.Next.Has(w.Server) && !w.Void && w.State.Accepted != (Ballot{}) {
			told++
		}
	}
	f.Behind = told < f.Next.Quorums.Read
}

// Has says whether a server is on the list.
func (l *List) Has(server string) bool { return slices.Contains(l.Voters, server) }
