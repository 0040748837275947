package ondisk

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

const (
	recordMagic  = "lafsslot"
	recordFormat = 3
)

// MaxRecord is above any record's length, in bytes.
const MaxRecord = 128 << 10

// ErrRecord is a record that is damaged, or not there though it was.
var ErrRecord = errors.New("not a slot's record")

// A Record is what the server keeps of one slot beside its shares, and says
// which files hold those. Its file is the slot's truth: a step is done when
// the new record has taken the old one's name.
type Record struct {
	Index   caps.StorageIndex
	TubID   [20]byte
	Enabler [32]byte // BLAKE2b-256 of the write enabler
	Who     Authority
	Step    uint64 // counts the records of this slot, from 1

	State     agree.State
	Ancestors []agree.VersionID // of State.Current, at most storage.MaxAncestors
	Placement []byte            // at most storage.MaxPlacement

	// Current and Base are the shares of State.Current and State.Base.
	Current, Base Shares
	// Foreign are, if IsForeign, the shares that readers see: somebody wrote
	// them past the protocol. Seen: a writer was told so, in an answer to a
	// Prepare.
	Foreign         Shares
	IsForeign, Seen bool
	// Lost: what the server promised and voted for before is not known.
	Lost bool
}

// Shares say which file holds a share, by number.
type Shares map[storage.ShareNumber]Ref

// A Ref names a share file by the step that wrote it. Length is that of
// the share.
type Ref struct {
	Step   uint64
	Length int64
}

// Visible are the shares that readers see.
func (r *Record) Visible() Shares {
	if r.IsForeign {
		return r.Foreign
	}
	return r.Current
}

// Refers says whether the record needs the file of share n that step wrote.
func (r *Record) Refers(n storage.ShareNumber, step uint64) bool {
	for _, set := range []Shares{r.Current, r.Base, r.Foreign} {
		if ref, ok := set[n]; ok && ref.Step == step {
			return true
		}
	}
	return false
}

// Size is the length of the record's file.
func (r *Record) Size() int64 {
	return int64(264 + 40*len(r.Ancestors) + len(r.Placement) + 17*(len(r.Current)+len(r.Base)+len(r.Foreign)))
}

const (
	flagForeign = 1 << iota
	flagSeen
	flagCommitted
	flagItself
	flagLost
)

// Marshal writes the record; integers are big-endian:
//
//	 0  8  magic "lafsslot"
//	 8  4  format number
//	12 16  storage index
//	28 20  tub id of the server that voted
//	48 32  BLAKE2b-256 of the write enabler
//	80  4  authority (not in format 1, which stands for Default)
//	84  8  step
//	92  1  flags: 1 foreign, 2 seen, 4 committed, 8 the base is itself chosen,
//	       16 lost (not before format 3)
//	93 24  ballot promised
//	  24  ballot accepted
//	  40  version current
//	  40  version of the base
//	   1  number of ancestors; 40 each
//	   4  length of the placement list; the list
//
// then the current, the base and the foreign shares: 2 bytes for their
// count, and 17 each, in the order of share numbers: number, 8 bytes for the
// step, 8 for the length. SHA-256 of all that ends the file. A ballot is N,
// nonce and fast, 8 bytes each; a version its sequence number and root hash.
func (r *Record) Marshal() []byte {
	b := binary.BigEndian.AppendUint32([]byte(recordMagic), recordFormat)
	b = append(b, r.Index[:]...)
	b = append(b, r.TubID[:]...)
	b = append(b, r.Enabler[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(r.Who))
	b = binary.BigEndian.AppendUint64(b, r.Step)
	b = append(b, r.flags())
	b = appendBallot(appendBallot(b, r.State.Promised), r.State.Accepted)
	b = appendVersion(appendVersion(b, r.State.Current), r.State.Base.Version)
	b = append(b, byte(len(r.Ancestors)))
	for _, v := range r.Ancestors {
		b = appendVersion(b, v)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.Placement)))
	b = append(b, r.Placement...)
	for _, set := range []Shares{r.Current, r.Base, r.Foreign} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(set)))
		for _, n := range slices.Sorted(maps.Keys(set)) {
			b = append(b, byte(n))
			b = binary.BigEndian.AppendUint64(b, set[n].Step)
			b = binary.BigEndian.AppendUint64(b, uint64(set[n].Length))
		}
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func (r *Record) flags() (f byte) {
	for _, x := range []struct {
		set  bool
		flag byte
	}{{r.IsForeign, flagForeign}, {r.Seen, flagSeen}, {r.State.Committed, flagCommitted}, {r.State.Base.Itself, flagItself}, {r.Lost, flagLost}} {
		if x.set {
			f |= x.flag
		}
	}
	return f
}

func appendBallot(b []byte, x agree.Ballot) []byte {
	b = binary.BigEndian.AppendUint64(b, x.N)
	b = binary.BigEndian.AppendUint64(b, x.Nonce)
	return binary.BigEndian.AppendUint64(b, x.Fast)
}

