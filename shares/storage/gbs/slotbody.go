package gbs

import (
	"math"

	"github.com/fxamacker/cbor/v2"

	"lafs/shares/agree"
	"lafs/shares/storage"
)

// Slot bodies have up to 256 shares in a map, and are ours alone: a field
// that is not known is refused on both sides.
var decodeSlot = must(cbor.DecOptions{
	DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	MaxNestedLevels: 8, MaxArrayElements: 256, MaxMapPairs: 256,
	FieldNameMatching: cbor.FieldNameMatchingCaseSensitive, UTF8: cbor.UTF8RejectInvalid, TagsMd: cbor.TagsForbidden,
}.DecMode())

// The words for the messages of package agree.
const (
	stepRead    = "read"
	stepPrepare = "prepare"
	stepFast    = "fast"
	stepAccept  = "accept"
	stepLearn   = "learn"
)

type slotRequestBody struct {
	Step      string            `cbor:"step"`
	Ballot    *ballotBody       `cbor:"ballot,omitempty"`  // all but read
	Version   *versionIDBody    `cbor:"version,omitempty"` // of fast, accept, learn: what they install
	Old       *versionIDBody    `cbor:"old,omitempty"`     // of fast, and of accept unless the base is itself chosen
	Enabler   []byte            `cbor:"write-enabler,omitempty"`
	Renew     []byte            `cbor:"lease-renew-secret,omitempty"`
	Cancel    []byte            `cbor:"lease-cancel-secret,omitempty"`
	Shares    map[uint64][]byte `cbor:"shares,omitempty"`
	Base      map[uint64][]byte `cbor:"base,omitempty"`
	Ancestors []versionIDBody   `cbor:"ancestors,omitempty"`
	Placement []byte            `cbor:"placement,omitempty"`
	Fetch     uint64            `cbor:"fetch,omitempty"`
	From      uint64            `cbor:"from,omitempty"`
	Numbers   []uint64          `cbor:"numbers,omitempty"` // of read: whose bytes are wanted
}

type slotAnswerBody struct {
	Done      bool                     `cbor:"done,omitempty"`
	Missing   bool                     `cbor:"missing,omitempty"`
	Foreign   bool                     `cbor:"foreign,omitempty"`
	Lost      bool                     `cbor:"lost,omitempty"`
	Committed bool                     `cbor:"committed,omitempty"`
	Itself    bool                     `cbor:"itself,omitempty"`
	Promised  ballotBody               `cbor:"promised"`
	Accepted  ballotBody               `cbor:"accepted"`
	Version   versionIDBody            `cbor:"version"`
	Old       *versionIDBody           `cbor:"old,omitempty"` // of the base
	Ancestors []versionIDBody          `cbor:"ancestors,omitempty"`
	Placement []byte                   `cbor:"placement,omitempty"`
	Current   map[uint64]slotShareBody `cbor:"shares,omitempty"`
	Base      map[uint64]slotShareBody `cbor:"base,omitempty"`
	Older     map[uint64]slotShareBody `cbor:"older,omitempty"`
}

type ballotBody struct {
	_              struct{} `cbor:",toarray"`
	N, Nonce, Fast uint64
}

// A versionIDBody's Root is empty for the version that does not exist yet.
type versionIDBody struct {
	_    struct{} `cbor:",toarray"`
	Seq  uint64
	Root []byte
}

type slotShareBody struct {
	_    struct{} `cbor:",toarray"`
	Size uint64
	Data []byte
}

func ballotToBody(b agree.Ballot) ballotBody { return ballotBody{N: b.N, Nonce: b.Nonce, Fast: b.Fast} }

func (b ballotBody) ballot() agree.Ballot { return agree.Ballot{N: b.N, Nonce: b.Nonce, Fast: b.Fast} }

func versionToBody(v agree.VersionID) versionIDBody {
	if v.IsZero() {
		return versionIDBody{Root: []byte{}}
	}
	return versionIDBody{Seq: v.Seq, Root: v.Root[:]}
}

func (v versionIDBody) version() (agree.VersionID, error) {
	switch {
	case len(v.Root) == 0 && v.Seq == 0:
		return agree.VersionID{}, nil
	case len(v.Root) == 32:
		return agree.VersionID{Seq: v.Seq, Root: [32]byte(v.Root)}, nil
	}
	return agree.VersionID{}, errBody
}

func versionsToBody(list []agree.VersionID) (out []versionIDBody) {
	for _, v := range list {
		out = append(out, versionToBody(v))
	}
	return out
}

