// Package agree holds the rules by which writers and storage servers agree
// on the newest version of one mutable object, so that no acknowledged
// write is ever lost: a Fast Paxos on a chain of versions, in which a server
// keeps the share it had until the next version is known to be chosen.
//
// All of it is pure: State.Apply is what a server does with a message,
// Decide is what a client concludes from states, Quorums says how many
// servers that takes. Messages carry no share bytes here; the store and the
// client carry them beside.
//
// A server is one voter per object, however many of its shares it holds: a
// request covers all of them and is atomic.
package agree

import (
	"cmp"
	"fmt"
)

// A VersionID names one version of an object: its sequence number and the
// root hash R of its share hash tree, which is unique because of the fresh
// salt. The zero VersionID is the object that does not exist yet.
type VersionID struct {
	Seq  uint64
	Root [32]byte
}

// IsZero reports whether v is the object that does not exist yet.
func (v VersionID) IsZero() bool { return v == VersionID{} }

// A Ballot orders votes. Ballots with Fast 0 are classic: one proposer,
// made unique by its random nonce, which has collected promises. Fast f > 0
// is the f-th write in one step on top of that classic ballot, open to every
// writer. The zero Ballot is below all others; in it the object does not
// exist.
//
// The highest 16 bits of N are the generation of the placement list whose
// servers vote in it, so that every ballot of a list is above all of the
// list that it replaced.
type Ballot struct {
	N     uint64
	Nonce uint64
	Fast  uint64
}

// Compare orders ballots by N, Nonce and Fast; it is negative where b comes
// before c.
func (b Ballot) Compare(c Ballot) int {
	return cmp.Or(cmp.Compare(b.N, c.N), cmp.Compare(b.Nonce, c.Nonce), cmp.Compare(b.Fast, c.Fast))
}

// Less reports whether b comes before c.
func (b Ballot) Less(c Ballot) bool { return b.Compare(c) < 0 }

// Next is the fast ballot that directly follows b.
func (b Ballot) Next() Ballot { return Ballot{b.N, b.Nonce, b.Fast + 1} }

// IsFast reports whether b is open to every writer.
func (b Ballot) IsFast() bool { return b.Fast > 0 }

// generationShift is where in N the generation is.
const generationShift = 48

// Generation is that of the placement list whose servers vote in b.
func (b Ballot) Generation() uint16 { return uint16(b.N >> generationShift) }

// First is the ballot in which the servers of a list of a generation above 0
// get the version that they begin with.
func First(generation uint16) Ballot { return Ballot{N: uint64(generation) << generationShift} }

// Classic makes a classic ballot of a generation: above every ballot of that
// generation whose N is at most seen, and, to save time, above what others
// make who have seen less, by the clock.
func Classic(generation uint16, seen, clock, nonce uint64) Ballot {
	const mask = 1<<generationShift - 1
	first := First(generation).N
	if clock > mask>>1 {
		clock = 0 // it is wrong, and would use the numbers up
	}
	n := max(clock, 1)
	if first <= seen && seen-first < mask {
		n = max(n, seen-first+1)
	} else if seen-first == mask {
		n = mask
	}
	return Ballot{N: first + n, Nonce: nonce}
}

// String prints the ballot for a log: it is no secret.
func (b Ballot) String() string { return fmt.Sprintf("%d.%08x.%d", b.N, b.Nonce>>32, b.Fast) }

// A Base says which version was the newest chosen one when a server's
// current version was written.
type Base struct {
	// Itself: the current version is itself chosen; Version is zero.
	Itself bool
	// Version is the version whose shares the server keeps beside the
	// current one.
	Version VersionID
}

// A State is what one server keeps of one object beside its shares. The
// zero State is that of a server that has never heard of the object.
type State struct {
	// Promised: no vote below this ballot.
	Promised Ballot
	// Accepted is the ballot of the newest vote, for Current.
	Accepted Ballot
	// Current is the version that readers see.
	Current VersionID
	// Base belongs to Current; it means nothing once Committed.
	Base Base
	// Committed: Current is known to be chosen in Accepted.
	Committed bool
}

// Kept is the version whose shares the server keeps beside those of Current,
// zero if it needs none.
func (s State) Kept() VersionID {
	if s.Committed || s.Base.Itself {
		return VersionID{}
	}
	return s.Base.Version
}
