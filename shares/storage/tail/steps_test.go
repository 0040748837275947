package tail_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
	"lafs/shares/storage/storagetest"
	"lafs/shares/storage/tail"
)

// A counted is a Plain whose requests are counted, and whose answers to
// read-test-writes can get lost.
type counted struct {
	*storagetest.Plain
	reads, lists, writes int
	lose                 bool
}

func (c *counted) Shares(ctx context.Context, kind storage.Kind, si caps.StorageIndex) ([]storage.ShareNumber, error) {
	c.lists++
	return c.Plain.Shares(ctx, kind, si)
}

func (c *counted) ReadTestWrite(ctx context.Context, si caps.StorageIndex, enabler *storage.WriteEnabler, lease *storage.LeaseSecrets,
	writes map[storage.ShareNumber]storage.TestWrite, spans []storage.Span) (bool, map[storage.ShareNumber][][]byte, error) {
	c.writes++
	ok, data, err := c.Plain.ReadTestWrite(ctx, si, enabler, lease, writes, spans)
	if c.lose {
		c.lose = false
		return false, nil, storage.ErrUnreachable
	}
	return ok, data, err
}

// An object is one of a writer who has share numbers 0 and 1 of 3 on a
// server.
type object struct {
	*testing.T
	server *counted
	slots  *tail.Slots
	key    *mutable.Key
	si     caps.StorageIndex
	w, b   agree.Ballot // the last fast one, a classic one
}

func newObject(t *testing.T) *object {
	key, err := mutable.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{Plain: &storagetest.Plain{}}
	return &object{T: t, server: c, slots: tail.New(c), key: key, si: caps.StorageIndex{9}, b: agree.Ballot{N: 5, Nonce: 1}}
}

type content struct {
	id     agree.VersionID
	shares map[storage.ShareNumber][]byte
}

func (o *object) version(seq uint64, size int) content {
	o.Helper()
	v, err := mutable.Encode(o.key, mutable.Params{Needed: 2, Total: 3}, seq, bytes.Repeat([]byte{byte(seq)}, size))
	if err != nil {
		o.Fatal(err)
	}
	return content{storage.VersionOf(v.Header), map[storage.ShareNumber][]byte{0: v.Shares[0], 1: v.Shares[1]}}
}

func (o *object) try(slots *tail.Slots, m agree.Message, v, base content) (storage.SlotAnswer, error) {
	return slots.Slot(o.Context(), o.si, storage.SlotRequest{Message: m, Enabler: &storage.WriteEnabler{1}, Lease: &storage.LeaseSecrets{},
		Shares: v.shares, Base: base.shares, Numbers: []storage.ShareNumber{1, 0}, Placement: []byte("placement"),
		Replaced: func() map[storage.ShareNumber][]byte { return base.shares }})
}

func (o *object) send(m agree.Message, v, base content) storage.SlotAnswer {
	o.Helper()
	a, err := o.try(o.slots, m, v, base)
	if err != nil {
		o.Fatalf("%T: %v", m, err)
	}
	return a
}

// read reads as one who has never seen the object, and without the right to
// write to it.
func (o *object) read() storage.SlotAnswer {
	o.Helper()
	a, err := tail.New(o.server).Slot(o.Context(), o.si, storage.SlotRequest{Message: agree.Read{}, Fetch: 1 << 20})
	if err != nil {
		o.Fatalf("Read: %v", err)
	}
	return a
}

func (o *object) shows(what string, got map[storage.ShareNumber]storage.SlotShare, want map[storage.ShareNumber][]byte) {
	o.Helper()
	if len(got) != len(want) {
		o.Errorf("%s: got %d shares, want %d", what, len(got), len(want))
	}
	for n, data := range want {
		if !bytes.Equal(got[n].Data, data) {
			o.Errorf("%s: share %d is not what was written", what, n)
		}
	}
}

// written makes v1, and v2 on it in one step, of sizes in bytes.
func (o *object) written(size1, size2 int) (v1, v2 content) {
	o.Helper()
	v1, v2 = o.version(1, size1), o.version(2, size2)
	if a := o.send(agree.Fast{New: v1.id}, v1, content{}); !a.Done {
		o.Fatal("the first write was not done")
	}
	if a := o.send(agree.Fast{Old: v1.id, Ballot: agree.Ballot{Fast: 1}, New: v2.id}, v2, v1); !a.Done {
		o.Fatal("the second write was not done")
	}
	return v1, v2
}