func versionsOf(list []versionIDBody) (out []agree.VersionID, err error) {
	if len(list) > storage.MaxAncestors {
		return nil, errBody
	}
	for _, b := range list {
		v, err := b.version()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func marshalSlotRequest(r *storage.SlotRequest) ([]byte, error) {
	b := slotRequestBody{Ancestors: versionsToBody(r.Ancestors), Placement: r.Placement, Fetch: uint64(r.Fetch), From: uint64(r.From),
		Shares: sharesToBody(r.Shares), Base: sharesToBody(r.Base)}
	if err := b.setMessage(r.Message); err != nil {
		return nil, err
	}
	if b.Step == stepRead {
		for _, n := range r.Numbers {
			b.Numbers = append(b.Numbers, uint64(n))
		}
	}
	if r.Enabler != nil {
		b.Enabler = r.Enabler[:]
	}
	if r.Lease != nil {
		b.Renew, b.Cancel = r.Lease.Renew[:], r.Lease.Cancel[:]
	}
	return encodeSorted.Marshal(&b)
}

func (b *slotRequestBody) setMessage(m agree.Message) error {
	set := func(step string, ballot agree.Ballot, version, old *agree.VersionID) {
		body := ballotToBody(ballot)
		b.Step, b.Ballot = step, &body
		for _, x := range []struct {
			from *agree.VersionID
			to   **versionIDBody
		}{{version, &b.Version}, {old, &b.Old}} {
			if x.from != nil {
				v := versionToBody(*x.from)
				*x.to = &v
			}
		}
	}
	switch m := m.(type) {
	case agree.Read:
		b.Step = stepRead
	case agree.Prepare:
		set(stepPrepare, m.Ballot, nil, nil)
	case agree.Fast:
		set(stepFast, m.Ballot, &m.New, &m.Old)
	case agree.Accept:
		old := &m.Base.Version
		if m.Base.Itself {
			old = nil
		}
		set(stepAccept, m.Ballot, &m.Version, old)
	case agree.Learn:
		set(stepLearn, m.Ballot, &m.Version, nil)
	default:
		return errBody
	}
	return nil
}

func parseSlotRequest(raw []byte) (*storage.SlotRequest, error) {
	var b slotRequestBody
	if err := decodeSlot.Unmarshal(raw, &b); err != nil {
		return nil, errBody
	}
	r := &storage.SlotRequest{Placement: b.Placement, Fetch: int64(b.Fetch), From: int64(b.From)}
	var err error
	if r.Message, err = b.message(); err != nil {
		return nil, err
	}
	if b.Fetch > math.MaxInt64 || b.From > math.MaxInt64 || len(b.Placement) > storage.MaxPlacement {
		return nil, errBody
	}
	if len(b.Numbers) > 0 && b.Step != stepRead || len(b.Numbers) > math.MaxUint8+1 {
		return nil, errBody
	}
	for _, n := range b.Numbers {
		if n > math.MaxUint8 {
			return nil, errBody
		}
		r.Numbers = append(r.Numbers, storage.ShareNumber(n))
	}
	switch len(b.Enabler) {
	case 0:
	case 32:
		e := storage.WriteEnabler(b.Enabler)
		r.Enabler = &e
	default:
		return nil, errBody
	}
	switch {
	case len(b.Renew) == 32 && len(b.Cancel) == 32:
		r.Lease = &storage.LeaseSecrets{Renew: [32]byte(b.Renew), Cancel: [32]byte(b.Cancel)}
	case len(b.Renew)+len(b.Cancel) > 0:
		return nil, errBody
	}
	if r.Ancestors, err = versionsOf(b.Ancestors); err != nil {
		return nil, err
	}
	if r.Shares, err = sharesOf(b.Shares); err != nil {
		return nil, err
	}
	r.Base, err = sharesOf(b.Base)
	return r, err
}

// message wants exactly the fields that the step has.
func (b *slotRequestBody) message() (agree.Message, error) {
	want := map[string][3]bool{ // ballot, version, old
		stepRead: {}, stepPrepare: {true}, stepFast: {true, true, true}, stepAccept: {true, true, b.Old != nil}, stepLearn: {true, true}}
	if has := [3]bool{b.Ballot != nil, b.Version != nil, b.Old != nil}; has != want[b.Step] {
		return nil, errBody
	}
	var ballot agree.Ballot
	if b.Ballot != nil {
		ballot = b.Ballot.ballot()
	}
	var version, old agree.VersionID
	for _, x := range []struct {
		from *versionIDBody
		to   *agree.VersionID
	}{{b.Version, &version}, {b.Old, &old}} {
		if x.from == nil {
			continue
		}
		var err error
		if *x.to, err = x.from.version(); err != nil {
			return nil, err
		}
	}
	switch b.Step {
	case stepRead:
		return agree.Read{}, nil
	case stepPrepare:
		return agree.Prepare{Ballot: ballot}, nil
	case stepFast:
		return agree.Fast{Old: old, Ballot: ballot, New: version}, nil
	case stepAccept:
		return agree.Accept{Ballot: ballot, Version: version, Base: agree.Base{Itself: b.Old == nil, Version: old}}, nil
	case stepLearn:
		return agree.Learn{Version: version, Ballot: ballot}, nil
	}
	return nil, errBody
}

func sharesToBody(shares map[storage.ShareNumber][]byte) map[uint64][]byte {
	if len(shares) == 0 {
		return nil
	}
	out := map[uint64][]byte{}
	for n, data := range shares {
		out[uint64(n)] = data
	}
	return out
}

func sharesOf(body map[uint64][]byte) (map[storage.ShareNumber][]byte, error) {
	if len(body) == 0 {
		return nil, nil
	}
	out := map[storage.ShareNumber][]byte{}
	for n, data := range body {
		if n > 255 || len(data) > storage.MaxSlotShare {
			return nil, errBody
		}
		out[storage.ShareNumber(n)] = data
	}
	return out, nil
}

func marshalSlotAnswer(a *storage.SlotAnswer) ([]byte, error) {
	s := a.State
	b := slotAnswerBody{Done: a.Done, Missing: a.Missing, Foreign: a.Foreign, Lost: a.Lost, Committed: s.Committed, Itself: s.Base.Itself,
		Promised: ballotToBody(s.Promised), Accepted: ballotToBody(s.Accepted), Version: versionToBody(s.Current),
		Ancestors: versionsToBody(a.Ancestors), Placement: a.Placement,
		Current: slotSharesToBody(a.Current), Base: slotSharesToBody(a.Base), Older: slotSharesToBody(a.Older)}
	if !s.Base.Version.IsZero() {
		v := versionToBody(s.Base.Version)
		b.Old = &v
	}
	return encodeSorted.Marshal(&b)
}

func parseSlotAnswer(raw []byte) (a storage.SlotAnswer, err error) {
	var b slotAnswerBody
	if err := decodeSlot.Unmarshal(raw, &b); err != nil || len(b.Placement) > storage.MaxPlacement {
		return a, errBody
	}
	a = storage.SlotAnswer{Done: b.Done, Missing: b.Missing, Foreign: b.Foreign, Lost: b.Lost, Placement: b.Placement}
	a.State = agree.State{Promised: b.Promised.ballot(), Accepted: b.Accepted.ballot(), Committed: b.Committed}
	a.State.Base.Itself = b.Itself
	if a.State.Current, err = b.Version.version(); err != nil {
		return a, err
	}
	if b.Old != nil {
		if a.State.Base.Version, err = b.Old.version(); err != nil {
			return a, err
		}
	}
	if a.Ancestors, err = versionsOf(b.Ancestors); err != nil {
		return a, err
	}
	for _, x := range []struct {
		from map[uint64]slotShareBody
		to   *map[storage.ShareNumber]storage.SlotShare
	}{{b.Current, &a.Current}, {b.Base, &a.Base}, {b.Older, &a.Older}} {
		if *x.to, err = slotSharesOf(x.from); err != nil {
			return a, err
		}
	}
	return a, nil
}

func slotSharesToBody(shares map[storage.ShareNumber]storage.SlotShare) map[uint64]slotShareBody {
	if len(shares) == 0 {
		return nil
	}
	out := map[uint64]slotShareBody{}
	for n, s := range shares {
		out[uint64(n)] = slotShareBody{Size: uint64(s.Size), Data: s.Data}
	}
	return out
}

func slotSharesOf(body map[uint64]slotShareBody) (map[storage.ShareNumber]storage.SlotShare, error) {
	if len(body) == 0 {
		return nil, nil
	}
	out := map[storage.ShareNumber]storage.SlotShare{}
	for n, s := range body {
		if n > 255 || s.Size > math.MaxInt64 || uint64(len(s.Data)) > s.Size {
			return nil, errBody
		}
		out[storage.ShareNumber(n)] = storage.SlotShare{Size: int64(s.Size), Data: s.Data}
	}
	return out, nil
}
