package storagetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"testing"

	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// Slots checks the servers that open returns, which are empty, as keepers of
// mutable objects. Each implements storage.Server as well. Tests whose names
// are given as except do not hold for them, and are left out.
func Slots(t *testing.T, open func(t *testing.T) storage.Slots, except ...string) {
	key, err := mutable.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		run  func(*slot)
	}{
		{"an unknown slot", unknownSlot},
		{"the first write", firstWrite},
		{"a fast write keeps the base", fastWrite},
		{"the placement list goes with the vote", placements},
		{"promises", promises},
		{"accepting", accepting},
		{"shares left out", leftOut},
		{"learning", learning},
		{"repeats", repeats},
		{"another write enabler", anotherEnabler},
		{"shares of another version", wrongShares},
		{"bad steps", badSteps},
		{"fetching a part", fetchPart},
		{"large shares", largeShares},
		{"plain reads of a slot", plainReads},
		{"concurrent steps", concurrentSteps},
		{"read-test-write", readTestWrite},
		{"tests", rtwTests},
		{"patches", rtwPatches},
		{"deleting shares", rtwDelete},
		{"several shares at once", rtwSeveral},
		{"bad read-test-writes", rtwBad},
		{"an object of Tahoe-LAFS", adopted},
		{"a foreign write over a slot", foreign},
		{"a foreign write between promise and vote", foreignBetween},
		{"racing read-test-writes", rtwRace},
		{"cancelled context", cancelledSlot},
	} {
		if !slices.Contains(except, tt.name) {
			t.Run(tt.name, func(t *testing.T) { tt.run(newSlot(t, open(t), key)) })
		}
	}
}

// A slot is one object of one writer, on one server that has its shares 0
// and 1 of 3.
type slot struct {
	*testing.T
	ctx     context.Context
	server  storage.Slots
	shares  storage.Server
	si      caps.StorageIndex
	enabler *storage.WriteEnabler
	lease   *storage.LeaseSecrets
	key     *mutable.Key
}

func newSlot(t *testing.T, server storage.Slots, key *mutable.Key) *slot {
	s := &slot{T: t, ctx: t.Context(), server: server, si: newIndex(), enabler: newEnabler(), lease: newLease(), key: key}
	s.shares = server.(storage.Server)
	return s
}

func newEnabler() *storage.WriteEnabler {
	e := &storage.WriteEnabler{}
	rand.Read(e[:])
	return e
}

// A content is one version of the object.
type content struct {
	id     agree.VersionID
	shares map[storage.ShareNumber][]byte
}

func (s *slot) version(seq uint64, data []byte) content {
	s.Helper()
	return s.versionOf(mutable.SDMF, seq, data)
}

func (s *slot) versionOf(f mutable.Format, seq uint64, data []byte) content {
	s.Helper()
	v, err := mutable.Encode(s.key, mutable.Params{Format: f, Needed: 2, Total: 3}, seq, data)
	if err != nil {
		s.Fatal(err)
	}
	return content{storage.VersionOf(v.Header), map[storage.ShareNumber][]byte{0: v.Shares[0], 1: v.Shares[1]}}
}

// send carries out a step, with all of its shares fetched.
func (s *slot) send(m agree.Message, change ...func(*storage.SlotRequest)) storage.SlotAnswer {
	s.Helper()
	a, err := s.try(m, change...)
	if err != nil {
		s.Fatalf("Slot %T: %v", m, err)
	}
	return a
}

func (s *slot) try(m agree.Message, change ...func(*storage.SlotRequest)) (storage.SlotAnswer, error) {
	req := storage.SlotRequest{Message: m, Enabler: s.enabler, Lease: s.lease, Fetch: 1 << 20}
	for _, c := range change {
		c(&req)
	}
	return s.server.Slot(s.ctx, s.si, req)
}

func with(v content) func(*storage.SlotRequest) {
	return func(r *storage.SlotRequest) { r.Shares = v.shares }
}

func onto(v content) func(*storage.SlotRequest) {
	return func(r *storage.SlotRequest) { r.Base = v.shares }
}

func (s *slot) has(what string, got map[storage.ShareNumber]storage.SlotShare, want map[storage.ShareNumber][]byte) {
	s.Helper()
	if len(got) != len(want) {
		s.Errorf("%s: got %d shares, want %d", what, len(got), len(want))
	}
	for n, data := range want {
		if got[n].Size != int64(len(data)) || !bytes.Equal(got[n].Data, data) {
			s.Errorf("%s: share %d is not what was written", what, n)
		}
	}
}

var (
	ballot1 = agree.Ballot{N: 1, Nonce: 7}
	ballot2 = agree.Ballot{N: 2, Nonce: 3}
	ballot3 = agree.Ballot{N: 3, Nonce: 1}
)