// TestRequests: how many requests steps cost that find the slot as it was
// last seen.
func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newObject(t)
		o.written(100, 20_000)
		v3 := o.version(3, 50)
		o.send(agree.Learn{Version: o.version(2, 1).id, Ballot: agree.Ballot{}}, content{}, content{}) // of something old
		o.server.writes = 0
		o.send(agree.Prepare{Ballot: o.b}, content{}, content{})
		o.send(agree.Accept{Ballot: o.b, Version: v3.id, Base: agree.Base{Itself: true}}, v3, content{})
		o.send(agree.Learn{Version: v3.id, Ballot: o.b}, content{}, content{})
		if o.server.writes != 3 || o.server.lists != 0 {
			t.Errorf("three steps took %d read-test-writes and %d lists", o.server.writes, o.server.lists)
		}
	})
}

// TestForeign: a Tahoe-LAFS client writes a share that leaves the record
// whole, behind it or further behind.
func TestForeign(t *testing.T) {
	for _, tt := range []struct {
		name     string
		ours, it int // bytes of content
	}{{"a little longer", 100, 1000}, {"as long", 100, 100}, {"shorter", 30_000, 10}, {"empty", 5000, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			o := newObject(t)
			v1, v2 := o.written(50, tt.ours)
			state := o.read().State
			x, y := o.version(3, tt.it), o.version(5, 40)
			o.server.Put(o.si, 0, x.shares[0])
			a := o.read()
			if !a.Foreign || a.Lost || a.State != state || string(a.Placement) != "placement" {
				t.Errorf("Read: foreign %v, lost %v, %+v, want %+v", a.Foreign, a.Lost, a.State, state)
			}
			o.shows("current", a.Current, map[storage.ShareNumber][]byte{0: x.shares[0], 1: v2.shares[1]})
			o.shows("base", a.Base, map[storage.ShareNumber][]byte{1: v2.shares[1]})
			o.shows("older", a.Older, v1.shares)
			accept := agree.Accept{Ballot: o.b, Version: y.id, Base: agree.Base{Version: v2.id}}
			for _, m := range []agree.Message{agree.Fast{Old: v2.id, Ballot: agree.Ballot{Fast: 2}, New: y.id}, accept,
				agree.Learn{Version: v2.id, Ballot: agree.Ballot{Fast: 2}}} {
				if a := o.send(m, y, v2); a.Done || !a.Foreign {
					t.Errorf("%T over it: done %v, foreign %v", m, a.Done, a.Foreign)
				}
			}
			if a := o.send(agree.Prepare{Ballot: o.b}, content{}, content{}); !a.Done || !a.Foreign || a.State.Current != v2.id {
				t.Errorf("Prepare: %+v", a.State)
			}
			o.shows("older", o.read().Older, v1.shares)
			// Another one, of which the writer does not know.
			o.server.Put(o.si, 0, o.version(4, tt.it).shares[0])
			if a := o.send(accept, y, v2); a.Done {
				t.Error("Accept of one who was not told was done")
			}
			o.send(agree.Prepare{Ballot: o.b}, content{}, content{})
			if a := o.send(accept, y, v2); !a.Done || a.Foreign {
				t.Errorf("Accept: %+v", a.State)
			}
			a = o.read()
			o.shows("current", a.Current, y.shares)
			o.shows("base", a.Base, v2.shares)
		})
	}
}

// TestForeignBuiltOn: a version that has what a Tahoe-LAFS client wrote among
// its ancestors takes its place, also where nobody was told of it.
func TestForeignBuiltOn(t *testing.T) {
	o := newObject(t)
	_, v2 := o.written(50, 60)
	x, y := o.version(3, 70), o.version(4, 80)
	for n, data := range x.shares {
		o.server.Put(o.si, n, data)
	}
	learn := func(shares map[storage.ShareNumber][]byte, ancestors ...agree.VersionID) storage.SlotAnswer {
		a, err := o.slots.Slot(t.Context(), o.si, storage.SlotRequest{Message: agree.Learn{Version: y.id, Ballot: o.b},
			Enabler: &storage.WriteEnabler{1}, Lease: &storage.LeaseSecrets{}, Shares: shares, Ancestors: ancestors})
		if err != nil {
			t.Fatalf("Learn: %v", err)
		}
		return a
	}
	if a := learn(y.shares, v2.id); a.Done || !a.Foreign {
		t.Errorf("Learn of a version that is not built on it: done %v, foreign %v", a.Done, a.Foreign)
	}
	if a := learn(nil, x.id, v2.id); a.Done || !a.Missing {
		t.Errorf("Learn without shares: done %v, missing %v", a.Done, a.Missing)
	}
	if a := learn(y.shares, x.id, v2.id); !a.Done || a.Foreign {
		t.Errorf("Learn: done %v, foreign %v", a.Done, a.Foreign)
	}
	o.shows("current", o.read().Current, y.shares)
}

