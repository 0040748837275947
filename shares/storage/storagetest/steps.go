package storagetest

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"lafs/shares/agree"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

func promises(s *slot) {
	if a := s.send(agree.Prepare{Ballot: ballot2}); !a.Done || a.State != (agree.State{Promised: ballot2}) {
		s.Errorf("Prepare of an unknown slot: got %+v", a)
	}
	if a := s.send(agree.Prepare{Ballot: ballot1}); a.Done || a.State.Promised != ballot2 {
		s.Errorf("Prepare below the promise: got %+v", a)
	}
	if a := s.send(agree.Prepare{Ballot: ballot2}); !a.Done {
		s.Errorf("Prepare again: got %+v", a)
	}
	v := s.version(1, []byte("one"))
	if a := s.send(agree.Fast{New: v.id}, with(v)); a.Done || len(a.Current) > 0 {
		s.Errorf("Fast below the promise: got %+v", a)
	}
	if a := s.send(agree.Accept{Ballot: ballot1, Version: v.id}, with(v)); a.Done || len(a.Current) > 0 {
		s.Errorf("Accept below the promise: got %+v", a)
	}
	if a := s.send(agree.Read{}); a.State != (agree.State{Promised: ballot2}) {
		s.Errorf("Read: got %+v", a)
	}
}

func accepting(s *slot) {
	v, w, x := s.version(1, []byte("one")), s.version(2, []byte("two")), s.version(3, []byte("three"))
	s.create(v)
	s.send(agree.Prepare{Ballot: ballot1})
	// The base is one that the server has never seen.
	a := s.send(agree.Accept{Ballot: ballot1, Version: x.id, Base: agree.Base{Version: w.id}}, with(x), onto(w))
	if want := (agree.State{Promised: ballot1, Accepted: ballot1, Current: x.id, Base: agree.Base{Version: w.id}}); !a.Done || a.State != want {
		s.Errorf("Accept: got %+v, want %+v", a.State, want)
	}
	s.has("current", a.Current, x.shares)
	s.has("base", a.Base, w.shares)
	// Now the one it has is itself chosen.
	a = s.send(agree.Accept{Ballot: ballot2, Version: x.id, Base: agree.Base{Itself: true}})
	if !a.Done || !a.State.Base.Itself || a.State.Accepted != ballot2 {
		s.Errorf("Accept of what is held: got %+v", a.State)
	}
	s.has("current", a.Current, x.shares)
	s.has("base", a.Base, nil)
}

func leftOut(s *slot) {
	v, w, x := s.version(1, []byte("one")), s.version(2, []byte("two")), s.version(2, []byte("other"))
	s.create(v)
	before := s.send(agree.Read{}).State
	for name, step := range map[string]func() storage.SlotAnswer{
		"the version of an Accept": func() storage.SlotAnswer {
			return s.send(agree.Accept{Ballot: ballot1, Version: w.id, Base: agree.Base{Version: v.id}})
		},
		"the base of an Accept": func() storage.SlotAnswer {
			return s.send(agree.Accept{Ballot: ballot1, Version: w.id, Base: agree.Base{Version: x.id}}, with(w))
		},
		"the version of a Fast":  func() storage.SlotAnswer { return s.send(agree.Fast{Old: v.id, Ballot: before.Accepted, New: w.id}) },
		"the version of a Learn": func() storage.SlotAnswer { return s.send(agree.Learn{Version: w.id, Ballot: ballot1}) },
	} {
		if a := step(); a.Done || !a.Missing || a.State != before {
			s.Errorf("%s is left out: got %+v", name, a)
		}
	}
	// What is held need not be sent: here the base.
	a := s.send(agree.Accept{Ballot: ballot1, Version: w.id, Base: agree.Base{Version: v.id}}, with(w))
	s.has("base", a.Base, v.shares)
	// And here the base becomes current, and current the base of it.
	a = s.send(agree.Accept{Ballot: ballot2, Version: v.id, Base: agree.Base{Itself: true}})
	if !a.Done || a.Missing {
		s.Errorf("Accept of the base: got %+v", a)
	}
	s.has("current", a.Current, v.shares)
}

