package ondisk_test

import (
	"crypto/sha256"
	"maps"
	"slices"
	"testing"

	"lafs/node/store/ondisk"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// aRecord has something in every field.
func aRecord() *ondisk.Record {
	v := func(seq uint64) agree.VersionID { return agree.VersionID{Seq: seq, Root: [32]byte{byte(seq), 1}} }
	return &ondisk.Record{Index: caps.StorageIndex{1}, TubID: [20]byte{2}, Enabler: [32]byte{3}, Who: 77, Step: 8,
		State: agree.State{Promised: agree.Ballot{N: 9, Nonce: 8, Fast: 7}, Accepted: agree.Ballot{N: 6, Nonce: 5, Fast: 4},
			Current: v(11), Base: agree.Base{Version: v(10)}, Committed: true},
		Ancestors: []agree.VersionID{v(10), v(9)}, Placement: []byte("placement"),
		Current: ondisk.Shares{0: {Step: 8, Length: 100}, 255: {Step: 6, Length: 0}}, Base: ondisk.Shares{0: {Step: 7, Length: 90}}, Foreign: ondisk.Shares{3: {Step: 2, Length: 1 << 40}},
		IsForeign: true, Seen: true}
}

// TestRecord flips every bit of a record, and cuts it at every byte.
func TestRecord(t *testing.T) {
	want := aRecord()
	good := want.Marshal()
	got, err := ondisk.ParseRecord(good)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Same(want) || got.Index != want.Index || got.TubID != want.TubID || got.Enabler != want.Enabler || got.Who != want.Who || got.Step != want.Step ||
		!slices.Equal(got.Ancestors, want.Ancestors) || !maps.Equal(got.Foreign, want.Foreign) {
		t.Errorf("parseRecord: got %+v, want %+v", got, want)
	}
	if int64(len(good)) != want.Size() {
		t.Errorf("size: got %d, the record has %d", want.Size(), len(good))
	}
	if old, err := ondisk.ParseRecord(recordFormatOne(want)); err != nil || old.Who != ondisk.Default || !old.Same(want) || old.Step != want.Step {
		t.Errorf("a record of format 1: got %+v, %v", old, err)
	}
	for i := range good {
		if _, err := ondisk.ParseRecord(good[:i]); err == nil {
			t.Errorf("cut at %d: no error", i)
		}
		for bit := range 8 {
			b := slices.Clone(good)
			b[i] ^= 1 << bit
			if _, err := ondisk.ParseRecord(b); err == nil {
				t.Errorf("flip of bit %d in byte %d: no error", bit, i)
			}
		}
	}
	full := aRecord()
	full.Placement, full.Ancestors = make([]byte, storage.MaxPlacement), make([]agree.VersionID, storage.MaxAncestors)
	for n := range 256 {
		for _, set := range []ondisk.Shares{full.Current, full.Base, full.Foreign} {
			set[storage.ShareNumber(n)] = ondisk.Ref{Step: 1, Length: 1}
		}
	}
	if b := full.Marshal(); len(b) > ondisk.MaxRecord {
		t.Errorf("the longest record has %d bytes", len(b))
	} else if _, err := ondisk.ParseRecord(b); err != nil {
		t.Errorf("the longest record: %v", err)
	}
}

// recordFormatOne is the record as format 1 has it.
func recordFormatOne(r *ondisk.Record) []byte {
	b := r.Marshal()
	b = slices.Concat(b[:80], b[84:len(b)-32])
	b[11] = 1
	return summed(b)
}

func FuzzRecord(f *testing.F) {
	// The sum is of no use to who looks for faults behind it.
	seed := func(r *ondisk.Record) { b := r.Marshal(); f.Add(b[:len(b)-32]) }
	seed(aRecord())
	seed(&ondisk.Record{Step: 2})
	one := recordFormatOne(aRecord())
	f.Add(one[:len(one)-32])
	seed(&ondisk.Record{Step: 2, State: agree.State{Base: agree.Base{Itself: true}}, Current: ondisk.Shares{1: {Step: 2, Length: 5}}})
	f.Fuzz(func(t *testing.T, b []byte) {
		ondisk.ParseRecord(b)
		r, err := ondisk.ParseRecord(summed(b))
		if err != nil {
			return
		}
		got := r.Marshal()
		if b[11] == 1 {
			got = recordFormatOne(r)
		}
		if string(got) != string(summed(b)) {
			t.Fatalf("got %x, want %x", got, summed(b))
		}
	})
}

// summed puts the right sum behind b.
func summed(b []byte) []byte {
	sum := sha256.Sum256(b)
	return append(slices.Clone(b), sum[:]...)
}