// create makes v the first version.
func (s *slot) create(v content) storage.SlotAnswer {
	s.Helper()
	a := s.send(agree.Fast{New: v.id}, with(v))
	if !a.Done {
		s.Fatalf("the first write was not done: %+v", a.State)
	}
	return a
}

func unknownSlot(s *slot) {
	a, err := s.server.Slot(s.ctx, s.si, storage.SlotRequest{Message: agree.Read{}, Fetch: 100})
	if err != nil || !a.Done || a.State != (agree.State{}) || a.Foreign || len(a.Current)+len(a.Base) > 0 {
		s.Errorf("Slot: got %+v, %v, want nothing", a, err)
	}
}

func firstWrite(s *slot) {
	v := s.version(1, []byte("one"))
	a := s.send(agree.Fast{New: v.id}, with(v), func(r *storage.SlotRequest) { r.Placement = []byte("placement") })
	b := agree.Ballot{Fast: 1}
	if want := (agree.State{Promised: b, Accepted: b, Current: v.id}); !a.Done || a.State != want || string(a.Placement) != "placement" {
		s.Errorf("Slot: got %+v, want %+v", a, want)
	}
	s.has("current", a.Current, v.shares)
	s.has("base", a.Base, nil)
	again := s.send(agree.Read{})
	if again.State != a.State || string(again.Placement) != "placement" {
		s.Errorf("Slot: got %+v, want %+v", again.State, a.State)
	}
	s.has("current", again.Current, v.shares)
}

func placements(s *slot) {
	v, w := s.version(1, []byte("one")), s.version(2, []byte("two"))
	list := func(text string) func(*storage.SlotRequest) {
		return func(r *storage.SlotRequest) { r.Placement = []byte(text) }
	}
	itself := agree.Base{Itself: true}
	first := agree.First(1)
	s.send(agree.Fast{New: v.id}, with(v), list("a"))
	for _, step := range []struct {
		name string
		msg  agree.Message
		with content
		sent string
		done bool
		want string
	}{
		{"repeated with another", agree.Fast{New: v.id}, v, "b", true, "a"},
		{"a seal", agree.Accept{Ballot: ballot1, Version: v.id, Base: itself}, v, "b", true, "b"},
		{"a fast write by the old list", agree.Fast{Old: v.id, Ballot: ballot1, New: w.id}, w, "a", false, "b"},
		{"an older vote", agree.Accept{Ballot: agree.Ballot{N: 0, Nonce: 9}, Version: w.id, Base: itself}, w, "a", false, "b"},
		{"learning something older", agree.Learn{Version: w.id, Ballot: agree.Ballot{Fast: 1}}, w, "a", true, "b"},
		{"an install", agree.Accept{Ballot: first, Version: v.id, Base: itself}, v, "b", true, "b"},
		{"a ballot of the old list", agree.Accept{Ballot: ballot3, Version: w.id, Base: itself}, w, "a", false, "b"},
		{"a fast write", agree.Fast{Old: v.id, Ballot: first, New: w.id}, w, "b", true, "b"},
		{"a late install", agree.Accept{Ballot: first, Version: v.id, Base: itself}, v, "b", false, "b"},
		{"learning a later list", agree.Learn{Version: w.id, Ballot: agree.First(2)}, w, "c", true, "c"},
	} {
		a := s.send(step.msg, with(step.with), list(step.sent))
		if a.Done != step.done || string(a.Placement) != step.want {
			s.Errorf("%s: got %v and list %q, want %v and %q", step.name, a.Done, a.Placement, step.done, step.want)
		}
		if again := s.send(agree.Read{}); string(again.Placement) != step.want {
			s.Errorf("%s: the list is %q afterwards, want %q", step.name, again.Placement, step.want)
		}
	}
}

func fastWrite(s *slot) {
	v, w := s.version(1, []byte("one")), s.version(2, []byte("two"))
	s.create(v)
	a := s.send(agree.Fast{Old: v.id, Ballot: agree.Ballot{Fast: 1}, New: w.id}, with(w),
		func(r *storage.SlotRequest) { r.Ancestors = []agree.VersionID{v.id} })
	if !a.Done || a.State.Base.Version != v.id || len(a.Ancestors) != 1 {
		s.Errorf("Slot: got %+v", a.State)
	}
	s.has("current", a.Current, w.shares)
	s.has("base", a.Base, v.shares)
	a = s.send(agree.Learn{Version: w.id, Ballot: agree.Ballot{Fast: 2}})
	if !a.Done || !a.State.Committed {
		s.Errorf("Slot: got %+v", a.State)
	}
	s.has("current", a.Current, w.shares)
	s.has("base", a.Base, nil)
}

func (s *slot) want(what string, got, want error) {
	s.Helper()
	wantError(s.T, what, got, want)
}
