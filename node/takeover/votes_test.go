package takeover_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"lafs/node/takeover"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
	"lafs/shares/storage/storagetest"
	"lafs/shares/storage/tail"
)

var (
	writer = &storage.WriteEnabler{1}
	holder = &storage.LeaseSecrets{Renew: [32]byte{2}, Cancel: [32]byte{3}}
)

// A voted is a slot on a server of Tahoe-LAFS's that lafs clients voted on.
type voted struct {
	*testing.T
	plain *storagetest.Plain
	key   *mutable.Key
	si    caps.StorageIndex
}

type version struct {
	id     agree.VersionID
	shares map[storage.ShareNumber][]byte
}

func (v *voted) version(seq uint64, size int) version {
	v.Helper()
	e, err := mutable.Encode(v.key, mutable.Params{Needed: 2, Total: 3}, seq, bytes.Repeat([]byte{byte(seq)}, size))
	if err != nil {
		v.Fatal(err)
	}
	return version{storage.VersionOf(e.Header), map[storage.ShareNumber][]byte{0: e.Shares[0], 1: e.Shares[1]}}
}

// step is one of a lafs client.
func (v *voted) step(m agree.Message, ver, base version) {
	v.Helper()
	a, err := tail.New(v.plain).Slot(v.Context(), v.si, storage.SlotRequest{Message: m, Enabler: writer, Lease: holder, Shares: ver.shares, Base: base.shares,
		Numbers: []storage.ShareNumber{0, 1}, Ancestors: []agree.VersionID{base.id}, Placement: []byte("the list"),
		Replaced: func() map[storage.ShareNumber][]byte { return base.shares }})
	if err != nil || !a.Done {
		v.Fatalf("%T: got %v, %v", m, a.Done, err)
	}
}

// over writes as a Tahoe-LAFS client does: the share's bytes and no more.
func (v *voted) over(ver version) {
	v.Helper()
	writes := map[storage.ShareNumber]storage.TestWrite{}
	for n, data := range ver.shares {
		writes[n] = storage.TestWrite{Patches: []storage.Patch{{Data: data}}}
	}
	if ok, _, err := v.plain.ReadTestWrite(v.Context(), v.si, writer, holder, writes, nil); err != nil || !ok {
		v.Fatal(ok, err)
	}
}

// file returns the bytes of one share number, with all that is behind it.
func (v *voted) file(n storage.ShareNumber) []byte {
	v.Helper()
	b := make([]byte, 1<<20)
	k, err := v.plain.Read(v.Context(), storage.Mutable, v.si, n, 0, b)
	if err != nil {
		v.Fatal(err)
	}
	return b[:k]
}

func (v *voted) put(n storage.ShareNumber, b []byte) {
	v.Helper()
	end := int64(len(b))
	writes := map[storage.ShareNumber]storage.TestWrite{n: {Patches: []storage.Patch{{Data: b}}, NewLength: &end}}
	if ok, _, err := v.plain.ReadTestWrite(v.Context(), v.si, writer, holder, writes, nil); err != nil || !ok {
		v.Fatal(ok, err)
	}
}

// dump writes the slot's containers, as of a server with that tub id.
func (v *voted) dump(h *server, tubID [20]byte) {
	v.Helper()
	numbers, err := v.plain.Shares(v.Context(), storage.Mutable, v.si)
	if err != nil {
		v.Fatal(err)
	}
	for _, n := range numbers {
		b := slot(tubID, v.file(n))
		copy(b[52:], writer[:])
		h.write(place(v.si, int(n)), b)
	}
}

func (v *voted) ask(s storage.Slots) storage.SlotAnswer {
	v.Helper()
	a, err := s.Slot(v.Context(), v.si, storage.SlotRequest{Message: agree.Read{}, Fetch: 1 << 20})
	if err != nil {
		v.Fatalf("Read: %v", err)
	}
	return a
}

func same(a, b map[storage.ShareNumber]storage.SlotShare) bool {
	if len(a) != len(b) {
		return false
	}
	for n, s := range a {
		if t, ok := b[n]; !ok || s.Size != t.Size || !bytes.Equal(s.Data, t.Data) {
			return false
		}
	}
	return true
}

