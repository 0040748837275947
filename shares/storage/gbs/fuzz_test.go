package gbs

import (
	"bytes"
	"encoding/hex"
	"math"
	"slices"
	"testing"

	"lafs/shares/agree"
	"lafs/shares/storage"
)

// FuzzBodies: whatever is taken for a body of the protocol says the same
// after it is written again.
func FuzzBodies(f *testing.F) {
	add := func(b []byte, err error) {
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	example, err := hex.DecodeString("a26d73686172652d6e756d62657273d901028200076e616c6c6f63617465642d73697a650a")
	add(example, err)
	add(marshalAllocate([]storage.ShareNumber{0, 255}, 1<<62))
	add(marshalVersion(storage.Version{AvailableSpace: 1<<64 - 1}))
	add(marshalAllocation(storage.Allocation{Allocated: []storage.ShareNumber{1}}))
	add(marshalAllocationMore(storage.Allocation{Allocated: []storage.ShareNumber{1},
		Missing: map[storage.ShareNumber][]storage.Range{1: {{Begin: 1, End: 5}, {Begin: 7, End: 8}}}}))
	add(marshalRequired([]storage.Range{{Begin: 1, End: 5}, {Begin: 7, End: 8}}))
	add(marshalShares([]storage.ShareNumber{3, 9}))
	add(marshalCorrupt("reason"))
	f.Fuzz(func(t *testing.T, b []byte) {
		again(t, b, parseVersion, marshalVersion)
		again(t, b, parseAllocation, marshalAllocation)
		again(t, b, func(b []byte) (storage.Allocation, error) { return parseAllocationMore(b, math.MaxInt64) }, marshalAllocationMore)
		again(t, b, parseRequired, marshalRequired)
		again(t, b, parseShares, marshalShares)
		again(t, b, parseCorrupt, marshalCorrupt)
		type alloc struct {
			numbers []storage.ShareNumber
			size    int64
		}
		again(t, b, func(b []byte) (a alloc, err error) {
			a.numbers, a.size, err = parseAllocate(b)
			return a, err
		}, func(a alloc) ([]byte, error) { return marshalAllocate(a.numbers, a.size) })
	})
}

// FuzzSlotBodies is FuzzBodies for what goes to and from slots.
func FuzzSlotBodies(f *testing.F) {
	add := func(b []byte, err error) {
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	v, w := agree.VersionID{Seq: 1, Root: [32]byte{1}}, agree.VersionID{Seq: 2, Root: [32]byte{2}}
	ballot := agree.Ballot{N: 1 << 40, Nonce: 1<<64 - 1, Fast: 3}
	for _, m := range []agree.Message{agree.Read{}, agree.Prepare{Ballot: ballot}, agree.Fast{Old: v, Ballot: ballot, New: w}, agree.Fast{New: v},
		agree.Accept{Ballot: ballot, Version: w, Base: agree.Base{Itself: true}}, agree.Accept{Ballot: ballot, Version: w, Base: agree.Base{Version: v}},
		agree.Accept{Ballot: ballot, Version: w}, agree.Learn{Version: w, Ballot: ballot}} {
		add(marshalSlotRequest(&storage.SlotRequest{Message: m, Enabler: &storage.WriteEnabler{1}, Lease: &storage.LeaseSecrets{},
			Shares: map[storage.ShareNumber][]byte{0: []byte("share"), 255: {}}, Base: map[storage.ShareNumber][]byte{0: []byte("old")},
			Ancestors: []agree.VersionID{v, {}}, Placement: []byte("list"), Fetch: 5, From: 6}))
	}
	shares := map[storage.ShareNumber]storage.SlotShare{1: {Size: 100, Data: []byte("part")}}
	add(marshalSlotAnswer(&storage.SlotAnswer{}))
	add(marshalSlotAnswer(&storage.SlotAnswer{Done: true, Missing: true, Foreign: true, Lost: true, Ancestors: []agree.VersionID{v}, Placement: []byte("list"),
		State:   agree.State{Promised: ballot, Accepted: ballot, Current: w, Base: agree.Base{Version: v}, Committed: true},
		Current: shares, Base: shares, Older: shares}))
	length := int64(7)
	add(marshalRTW(rtw{map[storage.ShareNumber]storage.TestWrite{
		3: {Tests: []storage.Test{{Span: storage.Span{Offset: 1, Size: 2}, Specimen: []byte("x")}}, Patches: []storage.Patch{{Offset: 9, Data: []byte("y")}}},
		4: {NewLength: &length}}, []storage.Span{{Size: 57}}}))
	add(encodeSorted.Marshal(wholeSharesBody{Shares: map[uint64]slotShareBody{1: {Size: 2, Data: []byte("xy")}, 7: {Size: 300}},
		Spans: map[uint64][][]byte{7: {[]byte("part"), {}}}}))
	add(marshalRTWAnswer(rtwAnswer{true, map[storage.ShareNumber][][]byte{3: {[]byte("x"), nil}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		again(t, b, parseSlotRequest, marshalSlotRequest)
		again(t, b, parseSlotAnswer, func(a storage.SlotAnswer) ([]byte, error) { return marshalSlotAnswer(&a) })
		again(t, b, parseRTW, marshalRTW)
		if n := heads(b); n > int64(len(b)) || n == 0 && len(b) > 0 {
			t.Errorf("%d elements in %d bytes", n, len(b))
		}
		again(t, b, parseRTWAnswer, marshalRTWAnswer)
		const limit = 100
		spans := []storage.Range{{Begin: 5, End: 10}, {Begin: 0, End: 1}}
		held, err := parseWholeShares(b, limit, spans)
		if err != nil {
			return
		}
		for _, s := range held {
			if len(s.Data) > limit || s.Spans != nil && (len(s.Data) > 0 || len(s.Spans) != 2 || len(s.Spans[0]) > 5 || len(s.Spans[1]) > 1) {
				t.Errorf("a server's answer: got %+v", s)
			}
		}
	})
}

func again[T any](t *testing.T, b []byte, parse func([]byte) (T, error), marshal func(T) ([]byte, error)) {
	t.Helper()
	v, err := parse(b)
	if err != nil {
		return
	}
	first, err := marshal(v)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	v, err = parse(first)
	if err != nil {
		t.Fatalf("parse of what was written: %v", err)
	}
	second, err := marshal(v)
	if err != nil || !bytes.Equal(first, second) {
		t.Fatalf("got %x, then %x", first, second)
	}
}

func FuzzRanges(f *testing.F) {
	f.Add("bytes=0-9")
	f.Add("bytes 5-9/*")
	f.Add("bytes 5-9/10")
	f.Add("bytes=0-9223372036854775807")
	f.Fuzz(func(t *testing.T, s string) {
		if begin, end, ok := parseRange(s); ok {
			if b, e, ok := parseRange(formatRange(begin, end)); !ok || b != begin || e != end || e <= b {
				t.Fatalf("%q: got %d, %d, then %d, %d, %v", s, begin, end, b, e, ok)
			}
		}
		if begin, end, ok := parseContentRange(s); ok {
			if b, e, ok := parseContentRange(formatContentRange(begin, end)); !ok || b != begin || e != end || e <= b {
				t.Fatalf("%q: got %d, %d, then %d, %d, %v", s, begin, end, b, e, ok)
			}
		}
	})
}

// TestSlotNumbers: which shares are wanted travels with a Read, and with
// nothing else.
func TestSlotNumbers(t *testing.T) {
	numbers := []storage.ShareNumber{0, 7, 255}
	for _, m := range []agree.Message{agree.Read{}, agree.Prepare{Ballot: agree.Ballot{N: 1}}} {
		raw, err := marshalSlotRequest(&storage.SlotRequest{Message: m, Numbers: numbers})
		if err != nil {
			t.Fatal(err)
		}
		r, err := parseSlotRequest(raw)
		want := numbers
		if m != (agree.Read{}) {
			want = nil
		}
		if err != nil || !slices.Equal(r.Numbers, want) {
			t.Errorf("%T: got %v, %v, want %v", m, r, err, want)
		}
	}
}
