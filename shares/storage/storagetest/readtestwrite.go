package storagetest

import (
	"bytes"
	"fmt"
	"sync"

	"lafs/shares/agree"
	"lafs/shares/storage"
)

type writes = map[storage.ShareNumber]storage.TestWrite

// rtw sends a read-test-write that must be understood.
func (s *slot) rtw(w writes, spans ...storage.Span) (bool, map[storage.ShareNumber][][]byte) {
	s.Helper()
	ok, data, err := s.server.ReadTestWrite(s.ctx, s.si, s.enabler, s.lease, w, spans)
	if err != nil {
		s.Fatalf("ReadTestWrite: %v", err)
	}
	return ok, data
}

func (s *slot) write(n storage.ShareNumber, offset int64, data string) {
	s.Helper()
	if ok, _ := s.rtw(writes{n: put(offset, data)}); !ok {
		s.Fatalf("ReadTestWrite without tests: got false")
	}
}

func put(offset int64, data string) storage.TestWrite {
	return storage.TestWrite{Patches: []storage.Patch{{Offset: offset, Data: []byte(data)}}}
}

func cutTo(n int64) storage.TestWrite { return storage.TestWrite{NewLength: &n} }

func test(offset, size int64, specimen string) storage.Test {
	return storage.Test{Span: storage.Span{Offset: offset, Size: size}, Specimen: []byte(specimen)}
}

func (s *slot) shows(want map[storage.ShareNumber]string) {
	s.Helper()
	shares := map[storage.ShareNumber][]byte{}
	for n, text := range want {
		shares[n] = []byte(text)
	}
	s.lists(shares)
}

func readTestWrite(s *slot) {
	if ok, data := s.rtw(nil, storage.Span{Size: 10}); !ok || len(data) != 0 {
		s.Errorf("ReadTestWrite of nothing: got %v, %v", ok, data)
	}
	s.shows(nil)
	s.write(3, 0, "hello")
	s.write(255, 0, "there")
	s.shows(map[storage.ShareNumber]string{3: "hello", 255: "there"})
	// What is read was there before the write.
	ok, data := s.rtw(writes{3: put(0, "J")}, storage.Span{Size: 100}, storage.Span{Offset: 1, Size: 2}, storage.Span{Offset: 5, Size: 3},
		storage.Span{Offset: 1 << 60, Size: 1 << 60}, storage.Span{})
	want := map[storage.ShareNumber][][]byte{3: {[]byte("hello"), []byte("el"), {}, {}, {}}, 255: {[]byte("there"), []byte("he"), {}, {}, {}}}
	if got := fmt.Sprint(data); !ok || got != fmt.Sprint(want) {
		s.Errorf("ReadTestWrite: got %v, %v, want %v", ok, got, want)
	}
	s.shows(map[storage.ShareNumber]string{3: "Jello", 255: "there"})
}

func rtwTests(s *slot) {
	s.write(0, 0, "hello")
	for _, tt := range []struct {
		n    storage.ShareNumber
		test storage.Test
		pass bool
	}{
		{0, test(0, 5, "hello"), true},
		{0, test(1, 2, "el"), true},
		{0, test(1, 2, "eL"), false},
		{0, test(0, 5, "hell"), false},
		{0, test(0, 4, "hello"), false},
		{0, test(0, 9, "hello"), true},
		{0, test(5, 1, ""), true},
		{0, test(4, 1, ""), false},
		{0, test(0, 0, ""), true},
		{0, test(1<<60, 1<<60, ""), true},
		{1, test(0, 1, ""), true},
		{1, test(0, 1, "x"), false},
	} {
		w := writes{tt.n: {Tests: []storage.Test{test(0, 0, ""), tt.test}}, 0: {Tests: []storage.Test{tt.test}}}
		if tt.n != 0 {
			w[0] = storage.TestWrite{}
		}
		if ok, data := s.rtw(w, storage.Span{Size: 5}); ok != tt.pass || string(data[0][0]) != "hello" {
			s.Errorf("test %+v of share %d: got %v, %q", tt.test, tt.n, ok, data)
		}
		if tt.n == 1 && tt.pass {
			// A share that is named and passes is there from now on.
			s.shows(map[storage.ShareNumber]string{0: "hello", 1: ""})
			s.rtw(writes{1: cutTo(0)})
		}
		s.shows(map[storage.ShareNumber]string{0: "hello"})
	}
}

