package onion

import "crypto/rand"

// A Lane names a circuit that only its holder uses. Lanes are made by
// NewLane; the zero Lane is one of them, for those who share.
type Lane struct{ id [16]byte }

// NewLane returns a lane that no other shares. Its name is random, so that
// nothing about the peer or the use can be read from it.
func NewLane() Lane {
	var l Lane
	// crypto/rand.Read never fails: it ends the program first.
	rand.Read(l.id[:])
	return l
}

// Bytes returns the lane's name, from which onion/tor makes the SOCKS user
// and password.
func (l Lane) Bytes() [16]byte { return l.id }
