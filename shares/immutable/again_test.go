package immutable_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"lafs/shares/caps"
	"lafs/shares/immutable"
)

// verify reads a whole share with the verify cap alone.
func verify(c *caps.CHK, n int, r immutable.ShareReader) error {
	d, err := immutable.NewVerifier(c.Verifier().(*caps.CHKVerifier))
	if err != nil {
		return err
	}
	s, err := d.OpenShare(context.Background(), n, r)
	if err != nil {
		return err
	}
	for seg := range d.NumSegments() {
		if _, err := s.Blocks(context.Background(), seg, 1); err != nil {
			return err
		}
	}
	return s.CheckTrees(context.Background())
}

// remake makes all shares again from some, without the read key.
func remake(t *testing.T, c *caps.CHK, from map[int]immutable.ShareReader) ([][]byte, error) {
	t.Helper()
	d, err := immutable.NewVerifier(c.Verifier().(*caps.CHKVerifier))
	if err != nil {
		t.Fatal(err)
	}
	opened := make(map[int]*immutable.Share)
	for n, r := range from {
		if opened[n], err = d.OpenShare(t.Context(), n, r); err != nil {
			t.Fatal(err)
		}
	}
	e, err := d.NewEncoder()
	if err != nil {
		t.Fatal(err)
	}
	shares := make([][]byte, c.Total)
	for i := range shares {
		shares[i] = slices.Clone(e.Header())
	}
	for seg := range d.NumSegments() {
		blocks := make(map[int][]byte)
		for n, s := range opened {
			b, err := s.Blocks(t.Context(), seg, 1)
			if err != nil {
				t.Fatal(err)
			}
			blocks[n] = b[0]
		}
		part, err := d.DecodeSegment(seg, blocks)
		if err != nil {
			t.Fatal(err)
		}
		again, err := e.Encode(part)
		if err != nil {
			t.Fatal(err)
		}
		for i := range shares {
			shares[i] = append(shares[i], again[i]...)
		}
	}
	tails, none, err := e.Finish()
	if err != nil {
		return nil, err
	}
	if none != nil {
		t.Error("a verifier's encoder gives a cap")
	}
	for i := range shares {
		shares[i] = append(shares[i], tails[i]...)
		if int64(len(shares[i])) != e.ShareSize() {
			t.Errorf("ShareSize: said %d, share %d has %d", e.ShareSize(), i, len(shares[i]))
		}
	}
	if e.StorageIndex() != c.StorageIndex() {
		t.Error("the storage index is another")
	}
	return shares, nil
}

// TestMadeAgain: shares made again without the key are the old ones.
func TestMadeAgain(t *testing.T) {
	for _, size := range []int{56, 1000, 4096, 4097, 50_000} {
		p := immutable.Params{Needed: 3, Total: 10, MaxSegmentSize: 4096}
		shares, c := encodeWith(t, p, content("again", size), immutable.RandomKey())
		for _, have := range [][]int{{0, 1, 2}, {7, 8, 9}, {0, 4, 9}} {
			again, err := remake(t, c, some(shares, have))
			if err != nil {
				t.Fatal(err)
			}
			for n := range shares {
				if !bytes.Equal(again[n], shares[n]) {
					t.Errorf("%d bytes from %v: share %d is another", size, have, n)
				}
			}
		}
	}
}

// TestTahoeMadeAgain: what Tahoe-LAFS made verifies, and what is made again
// of it is read by the old cap.
func TestTahoeMadeAgain(t *testing.T) {
	eachTahoeObject(t, func(t *testing.T, o tahoeObject) {
		readers := make(map[int]immutable.ShareReader)
		for n, s := range o.shares {
			if err := verify(o.cap, n, bytesReader(s)); err != nil {
				t.Errorf("share %d: %v", n, err)
			}
			if len(readers) < o.cap.Needed {
				readers[n] = bytesReader(s)
			}
		}
		again, err := remake(t, o.cap, readers)
		if err != nil {
			t.Fatal(err)
		}
		for n, s := range again {
			if err := verify(o.cap, n, bytesReader(s)); err != nil {
				t.Errorf("made again: share %d: %v", n, err)
			}
		}
	})
}

// TestVerifySeesEveryByte: a bit that is wrong is found wherever it is, but
// in what nobody reads: the block and data sizes of the header, and the tree
// of zeros.
func TestVerifySeesEveryByte(t *testing.T) {
	p := immutable.Params{Needed: 2, Total: 5, MaxSegmentSize: 128}
	shares, c := encodeWith(t, p, content("every byte", 700), immutable.RandomKey())
	good := shares[3]
	if err := verify(c, 3, bytesReader(good)); err != nil {
		t.Fatal(err)
	}
	const zerosFrom = 0x24 + 5*64 + 30
	zerosTo := zerosFrom + 15*32
	missed := 0
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		err := verify(c, 3, bytesReader(bad))
		if i == 19 {
			continue // where the zeros begin, within their room
		}
		if i >= 4 && i < 12 || i >= zerosFrom && i < zerosTo {
			if err != nil {
				t.Errorf("byte %d, which nobody reads: %v", i, err)
			}
			missed++
			continue
		}
		if !errors.Is(err, immutable.ErrCorrupt) {
			t.Errorf("byte %d: got %v, want ErrCorrupt", i, err)
		}
	}
	if missed != 8+15*32 {
		t.Errorf("%d bytes that nobody reads", missed)
	}
	if err := verify(c, 2, bytesReader(good)); !errors.Is(err, immutable.ErrCorrupt) {
		t.Errorf("the share of another number: got %v, want ErrCorrupt", err)
	}
	for i := range good {
		if err := verify(c, 3, bytesReader(good[:i])); !errors.Is(err, immutable.ErrCorrupt) {
			t.Fatalf("cut after %d bytes: got %v, want ErrCorrupt", i, err)
		}
	}
}

func TestMadeAgainBeforeAnyShare(t *testing.T) {
	_, c := encodeWith(t, immutable.Params{Needed: 1, Total: 1}, content("none", 100), immutable.RandomKey())
	d, err := immutable.NewDecoder(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.NewEncoder(); err == nil {
		t.Error("NewEncoder before any share was opened: got no error")
	}
}
