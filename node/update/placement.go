package update

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"lafs/shares/agree"
	"lafs/shares/hashes"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// A layout is the placement list of one object: the servers that hold it,
// each of them one voter, and their share numbers. It does not change after
// complete.
type layout struct {
	needed, total int
	voters        []voter
	// generation counts the lists that the object had before this one;
	// before is the last of them, without the one before that.
	generation uint16
	before     *layout

	quorums agree.Quorums
	list    *agree.List // what the rules see
	raw     []byte      // signed, as servers keep it; a before has none
}

type voter struct {
	id     string // the server's
	shares []storage.ShareNumber
}

const (
	layoutMagic   = "lafsplace1" // of generation 0
	movedMagic    = "lafsplace2" // of later ones
	layoutPurpose = "placement list"
	maxServerID   = 255
)

// errLayout is a placement list that is not well written, or not the
// object's.
var errLayout = errors.New("not a placement list of this object")

// complete checks the list and computes its quorums.
func (l *layout) complete() error {
	slots := make([]int, len(l.voters))
	ids, numbers := map[string]bool{}, map[storage.ShareNumber]bool{}
	for i, v := range l.voters {
		if len(v.id) == 0 || len(v.id) > maxServerID || ids[v.id] {
			return fmt.Errorf("%w: a server without a name of its own", errLayout)
		}
		ids[v.id] = true
		slots[i] = len(v.shares)
		for _, n := range v.shares {
			if int(n) >= l.total || numbers[n] {
				return fmt.Errorf("%w: a share that has two places, or none", errLayout)
			}
			numbers[n] = true
		}
	}
	if len(numbers) != l.total || l.total > mutable.MaxTotal {
		return fmt.Errorf("%w: %d of %d shares have a place", errLayout, len(numbers), l.total)
	}
	var err error
	if l.quorums, err = agree.NewQuorums(slots, l.needed); err != nil {
		return err
	}
	l.list = &agree.List{Generation: l.generation, Quorums: l.quorums}
	for _, v := range l.voters {
		l.list.Voters = append(l.list.Voters, v.id)
	}
	if l.before != nil {
		if err := l.before.complete(); err != nil {
			return err
		}
		l.list.Before = l.before.list
	}
	return nil
}

// readable is how many servers hold k shares together, whichever they are.
func (l *layout) readable() int {
	var slots []int
	for _, v := range l.voters {
		slots = append(slots, len(v.shares))
	}
	slices.Sort(slots)
	sum := 0
	for i, n := range slots {
		if sum += n; sum >= l.needed {
			return i + 1
		}
	}
	return len(slots)
}

// marshal writes what is signed: the magic, k, N, the number of voters in
// two bytes, and for each its name and its share numbers, both after their
// length in one byte. A list that replaced another has its own magic, and
// after it the generation in two bytes; the voters of the list before follow
// its own.
func (l *layout) marshal() []byte {
	if l.before == nil {
		return l.appendVoters(append([]byte(layoutMagic), byte(l.needed), byte(l.total)))
	}
	b := binary.BigEndian.AppendUint16([]byte(movedMagic), l.generation)
	return l.before.appendVoters(l.appendVoters(append(b, byte(l.needed), byte(l.total))))
}

func (l *layout) appendVoters(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(l.voters)))
	for _, v := range l.voters {
		b = append(append(b, byte(len(v.id))), v.id...)
		b = append(b, byte(len(v.shares)))
		for _, n := range v.shares {
			b = append(b, byte(n))
		}
	}
	return b
}

// sign makes raw: the list, and the public key and the signature, each after
// its length in two bytes.
func (l *layout) sign(key *mutable.Key) error {
	text := l.marshal()
	signature, err := key.SignStatement(layoutPurpose, text)
	if err != nil {
		return err
	}
	for _, part := range [][]byte{key.Public(), signature} {
		text = append(binary.BigEndian.AppendUint16(text, uint16(len(part))), part...)
	}
	if len(text) > storage.MaxPlacement {
		return fmt.Errorf("%w: it has %d bytes", errLayout, len(text))
	}
	l.raw = text
	return nil
}

// openLayout reads what sign makes and verifies it.
func openLayout(fingerprint hashes.Hash, raw []byte) (*layout, error) {
	l, text, public, signature, err := parseLayout(raw)
	if err != nil {
		return nil, err
	}
	if err := mutable.VerifyStatement(fingerprint, public, layoutPurpose, text, signature); err != nil {
		return nil, err
	}
	l.raw = raw
	return l, nil
}

// parseLayout takes a placement list apart; its signature is not verified.
func parseLayout(raw []byte) (l *layout, text, public, signature []byte, err error) {
	if len(raw) > storage.MaxPlacement {
		return nil, nil, nil, nil, errLayout
	}
	p := listParser{b: raw}
	l = &layout{}
	switch string(p.take(len(layoutMagic))) {
	case layoutMagic:
	case movedMagic:
		if l.generation = p.u16(); l.generation == 0 {
			return nil, nil, nil, nil, errLayout
		}
	default:
		return nil, nil, nil, nil, errLayout
	}
	l.needed, l.total = int(p.u8()), int(p.u8())
	l.voters = p.voters()
	if l.generation > 0 {
		l.before = &layout{needed: l.needed, total: l.total, generation: l.generation - 1, voters: p.voters()}
	}
	text = raw[:len(raw)-len(p.b)]
	public = p.take(int(p.u16()))
	signature = p.take(int(p.u16()))
	if p.bad || len(p.b) > 0 {
		return nil, nil, nil, nil, errLayout
	}
	return l, text, public, signature, l.complete()
}

// A listParser takes a list apart. After the first thing that is wrong it
// gives zeros, and bad is set.
type listParser struct {
	b   []byte
	bad bool
}

func (p *listParser) take(n int) []byte {
	if n > len(p.b) {
		p.b, p.bad = nil, true
	}
	if p.bad {
		return nil
	}
	out := p.b[:n:n]
	p.b = p.b[n:]
	return out
}

func (p *listParser) voters() (out []voter) {
	for range p.u16() {
		v := voter{id: string(p.take(int(p.u8())))}
		for _, n := range p.take(int(p.u8())) {
			v.shares = append(v.shares, storage.ShareNumber(n))
		}
		if p.bad {
			break
		}
		out = append(out, v)
	}
	return out
}

func (p *listParser) u8() uint8 {
	if b := p.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (p *listParser) u16() uint16 {
	if b := p.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}