// TestVotes: what a server promised and voted for, as lafs clients kept it
// behind the shares, is the same before and after it is taken over, and so
// are the shares that a decision may need.
func TestVotes(t *testing.T) {
	key, err := mutable.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	c, fast := agree.Ballot{N: 5, Nonce: 1}, agree.Ballot{}
	for _, tt := range []struct {
		name   string
		make   func(v *voted, v1, v2, v3 version)
		shares int // that readers see
		bases  int // replaced shares that are kept
	}{
		{"chosen", func(v *voted, v1, v2, _ version) {
			v.step(agree.Fast{New: v1.id}, v1, version{})
			v.step(agree.Learn{Version: v1.id, Ballot: fast.Next()}, v1, version{})
		}, 2, 0},
		{"voted for, and perhaps not chosen", func(v *voted, v1, v2, _ version) {
			v.step(agree.Fast{New: v1.id}, v1, version{})
			v.step(agree.Fast{Old: v1.id, Ballot: fast.Next(), New: v2.id}, v2, v1)
		}, 2, 2},
		{"promised beside it", func(v *voted, v1, v2, _ version) {
			v.step(agree.Fast{New: v1.id}, v1, version{})
			v.step(agree.Fast{Old: v1.id, Ballot: fast.Next(), New: v2.id}, v2, v1)
			v.step(agree.Prepare{Ballot: c}, version{}, version{})
		}, 2, 2},
		{"a promise alone", func(v *voted, _, _, _ version) {
			v.step(agree.Prepare{Ballot: c}, version{}, version{})
		}, 0, 0},
		{"a Tahoe-LAFS client wrote", func(v *voted, v1, v2, v3 version) {
			v.step(agree.Fast{New: v1.id}, v1, version{})
			v.step(agree.Fast{Old: v1.id, Ballot: fast.Next(), New: v2.id}, v2, v1)
			v.over(v3)
		}, 2, 2},
		{"a Tahoe-LAFS client wrote, and somebody knows", func(v *voted, v1, v2, v3 version) {
			v.step(agree.Fast{New: v1.id}, v1, version{})
			v.step(agree.Fast{Old: v1.id, Ballot: fast.Next(), New: v2.id}, v2, v1)
			v.over(v3)
			v.step(agree.Prepare{Ballot: c}, version{}, version{})
		}, 2, 2},
		{"a Tahoe-LAFS client wrote over the votes", func(v *voted, v1, _, _ version) {
			v.step(agree.Fast{New: v1.id}, v1, version{})
			v.over(v.version(2, 200_000))
			v.step(agree.Prepare{Ballot: c}, version{}, version{})
		}, 2, 0},
		{"only Tahoe-LAFS clients wrote", func(v *voted, v1, _, _ version) { v.over(v1) }, 2, 0},
		{"a step that a crash cut off", func(v *voted, v1, v2, _ version) {
			v.step(agree.Fast{New: v1.id}, v1, version{})
			before := v.file(1)
			v.step(agree.Fast{Old: v1.id, Ballot: fast.Next(), New: v2.id}, v2, v1)
			v.put(1, before)
		}, 1, 2},
	} {
		for _, link := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, link %v", tt.name, link), func(t *testing.T) {
				v := &voted{t, &storagetest.Plain{}, key, caps.StorageIndex{7}}
				v1, v2, v3 := v.version(1, 3000), v.version(2, 5000), v.version(3, 5100)
				tt.make(v, v1, v2, v3)
				h := newServer(t)
				v.dump(h, tub)
				want := v.ask(tail.New(v.plain))

				s := openStore(t, filepath.Join(filepath.Dir(h.dir), "store"))
				defer func() { s.Close() }()
				cfg := takeover.Config{From: h.dir, TubID: tub, Link: link, Left: func(l takeover.Left) { t.Errorf("left %s: %s", l.Path, l.Why) }}
				dry, err := takeover.Run(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				cfg.Store = s
				sum, err := takeover.Run(t.Context(), cfg)
				if err != nil || sum != dry || sum.Taken != sum.Found || sum.Damaged != 0 {
					t.Errorf("Run: got %+v, %v, want %+v and all taken", sum, err, dry)
				}
				if again, err := takeover.Run(t.Context(), cfg); err != nil || again.Before != sum.Found {
					t.Errorf("Run again: got %+v, %v, want all before", again, err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = openStore(t, filepath.Join(filepath.Dir(h.dir), "store"))
				got := v.ask(s)
				if got.State != want.State || got.Foreign != want.Foreign || got.Lost != want.Lost || !bytes.Equal(got.Placement, want.Placement) ||
					fmt.Sprint(got.Ancestors) != fmt.Sprint(want.Ancestors) {
					t.Errorf("state:\n got %+v foreign %v lost %v\nwant %+v foreign %v lost %v", got.State, got.Foreign, got.Lost, want.State, want.Foreign, want.Lost)
				}
				if len(got.Current) != tt.shares || !same(got.Current, want.Current) {
					t.Errorf("current: got %d shares, want %d, and the same", len(got.Current), tt.shares)
				}
				if n := len(got.Base) + len(got.Older); n != tt.bases {
					t.Errorf("base: got %d shares, want %d", n, tt.bases)
				}
				if tt.name != "a step that a crash cut off" && (!same(got.Base, want.Base) || !same(got.Older, want.Older)) {
					t.Error("base: not what was kept")
				}
				// A read as Tahoe-LAFS does it shows the share and no more.
				for n, sh := range want.Current {
					p := make([]byte, 1<<20)
					if k, err := s.Read(t.Context(), storage.Mutable, v.si, n, 0, p); err != nil || !bytes.Equal(p[:k], sh.Data) && sum.Votes > 0 {
						t.Errorf("Read of share %d: got %d bytes, %v, want %d", n, k, err, len(sh.Data))
					}
				}
				// The vote goes on: who decides on what stands may write it down.
				next := agree.Ballot{N: 9, Nonce: 4}
				v4 := v.version(9, 100)
				for _, m := range []agree.Message{agree.Prepare{Ballot: next}, agree.Accept{Ballot: next, Version: v4.id, Base: agree.Base{Itself: true}}} {
					a, err := s.Slot(t.Context(), v.si, storage.SlotRequest{Message: m, Enabler: writer, Lease: holder, Shares: v4.shares, Placement: []byte("the list")})
					if err != nil || !a.Done {
						t.Errorf("%T after it: got %v, %v", m, a.Done, err)
					}
				}
				if a := v.ask(s); a.Lost || a.Foreign || a.State.Accepted != next || !bytes.Equal(a.Current[1].Data, v4.shares[1]) {
					t.Errorf("after it: got %+v, foreign %v, lost %v", a.State, a.Foreign, a.Lost)
				}
			})
		}
	}
}