// TestOverwritten: a Tahoe-LAFS client's shares cover the records too, or
// were there first.
func TestOverwritten(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(o *object, x content)
	}{
		{"written over", func(o *object, x content) {
			o.written(50, 60)
			for n, data := range x.shares {
				o.server.Put(o.si, n, data)
			}
		}},
		{"never ours", func(o *object, x content) {
			for n, data := range x.shares {
				o.server.ReadTestWrite(o.Context(), o.si, &storage.WriteEnabler{1}, nil, map[storage.ShareNumber]storage.TestWrite{
					n: {Patches: []storage.Patch{{Data: data}}}}, nil)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newObject(t)
			x, y := o.version(3, 20_000), o.version(4, 30)
			tt.prepare(o, x)
			a := o.read()
			if !a.Foreign || !a.Lost || a.State != (agree.State{}) {
				t.Errorf("Read: foreign %v, lost %v, %+v", a.Foreign, a.Lost, a.State)
			}
			o.shows("current", a.Current, x.shares)
			a = o.send(agree.Prepare{Ballot: o.b}, content{}, content{})
			if again := o.read(); !a.Done || !a.Lost || !again.Lost || again.State != (agree.State{Promised: o.b}) {
				t.Errorf("Prepare: done %v, lost %v, then %+v", a.Done, a.Lost, again.State)
			}
			// The base is what is there, and need not be sent.
			a = o.send(agree.Accept{Ballot: o.b, Version: y.id, Base: agree.Base{Version: x.id}}, y, content{})
			if !a.Done || a.Foreign || a.Lost {
				t.Errorf("Accept: %+v", a)
			}
			a = o.read()
			o.shows("current", a.Current, y.shares)
			o.shows("base", a.Base, x.shares)
		})
	}
}

// TestPromiseAlone: a promise before there is a share is kept, and a share
// takes its place.
func TestPromiseAlone(t *testing.T) {
	o := newObject(t)
	v := o.version(1, 100)
	o.send(agree.Prepare{Ballot: o.b}, content{}, content{})
	a := o.read()
	if a.State != (agree.State{Promised: o.b}) || a.Foreign || len(a.Current) > 0 {
		t.Errorf("Read: %+v", a)
	}
	other := tail.New(o.server)
	if a, err := o.try(other, agree.Fast{New: v.id}, v, content{}); err != nil || a.Done {
		t.Errorf("Fast below the promise: done %v, %v", a.Done, err)
	}
	if a, err := o.try(other, agree.Accept{Ballot: o.b, Version: v.id}, v, content{}); err != nil || !a.Done {
		t.Errorf("Accept: done %v, %v", a.Done, err)
	}
	o.shows("current", o.read().Current, v.shares)
	if got := o.server.Share(o.si, 0); !bytes.HasPrefix(got, v.shares[0]) {
		t.Error("the promise still stands where the share belongs")
	}
}

// TestTorn: the server falls down when it has written one file of two. That
// is a step done, and a share that lags behind; nobody else wrote it.
func TestTorn(t *testing.T) {
	o := newObject(t)
	v1 := o.version(1, 100)
	o.send(agree.Fast{New: v1.id}, v1, content{})
	before := o.server.Share(o.si, 1)
	v2 := o.version(2, 200)
	state := o.send(agree.Fast{Old: v1.id, Ballot: agree.Ballot{Fast: 1}, New: v2.id}, v2, v1).State
	o.server.Set(o.si, 1, before)
	a := o.read()
	if a.Foreign || a.State != state {
		t.Errorf("Read: foreign %v, %+v, want %+v", a.Foreign, a.State, state)
	}
	o.shows("current", a.Current, map[storage.ShareNumber][]byte{0: v2.shares[0]})
	o.send(agree.Prepare{Ballot: o.b}, content{}, content{})
	v3 := o.version(3, 10)
	if a := o.send(agree.Accept{Ballot: o.b, Version: v3.id, Base: agree.Base{Version: v2.id}}, v3, v2); !a.Done {
		t.Errorf("Accept: %+v", a.State)
	}
	o.shows("current", o.read().Current, v3.shares)
}