func learning(s *slot) {
	v, w := s.version(1, []byte("one")), s.version(2, []byte("two"))
	a := s.send(agree.Learn{Version: v.id, Ballot: ballot2}, with(v))
	if want := (agree.State{Promised: ballot2, Accepted: ballot2, Current: v.id, Committed: true}); !a.Done || a.State != want {
		s.Errorf("Learn: got %+v, want %+v", a.State, want)
	}
	s.has("current", a.Current, v.shares)
	a = s.send(agree.Learn{Version: w.id, Ballot: ballot1}, with(w))
	if !a.Done || a.State.Current != v.id {
		s.Errorf("Learn of something old: got %+v", a.State)
	}
	s.has("current", a.Current, v.shares)
	// A share that is missing comes with the version that is there.
	one := content{w.id, map[storage.ShareNumber][]byte{0: w.shares[0]}}
	s.send(agree.Learn{Version: w.id, Ballot: ballot3}, with(one))
	a = s.send(agree.Learn{Version: w.id, Ballot: ballot3}, with(content{w.id, map[storage.ShareNumber][]byte{1: w.shares[1]}}))
	s.has("current", a.Current, w.shares)
}

// repeats sends everything twice: nothing changes the second time.
func repeats(s *slot) {
	v, w, x := s.version(1, []byte("one")), s.version(2, []byte("two")), s.version(3, []byte("three"))
	for _, step := range []func() storage.SlotAnswer{
		func() storage.SlotAnswer { return s.send(agree.Fast{New: v.id}, with(v)) },
		func() storage.SlotAnswer {
			return s.send(agree.Fast{Old: v.id, Ballot: agree.Ballot{Fast: 1}, New: w.id}, with(w))
		},
		func() storage.SlotAnswer { return s.send(agree.Prepare{Ballot: ballot1}) },
		func() storage.SlotAnswer {
			return s.send(agree.Accept{Ballot: ballot1, Version: x.id, Base: agree.Base{Version: w.id}}, with(x), onto(w))
		},
		func() storage.SlotAnswer { return s.send(agree.Learn{Version: x.id, Ballot: ballot1}) },
	} {
		first, again := step(), step()
		if !first.Done || !again.Done || first.State != again.State {
			s.Errorf("Slot: got %+v, again %+v", first, again)
		}
		s.has("current", again.Current, data(first.Current))
		s.has("base", again.Base, data(first.Base))
	}
}

func data(shares map[storage.ShareNumber]storage.SlotShare) map[storage.ShareNumber][]byte {
	out := map[storage.ShareNumber][]byte{}
	for n, sh := range shares {
		out[n] = sh.Data
	}
	return out
}

func anotherEnabler(s *slot) {
	v, w := s.version(1, []byte("one")), s.version(2, []byte("two"))
	s.create(v)
	other := func(r *storage.SlotRequest) { r.Enabler = newEnabler() }
	for _, m := range []agree.Message{agree.Prepare{Ballot: ballot1}, agree.Fast{Old: v.id, Ballot: agree.Ballot{Fast: 1}, New: w.id},
		agree.Accept{Ballot: ballot1, Version: w.id}, agree.Learn{Version: w.id, Ballot: ballot1}} {
		_, err := s.try(m, with(w), other)
		s.want("Slot with another write enabler", err, storage.ErrUnauthorized)
	}
	_, _, err := s.server.ReadTestWrite(s.ctx, s.si, newEnabler(), s.lease, nil, nil)
	s.want("ReadTestWrite with another write enabler", err, storage.ErrUnauthorized)
	for _, e := range []*storage.WriteEnabler{nil, newEnabler()} {
		a := s.send(agree.Read{}, func(r *storage.SlotRequest) { r.Enabler = e })
		s.has("current", a.Current, v.shares)
	}
}

