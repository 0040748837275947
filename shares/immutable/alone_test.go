package immutable_test

import (
	"bytes"
	"errors"
	"testing"

	"lafs/shares/immutable"
)

// TestCheckAlone flips every byte of a share of one segment, and some of
// larger ones: only the parts that nobody reads may change unnoticed.
func TestCheckAlone(t *testing.T) {
	for _, o := range tahoeObjects(t, "testdata") {
		for n, share := range o.shares {
			if opens, err := immutable.CheckAlone(t.Context(), n, small{t, share}); err != nil || !opens {
				t.Errorf("%s: CheckAlone of share %d: got %v, %v", o.name, n, opens, err)
			}
		}
		if opens, err := immutable.CheckAlone(t.Context(), 1, small{t, o.shares[0]}); opens || !errors.Is(err, immutable.ErrCorrupt) {
			t.Errorf("%s: CheckAlone of a share under another's number: got %v, %v", o.name, opens, err)
		}
	}
	many, _ := encodeWith(t, immutable.Params{Needed: 2, Total: 3, MaxSegmentSize: 30}, content("x", 200), immutable.RandomKey())
	share := many[1]
	sec := sectionsOf(share)
	unnoticed := 0
	for i := range share {
		bad := bytes.Clone(share)
		bad[i] ^= 0x40
		opens, err := immutable.CheckAlone(t.Context(), 1, small{t, bad})
		switch {
		case i >= 4 && i < 0x0c, i >= sec.plaintext && i < sec.crypttext:
			if err != nil {
				t.Errorf("byte %d, which nobody reads: %v", i, err)
			}
		case err == nil:
			// The hash of the whole ciphertext is nobody's business, and the
			// UEB's own hash is not known.
			unnoticed++
		case !errors.Is(err, immutable.ErrCorrupt):
			t.Errorf("byte %d: got %v, want ErrCorrupt", i, err)
		case i >= sec.data && i < sec.plaintext && !opens:
			t.Errorf("byte %d, of a block: the share does not open", i)
		}
	}
	if unnoticed > 0x44+32+40 {
		t.Errorf("%d of %d bytes can be changed unnoticed", unnoticed, len(share))
	}
	for cut := range share {
		if _, err := immutable.CheckAlone(t.Context(), 1, small{t, share[:cut]}); !errors.Is(err, immutable.ErrCorrupt) {
			t.Fatalf("CheckAlone of the first %d bytes: got %v, want ErrCorrupt", cut, err)
		}
	}
}

// FuzzCheckAlone: whatever a share says, checking it ends, and a share that
// passes reads back by the cap that its UEB stands for.
func FuzzCheckAlone(f *testing.F) {
	for _, o := range tahoeObjects(f, "testdata") {
		f.Add(uint8(0), o.shares[0])
	}
	f.Fuzz(func(t *testing.T, n uint8, share []byte) {
		opens, err := immutable.CheckAlone(t.Context(), int(n), small{t, share})
		if err == nil && !opens {
			t.Fatal("whole, and does not open")
		}
	})
}