// TestLostAnswer: a step whose answer is lost is not sent again before the
// slot was read, and is found done.
func TestLostAnswer(t *testing.T) {
	o := newObject(t)
	v1, v2 := o.version(1, 100), o.version(2, 100)
	o.send(agree.Fast{New: v1.id}, v1, content{})
	fast := agree.Fast{Old: v1.id, Ballot: agree.Ballot{Fast: 1}, New: v2.id}
	o.server.lose, o.server.writes = true, 0
	if _, err := o.try(o.slots, fast, v2, v1); !errors.Is(err, storage.ErrUnreachable) || o.server.writes != 1 {
		t.Errorf("got %v after %d requests, want %v after one", err, o.server.writes, storage.ErrUnreachable)
	}
	changes := 0
	o.server.After = func(caps.StorageIndex) { changes++ }
	if a := o.send(fast, v2, v1); !a.Done || a.State.Current != v2.id {
		t.Errorf("again: done %v, %+v", a.Done, a.State)
	}
	if changes != 0 {
		t.Errorf("it was written %d times more", changes)
	}
}

// TestBehindTheBack: what another client did since the slot was last seen is
// not written over, though the shares are the same.
func TestBehindTheBack(t *testing.T) {
	o := newObject(t)
	_, v2 := o.written(10, 10)
	v3 := o.version(3, 10)
	if a, err := o.try(tail.New(o.server), agree.Prepare{Ballot: o.b}, content{}, content{}); err != nil || !a.Done {
		t.Fatalf("Prepare: done %v, %v", a.Done, err)
	}
	a := o.send(agree.Fast{Old: v2.id, Ballot: agree.Ballot{Fast: 2}, New: v3.id}, v3, v2)
	if a.Done || a.State.Promised != o.b || a.State.Current != v2.id {
		t.Errorf("Fast after another's promise: done %v, %+v", a.Done, a.State)
	}
}

// TestNoOldRecords: a record must never come back from behind the one that
// took its place.
func TestNoOldRecords(t *testing.T) {
	o := newObject(t)
	size := []int{5000, 100, 3000, 2900, 0, 700, 8000, 7500}
	var last content
	ballot := agree.Ballot{}
	for i, n := range size {
		v := o.version(uint64(i+1), n)
		if a := o.send(agree.Fast{Old: last.id, Ballot: ballot, New: v.id}, v, last); !a.Done {
			t.Fatalf("write %d was not done", i)
		}
		last, ballot = v, ballot.Next()
		for number := range storage.ShareNumber(2) {
			if n := bytes.Count(o.server.Share(o.si, number), []byte("lafstail")); n != 1 {
				t.Errorf("after write %d share %d has %d records", i, number, n)
			}
		}
		if i%3 == 2 {
			continue
		}
		// Known to be chosen, it needs no base: its record is the end.
		o.send(agree.Learn{Version: v.id, Ballot: ballot}, v, content{})
		for number := range storage.ShareNumber(2) {
			if got := o.server.Share(o.si, number); bytes.Count(got, []byte("lafstail")) != 1 || !bytes.HasSuffix(got, []byte("placement")) {
				t.Errorf("after Learn %d share %d does not end with its record", i, number)
			}
		}
	}
}

// TestPlacementLater: the first step brought no placement list, and what is
// behind the list moves when one comes.
func TestPlacementLater(t *testing.T) {
	o := newObject(t)
	v1, v2 := o.version(1, 100), o.version(2, 300)
	for _, r := range []storage.SlotRequest{
		{Message: agree.Fast{New: v1.id}, Shares: v1.shares},
		{Message: agree.Fast{Old: v1.id, Ballot: agree.Ballot{Fast: 1}, New: v2.id}, Shares: v2.shares},
		{Message: agree.Accept{Ballot: o.b, Version: v2.id, Base: agree.Base{Version: v1.id}}, Placement: []byte("where")},
	} {
		r.Enabler, r.Lease = &storage.WriteEnabler{}, &storage.LeaseSecrets{}
		if a, err := o.slots.Slot(t.Context(), o.si, r); err != nil || !a.Done {
			t.Fatalf("%T: done %v, %v", r.Message, a.Done, err)
		}
	}
	a := o.read()
	o.shows("current", a.Current, v2.shares)
	o.shows("base", a.Base, v1.shares)
	if string(a.Placement) != "where" {
		t.Errorf("the placement list is %q", a.Placement)
	}
}

// TestUnknownShare: what may be of a later format is left alone.
func TestUnknownShare(t *testing.T) {
	o := newObject(t)
	o.written(10, 10)
	o.server.Set(o.si, 0, append([]byte{2}, make([]byte, 1000)...))
	v := o.version(3, 10)
	if _, err := o.try(tail.New(o.server), agree.Prepare{Ballot: o.b}, v, v); !errors.Is(err, storage.ErrStateLost) {
		t.Errorf("Prepare: %v, want %v", err, storage.ErrStateLost)
	}
}