func appendVersion(b []byte, v agree.VersionID) []byte {
	return append(binary.BigEndian.AppendUint64(b, v.Seq), v.Root[:]...)
}

// ParseRecord reads a whole record file. ErrNewer: its format is of a later
// version; ErrRecord: it is something else, or damaged.
func ParseRecord(b []byte) (*Record, error) {
	if len(b) < 12+sha256.Size || string(b[:8]) != recordMagic {
		return nil, ErrRecord
	}
	format := binary.BigEndian.Uint32(b[8:])
	switch {
	case format > recordFormat:
		return nil, ErrNewer
	case format < 1:
		return nil, ErrRecord
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if sha256.Sum256(body) != [32]byte(sum) {
		return nil, ErrRecord
	}
	p := parser{b: body[12:]}
	r := &Record{Index: caps.StorageIndex(p.take(16)), TubID: [20]byte(p.take(20)), Enabler: [32]byte(p.take(32)), Who: Default}
	if format > 1 {
		r.Who = Authority(binary.BigEndian.Uint32(p.take(4)))
	}
	r.Step = p.u64()
	flags := p.take(1)[0]
	r.IsForeign, r.Seen, r.Lost = flags&flagForeign != 0, flags&flagSeen != 0, flags&flagLost != 0
	r.State = agree.State{Promised: p.ballot(), Accepted: p.ballot(), Current: p.version(), Committed: flags&flagCommitted != 0}
	r.State.Base = agree.Base{Itself: flags&flagItself != 0, Version: p.version()}
	for range p.take(1)[0] {
		r.Ancestors = append(r.Ancestors, p.version())
	}
	if n := binary.BigEndian.Uint32(p.take(4)); n > 0 && n <= storage.MaxPlacement {
		r.Placement = slices.Clone(p.take(int(n)))
	} else if n != 0 {
		return nil, ErrRecord
	}
	r.Current, r.Base, r.Foreign = p.shares(), p.shares(), p.shares()
	if p.bad || len(p.b) > 0 || flags >= flagLost<<1 || format < 3 && r.Lost || len(r.Ancestors) > storage.MaxAncestors || r.Step == 0 ||
		!r.IsForeign && (len(r.Foreign) > 0 || r.Seen) {
		return nil, ErrRecord
	}
	return r, nil
}

// A parser takes a record apart. After the first thing that is wrong it
// gives zeros, and bad is set.
type parser struct {
	b   []byte
	bad bool
}

func (p *parser) take(n int) []byte {
	if len(p.b) < n {
		p.b, p.bad = nil, true
	}
	if p.bad {
		return make([]byte, n)
	}
	out := p.b[:n]
	p.b = p.b[n:]
	return out
}

func (p *parser) u64() uint64 { return binary.BigEndian.Uint64(p.take(8)) }

func (p *parser) ballot() agree.Ballot {
	return agree.Ballot{N: p.u64(), Nonce: p.u64(), Fast: p.u64()}
}

func (p *parser) version() agree.VersionID {
	return agree.VersionID{Seq: p.u64(), Root: [32]byte(p.take(32))}
}

// shares reads a list of shares; nil if it is empty.
func (p *parser) shares() Shares {
	count := int(binary.BigEndian.Uint16(p.take(2)))
	if count == 0 {
		return nil
	}
	out, next := Shares{}, 0
	for range count {
		n, ref := p.take(1)[0], Ref{Step: p.u64()}
		length := p.u64()
		if p.bad || int(n) < next || length > MaxShareSize {
			p.bad = true
			return nil
		}
		next, ref.Length = int(n)+1, int64(length)
		out[storage.ShareNumber(n)] = ref
	}
	return out
}

// Allows says whether e is the write enabler of the slot.
func (r *Record) Allows(e *storage.WriteEnabler) bool {
	hash := HashEnabler(e)
	return subtle.ConstantTimeCompare(hash[:], r.Enabler[:]) == 1
}

// Refuses: votes wait until their writer knows what a Tahoe-LAFS client
// wrote here.
func (r *Record) Refuses(m agree.Message) bool {
	switch m.(type) {
	case agree.Fast:
		return r.IsForeign
	case agree.Accept:
		return r.IsForeign && !r.Seen
	}
	return false
}

// Same says that next has nothing that r has not.
func (r *Record) Same(next *Record) bool {
	return r.State == next.State && r.Seen == next.Seen && r.IsForeign == next.IsForeign && r.Lost == next.Lost && slices.Equal(r.Placement, next.Placement) &&
		maps.Equal(r.Current, next.Current) && maps.Equal(r.Base, next.Base) && maps.Equal(r.Foreign, next.Foreign)
}

// Numbers are those of all shares that the record names.
func (r *Record) Numbers() (out []storage.ShareNumber) {
	for _, set := range []Shares{r.Current, r.Base, r.Foreign} {
		for n := range set {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