func rtwPatches(s *slot) {
	for _, tt := range []struct {
		write storage.TestWrite
		want  string
	}{
		{put(0, "0123456789"), "0123456789"},
		{put(2, "xx"), "01xx456789"},
		{put(9, "ab"), "01xx45678ab"},
		{put(13, "cd"), "01xx45678ab\x00\x00cd"},
		{cutTo(100), "01xx45678ab\x00\x00cd"},
		{cutTo(4), "01xx"},
		{put(6, "!"), "01xx\x00\x00!"},
		{storage.TestWrite{Patches: []storage.Patch{{Offset: 0, Data: []byte("ABCD")}, {Offset: 1, Data: []byte("yz")}}}, "AyzD\x00\x00!"},
		{storage.TestWrite{Patches: []storage.Patch{{Offset: 5, Data: []byte("longer than that")}}, NewLength: length(8)}, "AyzD\x00lon"},
		{storage.TestWrite{Patches: []storage.Patch{{Offset: 20, Data: []byte("far")}}, NewLength: length(2)}, "Ay"},
		{put(4, ""), "Ay\x00\x00"},
		{storage.TestWrite{}, "Ay\x00\x00"},
	} {
		if ok, _ := s.rtw(writes{7: tt.write}); !ok {
			s.Fatal("ReadTestWrite without tests: got false")
		}
		s.shows(map[storage.ShareNumber]string{7: tt.want})
	}
}

func length(n int64) *int64 { return &n }

func rtwDelete(s *slot) {
	s.write(0, 0, "zero")
	s.write(1, 0, "one")
	s.rtw(writes{0: cutTo(0), 9: cutTo(0)})
	s.shows(map[storage.ShareNumber]string{1: "one"})
	s.rtw(writes{1: {Tests: []storage.Test{test(0, 3, "one")}, Patches: put(0, "x").Patches, NewLength: length(0)}})
	s.shows(nil)
	s.want("AddLease to nothing", s.shares.AddLease(s.ctx, s.si, s.lease), storage.ErrNotFound)
	// Nobody owns a slot that holds nothing.
	s.enabler = newEnabler()
	s.write(0, 0, "another")
	s.shows(map[storage.ShareNumber]string{0: "another"})
}

func rtwSeveral(s *slot) {
	all := writes{}
	want := map[storage.ShareNumber]string{}
	for n := range 256 {
		text := fmt.Sprint("share ", n)
		all[storage.ShareNumber(n)], want[storage.ShareNumber(n)] = put(0, text), text
	}
	s.rtw(all)
	s.shows(want)
	// One test that fails, and nothing is written.
	w := writes{5: put(0, "X"), 6: {Tests: []storage.Test{test(0, 1, "?")}}, 7: cutTo(0)}
	if ok, data := s.rtw(w, storage.Span{Size: 5}); ok || len(data) != 256 {
		s.Errorf("ReadTestWrite: got %v, %d shares", ok, len(data))
	}
	s.shows(want)
}

func rtwBad(s *slot) {
	s.write(0, 0, "zero")
	for name, try := range map[string]func() error{
		"a negative span": func() error {
			_, _, err := s.server.ReadTestWrite(s.ctx, s.si, s.enabler, s.lease, nil, []storage.Span{{Offset: -1, Size: 1}})
			return err
		},
		"a negative patch": func() error {
			_, _, err := s.server.ReadTestWrite(s.ctx, s.si, s.enabler, s.lease, writes{0: put(-1, "x")}, nil)
			return err
		},
		"a negative length": func() error {
			_, _, err := s.server.ReadTestWrite(s.ctx, s.si, s.enabler, s.lease, writes{0: cutTo(-1)}, nil)
			return err
		},
		"no enabler": func() error {
			_, _, err := s.server.ReadTestWrite(s.ctx, s.si, nil, s.lease, writes{0: put(0, "x")}, nil)
			return err
		},
	} {
		s.want(name, try(), storage.ErrBadRequest)
	}
	_, _, err := s.server.ReadTestWrite(s.ctx, s.si, s.enabler, s.lease, writes{0: put(1<<50, "x")}, nil)
	s.want("a petabyte of zeros", err, storage.ErrNoSpace)
	_, _, err = s.server.ReadTestWrite(s.ctx, s.si, s.enabler, s.lease, writes{0: put(1<<62, "x")}, nil)
	s.want("more than a share can be", err, storage.ErrTooLarge)
	s.shows(map[storage.ShareNumber]string{0: "zero"})
}