func wrongShares(s *slot) {
	v, w := s.version(1, []byte("one")), s.version(2, []byte("two"))
	cut := content{v.id, map[storage.ShareNumber][]byte{0: v.shares[0][:len(v.shares[0])-1]}}
	longer := content{v.id, map[storage.ShareNumber][]byte{0: append(slices.Clone(v.shares[0]), 0)}}
	outside := content{v.id, map[storage.ShareNumber][]byte{3: v.shares[0]}}
	for name, c := range map[string]content{"another version": w, "cut": cut, "longer": longer, "a number above N": outside,
		"no share": {v.id, map[storage.ShareNumber][]byte{0: {}}}} {
		_, err := s.try(agree.Fast{New: v.id}, with(c))
		s.want("Fast with "+name, err, storage.ErrBadRequest)
	}
	s.create(v)
	_, err := s.try(agree.Accept{Ballot: ballot1, Version: w.id, Base: agree.Base{Version: v.id}}, with(w), onto(w))
	s.want("Accept with a base of another version", err, storage.ErrBadRequest)
	a := s.send(agree.Read{})
	if a.State.Current != v.id {
		s.Errorf("Read: got %+v", a.State)
	}
	s.has("current", a.Current, v.shares)
}

func badSteps(s *slot) {
	v := s.version(1, []byte("one"))
	none := func(r *storage.SlotRequest) { r.Enabler = nil }
	for name, try := range map[string]func() (storage.SlotAnswer, error){
		"no message": func() (storage.SlotAnswer, error) { return s.try(nil) },
		"no enabler": func() (storage.SlotAnswer, error) { return s.try(agree.Fast{New: v.id}, with(v), none) },
		"no version": func() (storage.SlotAnswer, error) { return s.try(agree.Fast{}, with(v)) },
		"a negative fetch": func() (storage.SlotAnswer, error) {
			return s.try(agree.Read{}, func(r *storage.SlotRequest) { r.Fetch = -1 })
		},
		"a negative offset": func() (storage.SlotAnswer, error) {
			return s.try(agree.Read{}, func(r *storage.SlotRequest) { r.From = -1 })
		},
		"many ancestors": func() (storage.SlotAnswer, error) {
			return s.try(agree.Fast{New: v.id}, with(v), func(r *storage.SlotRequest) { r.Ancestors = make([]agree.VersionID, storage.MaxAncestors+1) })
		},
		"a long placement": func() (storage.SlotAnswer, error) {
			return s.try(agree.Fast{New: v.id}, with(v), func(r *storage.SlotRequest) { r.Placement = make([]byte, storage.MaxPlacement+1) })
		},
	} {
		_, err := try()
		s.want(name, err, storage.ErrBadRequest)
	}
	full := func(r *storage.SlotRequest) {
		r.Placement, r.Ancestors = random(storage.MaxPlacement), make([]agree.VersionID, storage.MaxAncestors)
		for i := range r.Ancestors {
			r.Ancestors[i] = agree.VersionID{Seq: uint64(i), Root: [32]byte(random(32))}
		}
	}
	a := s.send(agree.Fast{New: v.id}, with(v), full)
	if got := s.send(agree.Read{}); !a.Done || len(got.Placement) != storage.MaxPlacement || !slices.Equal(got.Ancestors, a.Ancestors) {
		s.Errorf("the longest lists: got %d bytes, %d ancestors", len(got.Placement), len(got.Ancestors))
	}
}

func fetchPart(s *slot) {
	v, w := s.version(1, random(10_000)), s.version(2, random(9_000))
	s.create(v)
	s.send(agree.Fast{Old: v.id, Ballot: agree.Ballot{Fast: 1}, New: w.id}, with(w))
	for _, tt := range []struct{ from, fetch int64 }{{0, 0}, {0, 100}, {100, 100}, {0, 1 << 40}, {5000, 1 << 50}, {1 << 40, 10}} {
		a := s.send(agree.Read{}, func(r *storage.SlotRequest) { r.From, r.Fetch = tt.from, tt.fetch })
		for _, x := range []struct {
			got  map[storage.ShareNumber]storage.SlotShare
			want map[storage.ShareNumber][]byte
		}{{a.Current, w.shares}, {a.Base, v.shares}} {
			for n, whole := range x.want {
				begin := min(tt.from, int64(len(whole)))
				want := whole[begin:min(begin+tt.fetch, int64(len(whole)))]
				if got := x.got[n]; got.Size != int64(len(whole)) || !bytes.Equal(got.Data, want) {
					s.Errorf("%d bytes from %d: got %d of %d, want %d", tt.fetch, tt.from, len(got.Data), got.Size, len(want))
				}
			}
		}
	}
}