// TestVotesOfAnother: another server has not promised what this one did, and
// keeps the shares that somebody may need.
func TestVotesOfAnother(t *testing.T) {
	key, err := mutable.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	v := &voted{t, &storagetest.Plain{}, key, caps.StorageIndex{7}}
	v1, v2 := v.version(1, 3000), v.version(2, 5000)
	v.step(agree.Fast{New: v1.id}, v1, version{})
	v.step(agree.Fast{Old: v1.id, Ballot: agree.Ballot{}.Next(), New: v2.id}, v2, v1)
	h := newServer(t)
	v.dump(h, [20]byte{9})
	s := openStore(t, filepath.Join(filepath.Dir(h.dir), "store"))
	defer s.Close()
	if sum, err := takeover.Run(t.Context(), takeover.Config{From: h.dir, TubID: tub, Store: s}); err != nil || sum.Foreign != 1 || sum.Votes != 0 {
		t.Fatalf("Run: got %+v, %v", sum, err)
	}
	a := v.ask(s)
	if a.State != (agree.State{}) || !a.Foreign || !a.Lost || !bytes.Equal(a.Current[0].Data, v2.shares[0]) || !bytes.Equal(a.Older[0].Data, v1.shares[0]) {
		t.Errorf("got %+v, foreign %v, lost %v, %d and %d shares", a.State, a.Foreign, a.Lost, len(a.Current), len(a.Older))
	}
}
