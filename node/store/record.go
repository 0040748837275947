package store

import (
	"crypto/sha256"
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

// errRecord is a record that is damaged, or not there though it was.
var errRecord = errors.New("not a slot's record")

// A record is what the server keeps of one slot beside its shares, and says
// which files hold those. Its file is the slot's truth: a step is done when
// the new record has taken the old one's name.
type record struct {
	si      caps.StorageIndex
	tubID   [20]byte
	enabler [32]byte // BLAKE2b-256 of the write enabler
	who     Authority
	step    uint64 // counts the records of this slot, from 1

	state     agree.State
	ancestors []agree.VersionID // of state.Current, at most storage.MaxAncestors
	placement []byte            // at most storage.MaxPlacement

	// current and base are the shares of state.Current and state.Base.
	current, base shareSet
	// foreign are, if isForeign, the shares that readers see: somebody wrote
	// them past the protocol. seen: a writer was told so, in an answer to a
	// Prepare.
	foreign         shareSet
	isForeign, seen bool
	// lost: what the server promised and voted for before is not known.
	lost bool
}

// A shareSet says which file holds a share, by number.
type shareSet map[storage.ShareNumber]shareRef

// A shareRef names a share file by the step that wrote it. length is that of
// the share.
type shareRef struct {
	step   uint64
	length int64
}

// visible are the shares that readers see.
func (r *record) visible() shareSet {
	if r.isForeign {
		return r.foreign
	}
	return r.current
}

// refers says whether the record needs the file of share n that step wrote.
func (r *record) refers(n storage.ShareNumber, step uint64) bool {
	for _, set := range []shareSet{r.current, r.base, r.foreign} {
		if ref, ok := set[n]; ok && ref.step == step {
			return true
		}
	}
	return false
}

// size is the length of the record's file.
func (r *record) size() int64 {
	return int64(264 + 40*len(r.ancestors) + len(r.placement) + 17*(len(r.current)+len(r.base)+len(r.foreign)))
}

// totals counts the shares that readers see, the bytes of all, and what the
// slot takes of the disk.
func (r *record) totals() slotTotals {
	t := slotTotals{si: r.si, who: r.who, shares: int64(len(r.visible()))}
	t.disk = cost(r.size())
	type file struct {
		n    storage.ShareNumber
		step uint64
	}
	files := map[file]int64{}
	for _, set := range []shareSet{r.current, r.base, r.foreign} {
		for n, ref := range set {
			files[file{n, ref.step}] = ref.length
		}
	}
	for _, length := range files {
		t.bytes += length
		t.disk += cost(length)
	}
	return t
}

const (
	flagForeign = 1 << iota
	flagSeen
	flagCommitted
	flagItself
	flagLost
)

// marshal writes the record; integers are big-endian:
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
func (r *record) marshal() []byte {
	b := binary.BigEndian.AppendUint32([]byte(recordMagic), recordFormat)
	b = append(b, r.si[:]...)
	b = append(b, r.tubID[:]...)
	b = append(b, r.enabler[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(r.who))
	b = binary.BigEndian.AppendUint64(b, r.step)
	b = append(b, r.flags())
	b = appendBallot(appendBallot(b, r.state.Promised), r.state.Accepted)
	b = appendVersion(appendVersion(b, r.state.Current), r.state.Base.Version)
	b = append(b, byte(len(r.ancestors)))
	for _, v := range r.ancestors {
		b = appendVersion(b, v)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.placement)))
	b = append(b, r.placement...)
	for _, set := range []shareSet{r.current, r.base, r.foreign} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(set)))
		for _, n := range slices.Sorted(maps.Keys(set)) {
			b = append(b, byte(n))
			b = binary.BigEndian.AppendUint64(b, set[n].step)
			b = binary.BigEndian.AppendUint64(b, uint64(set[n].length))
		}
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func (r *record) flags() (f byte) {
	for _, x := range []struct {
		set  bool
		flag byte
	}{{r.isForeign, flagForeign}, {r.seen, flagSeen}, {r.state.Committed, flagCommitted}, {r.state.Base.Itself, flagItself}, {r.lost, flagLost}} {
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

// parseRecord reads a whole record file. errNewer: its format is of a later
// version; errRecord: it is something else, or damaged.
func parseRecord(b []byte) (*record, error) {
	if len(b) < 12+sha256.Size || string(b[:8]) != recordMagic {
		return nil, errRecord
	}
	format := binary.BigEndian.Uint32(b[8:])
	switch {
	case format > recordFormat:
		return nil, errNewer
	case format < 1:
		return nil, errRecord
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if sha256.Sum256(body) != [32]byte(sum) {
		return nil, errRecord
	}
	p := parser{b: body[12:]}
	r := &record{si: caps.StorageIndex(p.take(16)), tubID: [20]byte(p.take(20)), enabler: [32]byte(p.take(32)), who: Default}
	if format > 1 {
		r.who = Authority(binary.BigEndian.Uint32(p.take(4)))
	}
	r.step = p.u64()
	flags := p.take(1)[0]
	r.isForeign, r.seen, r.lost = flags&flagForeign != 0, flags&flagSeen != 0, flags&flagLost != 0
	r.state = agree.State{Promised: p.ballot(), Accepted: p.ballot(), Current: p.version(), Committed: flags&flagCommitted != 0}
	r.state.Base = agree.Base{Itself: flags&flagItself != 0, Version: p.version()}
	for range p.take(1)[0] {
		r.ancestors = append(r.ancestors, p.version())
	}
	if n := binary.BigEndian.Uint32(p.take(4)); n > 0 && n <= storage.MaxPlacement {
		r.placement = slices.Clone(p.take(int(n)))
	} else if n != 0 {
		return nil, errRecord
	}
	r.current, r.base, r.foreign = p.shares(), p.shares(), p.shares()
	if p.bad || len(p.b) > 0 || flags >= flagLost<<1 || format < 3 && r.lost || len(r.ancestors) > storage.MaxAncestors || r.step == 0 ||
		!r.isForeign && (len(r.foreign) > 0 || r.seen) {
		return nil, errRecord
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
func (p *parser) shares() shareSet {
	count := int(binary.BigEndian.Uint16(p.take(2)))
	if count == 0 {
		return nil
	}
	out, next := shareSet{}, 0
	for range count {
		n, ref := p.take(1)[0], shareRef{step: p.u64()}
		length := p.u64()
		if p.bad || int(n) < next || length > maxShareSize {
			p.bad = true
			return nil
		}
		next, ref.length = int(n)+1, int64(length)
		out[storage.ShareNumber(n)] = ref
	}
	return out
}
