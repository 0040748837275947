package tail

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"lafs/shares/agree"
	"lafs/shares/storage"
)

const (
	magic  = "lafstail"
	format = 1
	// gap is how far behind a share its record begins. A share that grows by
	// no more than that under the hands of a Tahoe-LAFS client leaves the
	// record whole: in a directory of 3-of-10, a dozen entries.
	gap = 1024
	// headSize is the length of a record's fixed part.
	headSize = 8 + 4 + 8 + 16 + 1 + 1 + 24 + 24 + 40 + 40 + 40 + 1 + 4 + 8 + 32 + 32 + 32
	// maxBody bounds ancestors and placement list.
	maxBody = storage.MaxAncestors*40 + storage.MaxPlacement
)

// A record is what stands behind one share: the state of the whole slot on
// this server, the same behind each of its shares, and this share's base.
type record struct {
	// step counts the steps on the slot, nonce is new with each: together
	// they make every record's head different from all others.
	step  uint64
	nonce [16]byte
	// number and of say which share, and which version of it, the record was
	// written behind; of is zero where there is only the record.
	number storage.ShareNumber
	of     agree.VersionID
	state  agree.State
	// seen: the share was written by a Tahoe-LAFS client, and an answer to a
	// Prepare said so. lost: and nothing was left of the record before that.
	seen, lost bool
	ancestors  []agree.VersionID
	placement  []byte
	// The share of state.Base.Version follows the record, if baseSize is not
	// zero.
	baseSize int64
	baseHash [32]byte

	bodySize int64
	bodyHash [32]byte
}

const (
	flagCommitted = 1 << iota
	flagItself
	flagSeen
	flagLost
)

// size is the record's length with the base.
func (r *record) size() int64 { return headSize + r.bodySize + r.baseSize }

// setBody computes what the head says of the body, and returns that.
func (r *record) setBody() []byte {
	var b []byte
	for _, v := range r.ancestors {
		b = appendVersion(b, v)
	}
	b = append(b, r.placement...)
	r.bodySize, r.bodyHash = int64(len(b)), sha256.Sum256(b)
	return b
}

// head writes the fixed part; integers are big-endian:
//
//	  0  8  magic "lafstail"
//	  8  4  format number, 1
//	 12  8  step
//	 20 16  nonce
//	 36  1  number of the share
//	 37  1  flags: 1 committed, 2 the base is itself chosen, 4 seen, 8 lost
//	 38 24  ballot promised
//	 62 24  ballot accepted
//	 86 40  version current
//	126 40  version of the base
//	166 40  version of the share that it stands behind
//	206  1  number of ancestors
//	207  4  length of the placement list
//	211  8  length of the base share, 0 if there is none
//	219 32  SHA-256 of the ancestors, 40 bytes each, and the placement list
//	251 32  SHA-256 of the base share, zeros if there is none
//	283 32  SHA-256 of all of that
//
// Ancestors, placement list and base share follow. A ballot is N, nonce and
// fast, 8 bytes each; a version its sequence number and 32 bytes
// (storage.VersionOf).
func (r *record) head() []byte {
	b := binary.BigEndian.AppendUint32([]byte(magic), format)
	b = binary.BigEndian.AppendUint64(b, r.step)
	b = append(b, r.nonce[:]...)
	b = append(b, byte(r.number), r.flags())
	b = appendBallot(appendBallot(b, r.state.Promised), r.state.Accepted)
	b = appendVersion(appendVersion(b, r.state.Current), r.state.Base.Version)
	b = appendVersion(b, r.of)
	b = append(b, byte(len(r.ancestors)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.placement)))
	b = binary.BigEndian.AppendUint64(b, uint64(r.baseSize))
	b = append(b, r.bodyHash[:]...)
	b = append(b, r.baseHash[:]...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func (r *record) flags() (f byte) {
	for _, x := range []struct {
		is   bool
		flag byte
	}{{r.state.Committed, flagCommitted}, {r.state.Base.Itself, flagItself}, {r.seen, flagSeen}, {r.lost, flagLost}} {
		if x.is {
			f |= x.flag
		}
	}
	return f
}

func appendBallot(b []byte, x agree.Ballot) []byte {
	for _, n := range []uint64{x.N, x.Nonce, x.Fast} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

func appendVersion(b []byte, v agree.VersionID) []byte {
	return append(binary.BigEndian.AppendUint64(b, v.Seq), v.Root[:]...)
}

// parseHead reads a head; nil if b does not begin with one that is whole and
// possible. The body is not looked at.
func parseHead(b []byte) *record {
	if len(b) < headSize || string(b[:8]) != magic || binary.BigEndian.Uint32(b[8:]) != format {
		return nil
	}
	b = b[:headSize]
	if sum := sha256.Sum256(b[:headSize-32]); !bytes.Equal(sum[:], b[headSize-32:]) {
		return nil
	}
	flags := b[37]
	r := &record{step: binary.BigEndian.Uint64(b[12:]), nonce: [16]byte(b[20:36]), number: storage.ShareNumber(b[36]),
		seen: flags&flagSeen != 0, lost: flags&flagLost != 0,
		ancestors: make([]agree.VersionID, b[206]), bodyHash: [32]byte(b[219:251]), baseHash: [32]byte(b[251:283])}
	r.state = agree.State{Promised: ballotAt(b[38:]), Accepted: ballotAt(b[62:]), Current: versionAt(b[86:]),
		Base:      agree.Base{Itself: flags&flagItself != 0, Version: versionAt(b[126:])},
		Committed: flags&flagCommitted != 0}
	r.of = versionAt(b[166:])
	placement, base := binary.BigEndian.Uint32(b[207:]), binary.BigEndian.Uint64(b[211:])
	r.baseSize = int64(base)
	switch {
	case flags >= flagLost<<1, len(r.ancestors) > storage.MaxAncestors, placement > storage.MaxPlacement, base > storage.MaxSlotShare,
		r.state.Base.Itself && r.state.Base.Version != agree.VersionID{}, base > 0 && r.state.Kept().IsZero():
		return nil
	}
	r.placement = make([]byte, placement)
	r.bodySize = int64(40*len(r.ancestors)) + int64(placement)
	return r
}

func ballotAt(b []byte) agree.Ballot {
	return agree.Ballot{N: binary.BigEndian.Uint64(b), Nonce: binary.BigEndian.Uint64(b[8:]), Fast: binary.BigEndian.Uint64(b[16:])}
}

func versionAt(b []byte) agree.VersionID {
	return agree.VersionID{Seq: binary.BigEndian.Uint64(b), Root: [32]byte(b[8:40])}
}

// parseBody fills in the lists; false if b is not the head's body.
func (r *record) parseBody(b []byte) bool {
	if int64(len(b)) != r.bodySize || sha256.Sum256(b) != r.bodyHash {
		return false
	}
	for i := range r.ancestors {
		r.ancestors[i] = versionAt(b[40*i:])
	}
	copy(r.placement, b[40*len(r.ancestors):])
	return true
}