// adopted: an object that only Tahoe-LAFS clients wrote has shares and no
// state, and can be taken over.
func adopted(s *slot) {
	v, w := s.version(1, []byte("one")), s.version(2, []byte("two"))
	for n, data := range v.shares {
		s.write(n, 0, string(data))
	}
	a := s.send(agree.Read{})
	if !a.Foreign || a.State != (agree.State{}) {
		s.Errorf("Read: got %+v", a)
	}
	s.has("current", a.Current, v.shares)
	if a := s.send(agree.Fast{New: w.id}, with(w)); a.Done {
		s.Error("Fast over it was done")
	}
	s.send(agree.Prepare{Ballot: ballot1})
	// Its shares need not be sent.
	a = s.send(agree.Accept{Ballot: ballot1, Version: w.id, Base: agree.Base{Version: v.id}}, with(w))
	if !a.Done || a.Foreign {
		s.Errorf("Accept: got %+v", a)
	}
	s.has("current", a.Current, w.shares)
	s.has("base", a.Base, v.shares)
}

// foreign: what was voted for stays beside what a Tahoe-LAFS client writes.
func foreign(s *slot) {
	v, w, x := s.version(1, []byte("one")), s.version(2, []byte("two")), s.version(3, []byte("three"))
	s.create(v)
	state := s.send(agree.Fast{Old: v.id, Ballot: agree.Ballot{Fast: 1}, New: w.id}, with(w)).State
	s.write(0, 0, string(x.shares[0]))
	a := s.send(agree.Read{})
	if !a.Foreign || a.State != state {
		s.Errorf("Read: got %+v, want %+v", a, state)
	}
	seen := map[storage.ShareNumber][]byte{0: x.shares[0], 1: w.shares[1]}
	s.has("current", a.Current, seen)
	s.has("base", a.Base, w.shares)
	s.has("older", a.Older, v.shares)
	s.lists(seen)
	if a := s.send(agree.Fast{Old: w.id, Ballot: agree.Ballot{Fast: 2}, New: x.id}, with(x)); a.Done {
		s.Error("Fast over it was done")
	}
	a = s.send(agree.Learn{Version: w.id, Ballot: agree.Ballot{Fast: 2}})
	if !a.Done || !a.State.Committed || !a.Foreign {
		s.Errorf("Learn: got %+v", a)
	}
	s.has("current", a.Current, seen)
	s.has("base", a.Base, w.shares)
	s.has("older", a.Older, nil)
	if a := s.send(agree.Accept{Ballot: ballot1, Version: x.id, Base: agree.Base{Version: w.id}}, with(x)); a.Done {
		s.Error("Accept of one who was not told was done")
	}
	s.send(agree.Prepare{Ballot: ballot1})
	a = s.send(agree.Accept{Ballot: ballot1, Version: x.id, Base: agree.Base{Version: w.id}}, with(x))
	if !a.Done || a.Foreign {
		s.Errorf("Accept: got %+v", a)
	}
	s.has("current", a.Current, x.shares)
	s.has("base", a.Base, w.shares)
	s.lists(x.shares)
}

func foreignBetween(s *slot) {
	v, w := s.version(1, []byte("one")), s.version(2, []byte("two"))
	s.create(v)
	s.send(agree.Prepare{Ballot: ballot1})
	s.rtw(writes{0: cutTo(0), 1: cutTo(0)})
	s.lists(nil)
	accept := agree.Accept{Ballot: ballot1, Version: w.id, Base: agree.Base{Version: v.id}}
	a := s.send(accept, with(w))
	if a.Done || !a.Foreign {
		s.Errorf("Accept: got %+v", a)
	}
	s.has("base", a.Base, v.shares)
	if a := s.send(agree.Prepare{Ballot: ballot1}); !a.Done || !a.Foreign {
		s.Errorf("Prepare: got %+v", a)
	}
	// Another write, of which again nobody knows.
	s.write(0, 0, "more")
	if a := s.send(accept, with(w)); a.Done || !a.Foreign {
		s.Errorf("Accept after another write: got %+v", a)
	}
	s.send(agree.Prepare{Ballot: ballot1})
	if a := s.send(accept, with(w)); !a.Done || a.Foreign {
		s.Errorf("Accept: got %+v", a)
	}
	s.lists(w.shares)
}

// rtwRace: each of many adds its mark where the share ended when it looked;
// nobody's is lost.
func rtwRace(s *slot) {
	s.write(0, 0, ".")
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for known := "."; ; {
				w := writes{0: {Tests: []storage.Test{test(0, 100, known)}, Patches: put(int64(len(known)), string(rune('a'+i))).Patches}}
				ok, data, err := s.server.ReadTestWrite(s.ctx, s.si, s.enabler, s.lease, w, []storage.Span{{Size: 100}})
				if err != nil {
					s.Error(err)
					return
				}
				if ok {
					return
				}
				known = string(data[0][0])
			}
		})
	}
	wg.Wait()
	_, data := s.rtw(nil, storage.Span{Size: 100})
	got := data[0][0]
	for i := range 6 {
		if bytes.Count(got, []byte{byte('a' + i)}) != 1 {
			s.Errorf("the share is %q", got)
		}
	}
}