func largeShares(s *slot) {
	v, w := s.versionOf(mutable.MDMF, 1, random(3<<20)), s.versionOf(mutable.MDMF, 2, random(4<<20))
	s.create(v)
	s.send(agree.Accept{Ballot: ballot1, Version: w.id, Base: agree.Base{Version: v.id}}, with(w), onto(v))
	a := s.send(agree.Read{}, func(r *storage.SlotRequest) { r.Fetch = 8 << 20 })
	s.has("current", a.Current, w.shares)
	s.has("base", a.Base, v.shares)
}

// plainReads sees a slot as any reader does.
func plainReads(s *slot) {
	_, err := s.shares.Read(s.ctx, storage.Mutable, s.si, 0, 0, make([]byte, 1))
	s.want("Read of no slot", err, storage.ErrNotFound)
	s.want("AddLease to no slot", s.shares.AddLease(s.ctx, s.si, s.lease), storage.ErrNotFound)
	s.send(agree.Prepare{Ballot: ballot1})
	s.lists(nil)
	v := s.version(1, []byte("one"))
	s.send(agree.Accept{Ballot: ballot1, Version: v.id}, with(v))
	s.lists(v.shares)
	if got, err := s.shares.Shares(s.ctx, storage.Immutable, s.si); err != nil || len(got) > 0 {
		s.Errorf("Shares of a bucket: got %v, %v", got, err)
	}
	s.want("AddLease", s.shares.AddLease(s.ctx, s.si, newLease()), nil)
	s.want("AdviseCorrupt", s.shares.AdviseCorrupt(s.ctx, storage.Mutable, s.si, 1, "reason"), nil)
	s.want("AdviseCorrupt of no share", s.shares.AdviseCorrupt(s.ctx, storage.Mutable, s.si, 2, "reason"), storage.ErrNotFound)
	s.want("AdviseCorrupt of a bucket", s.shares.AdviseCorrupt(s.ctx, storage.Immutable, s.si, 1, "reason"), storage.ErrNotFound)
}

// lists checks what readers see.
func (s *slot) lists(want map[storage.ShareNumber][]byte) {
	s.Helper()
	got, err := s.shares.Shares(s.ctx, storage.Mutable, s.si)
	if err != nil || len(got) != len(want) || !slices.IsSorted(got) {
		s.Errorf("Shares: got %v, %v, want %d", got, err, len(want))
	}
	for n, data := range want {
		p := make([]byte, len(data)+10)
		c, err := s.shares.Read(s.ctx, storage.Mutable, s.si, n, 0, p)
		if err != nil || !bytes.Equal(p[:c], data) {
			s.Errorf("Read of share %d: got %d bytes, %v, want %d", n, c, err, len(data))
		}
	}
}

// concurrentSteps: of many that race for one fast ballot, one wins, and
// every answer shows shares of one version.
func concurrentSteps(s *slot) {
	first := s.version(1, []byte("one"))
	s.create(first)
	var mu sync.Mutex
	var won []agree.VersionID
	var wg sync.WaitGroup
	for i := range 8 {
		v := s.version(2, []byte{byte(i)})
		wg.Go(func() {
			a, err := s.try(agree.Fast{Old: first.id, Ballot: agree.Ballot{Fast: 1}, New: v.id}, with(v))
			if err != nil {
				s.Errorf("Slot: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			if a.Done {
				won = append(won, v.id)
			}
		})
	}
	wg.Wait()
	a := s.send(agree.Read{})
	if len(won) != 1 || a.State.Current != won[0] {
		s.Errorf("%d of 8 steps were done", len(won))
	}
	for _, sh := range a.Current {
		h, err := mutable.ParseHeader(sh.Data)
		if err != nil || storage.VersionOf(h) != a.State.Current {
			s.Errorf("a share is not of the current version: %v", err)
		}
	}
}

func cancelledSlot(s *slot) {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, err := s.server.Slot(ctx, s.si, storage.SlotRequest{Message: agree.Read{}})
	s.want("Slot", err, context.Canceled)
	_, _, err = s.server.ReadTestWrite(ctx, s.si, s.enabler, s.lease, nil, nil)
	s.want("ReadTestWrite", err, context.Canceled)
}
