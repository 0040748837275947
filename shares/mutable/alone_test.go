package mutable_test

import (
	"bytes"
	"errors"
	"testing"

	"lafs/shares/mutable"
)

func TestCheckAlone(t *testing.T) {
	key, err := mutable.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []mutable.Format{mutable.SDMF, mutable.MDMF} {
		v, err := mutable.Encode(key, mutable.Params{Format: f, Needed: 2, Total: 3}, 7, bytes.Repeat([]byte("some data "), 30_000))
		if err != nil {
			t.Fatal(err)
		}
		share := v.Shares[1]
		got, opens, err := mutable.CheckAlone(t.Context(), 1, mutable.Bytes(share))
		if err != nil || !opens || got != key.Fingerprint() {
			t.Errorf("%v: CheckAlone: got %v, %v, and the fingerprint right: %v", f, opens, err, got == key.Fingerprint())
		}
		if _, opens, err := mutable.CheckAlone(t.Context(), 0, mutable.Bytes(share)); opens || !errors.Is(err, mutable.ErrCorrupt) {
			t.Errorf("%v: CheckAlone of a share under another's number: got %v, %v", f, opens, err)
		}
		for _, bad := range []struct {
			name  string
			at    int
			opens bool
		}{
			{"in the signed part", 5, false},
			{"in a block", len(share) / 2, true},
		} {
			damaged := bytes.Clone(share)
			damaged[bad.at] ^= 1
			_, opens, err := mutable.CheckAlone(t.Context(), 1, mutable.Bytes(damaged))
			if opens != bad.opens || !errors.Is(err, mutable.ErrCorrupt) {
				t.Errorf("%v: CheckAlone of a share damaged %s: got %v, %v", f, bad.name, opens, err)
			}
		}
		if _, opens, err := mutable.CheckAlone(t.Context(), 1, mutable.Bytes(append(bytes.Clone(share), 0))); !opens || !errors.Is(err, mutable.ErrCorrupt) {
			t.Errorf("%v: CheckAlone with a byte too many: got %v, %v", f, opens, err)
		}
		for _, cut := range []int{0, 1, 100, 130, 2000, len(share) - 1} {
			if _, opens, err := mutable.CheckAlone(t.Context(), 1, mutable.Bytes(share[:cut])); opens || !errors.Is(err, mutable.ErrCorrupt) {
				t.Errorf("%v: CheckAlone of the first %d bytes: got %v, %v", f, cut, opens, err)
			}
		}
	}
}

// FuzzCheckAlone: whatever a share says, checking it ends, and takes no
// memory by what it says.
func FuzzCheckAlone(f *testing.F) {
	key, err := mutable.GenerateKey()
	if err != nil {
		f.Fatal(err)
	}
	for _, format := range []mutable.Format{mutable.SDMF, mutable.MDMF} {
		v, err := mutable.Encode(key, mutable.Params{Format: format, Needed: 1, Total: 2}, 1, []byte("data"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(1), v.Shares[1])
	}
	f.Fuzz(func(t *testing.T, n uint8, share []byte) {
		_, opens, err := mutable.CheckAlone(t.Context(), int(n), mutable.Bytes(share))
		if err == nil && !opens {
			t.Fatal("whole, and does not open")
		}
	})
}
