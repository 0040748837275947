package immutable_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"lafs/shares/immutable"
)

// TestSizes goes through every edge: of the smallest file, of a literal, of
// one and two segments.
func TestSizes(t *testing.T) {
	sizes := []int{1, 2, 3, 4, 55, 56}
	for _, edge := range []int{immutable.OldSegmentSize, 2 * immutable.OldSegmentSize, immutable.DefaultSegmentSize, 2 * immutable.DefaultSegmentSize} {
		// The segments of a code with k = 3 are a bit larger.
		sizes = append(sizes, edge-1, edge, edge+1, edge+2, edge+3)
	}
	for _, segSize := range []int64{0, immutable.OldSegmentSize} {
		for _, size := range sizes {
			t.Run(fmt.Sprint(segSize, "/", size), func(t *testing.T) {
				p := immutable.Params{Needed: 3, Total: 5, MaxSegmentSize: segSize}
				plaintext := content("size", size)
				shares, c := encodeWith(t, p, plaintext, immutable.RandomKey())
				for _, have := range [][]int{{0, 1, 2}, {4, 1, 3}, {0, 1, 2, 3, 4}} {
					got, err := readBack(c, some(shares, have))
					if err != nil || !bytes.Equal(got, plaintext) {
						t.Fatalf("shares %v: %d bytes, %v", have, len(got), err)
					}
				}
				if _, err := readBack(c, some(shares, []int{0, 4})); err == nil {
					t.Fatal("two shares of three needed make a file")
				}
			})
		}
	}
}

func TestAnyCode(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(rt, "N")
		k := rapid.IntRange(1, n).Draw(rt, "k")
		size := rapid.IntRange(1, 5000).Draw(rt, "size")
		p := immutable.Params{Needed: k, Total: n, MaxSegmentSize: rapid.Int64Range(20, 6000).Draw(rt, "segment")}
		plaintext := rapid.SliceOfN(rapid.Byte(), size, size).Draw(rt, "plaintext")
		shares, c := encodeWith(t, p, plaintext, convergent(t, p, plaintext, []byte("secret")))
		var numbers []int
		for i := range n {
			numbers = append(numbers, i)
		}
		have := rapid.Permutation(numbers).Draw(rt, "order")[:k]
		got, err := readBack(c, some(shares, have))
		if err != nil || !bytes.Equal(got, plaintext) {
			rt.Fatalf("shares %v: %d bytes, %v", have, len(got), err)
		}
	})
}

// TestManySegments has trees too large to be read at once: their leaves come
// in pages. Segments are read in ranges, from several places at once.
func TestManySegments(t *testing.T) {
	p := immutable.Params{Needed: 3, Total: 4, MaxSegmentSize: 3}
	plaintext := content("many", 30001)
	shares, c := encodeWith(t, p, plaintext, immutable.RandomKey())
	d, err := immutable.NewDecoder(c)
	if err != nil {
		t.Fatal(err)
	}
	opened := make(map[int]*immutable.Share)
	for _, n := range []int{0, 1, 3} {
		if opened[n], err = d.OpenShare(context.Background(), n, small{t, shares[n]}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.DecodeSegment(7, map[int][]byte{0: {1}, 1: {2}, 3: {3}}); err == nil || errors.Is(err, immutable.ErrCorrupt) {
		t.Errorf("DecodeSegment before Blocks: %v", err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		first := rapid.IntRange(0, d.NumSegments()-1).Draw(rt, "first")
		count := min(rapid.IntRange(1, 300).Draw(rt, "count"), d.NumSegments()-first)
		blocks := make([]map[int][]byte, count)
		for n, s := range opened {
			got, err := s.Blocks(context.Background(), first, count)
			if err != nil {
				rt.Fatal(err)
			}
			for i := range got {
				if blocks[i] == nil {
					blocks[i] = make(map[int][]byte)
				}
				blocks[i][n] = got[i]
			}
		}
		for i := range blocks {
			at := (first + i) * 3
			got, err := d.DecodeSegment(first+i, blocks[i])
			if err != nil || !bytes.Equal(got, plaintext[at:min(at+3, len(plaintext))]) {
				rt.Fatalf("segment %d: %x, %v", first+i, got, err)
			}
		}
	})
}

// small is a reader that takes a read of far more than the share has for an
// attack on our memory.
type small struct {
	t     testing.TB
	share []byte
}

func (s small) ReadShare(ctx context.Context, offset int64, p []byte) (int, error) {
	if len(p) > len(s.share)+200<<10 {
		s.t.Errorf("ReadShare: %d bytes are asked for, of a share of %d", len(p), len(s.share))
	}
	return bytesReader(s.share).ReadShare(ctx, offset, p)
}

// TestEncoderReusesMemory: what a segment costs does not depend on its size.
func TestEncoderReusesMemory(t *testing.T) {
	const segments = 20
	segment := make([]byte, immutable.DefaultSegmentSize)
	e, err := immutable.NewEncoder(immutable.Params{Needed: 4, Total: 8}, segments*immutable.DefaultSegmentSize, immutable.RandomKey())
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	for i := range segments {
		if i == 2 {
			runtime.ReadMemStats(&before)
		}
		if _, err := e.Encode(segment); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > segments*64<<10 {
		t.Errorf("Encode: %d bytes allocated for %d segments", grown, segments-2)
	}
}

// TestBlocksOutliveOneCall: the blocks of one call stand while the next call
// works.
func TestBlocksOutliveOneCall(t *testing.T) {
	p := immutable.Params{Needed: 2, Total: 3, MaxSegmentSize: 100}
	e, err := immutable.NewEncoder(p, 300, immutable.RandomKey())
	if err != nil {
		t.Fatal(err)
	}
	first, _ := e.Encode(content("a", 100))
	kept := bytes.Join(first, nil)
	e.Encode(content("b", 100))
	if !bytes.Equal(bytes.Join(first, nil), kept) {
		t.Error("Encode: the blocks of the call before are overwritten")
	}
}

func TestEncoderRefuses(t *testing.T) {
	key := immutable.RandomKey()
	for name, p := range map[string]immutable.Params{
		"k is zero":         {Needed: 0, Total: 3},
		"k above N":         {Needed: 4, Total: 3},
		"N above 256":       {Needed: 4, Total: 257},
		"negative segments": {Needed: 1, Total: 1, MaxSegmentSize: -1},
		"huge segments":     {Needed: 1, Total: 1, MaxSegmentSize: immutable.MaxSegmentSize + 1},
		"too many segments": {Needed: 1, Total: 1, MaxSegmentSize: 1},
	} {
		if _, err := immutable.NewEncoder(p, 1<<40, key); err == nil {
			t.Errorf("NewEncoder, %s: no error", name)
		}
	}
	good := immutable.Params{Needed: 1, Total: 2, MaxSegmentSize: 10}
	for _, size := range []int64{-1, 0, 1 << 57, 1<<63 - 1} {
		if _, err := immutable.NewEncoder(good, size, key); err == nil {
			t.Errorf("NewEncoder, %d bytes: no error", size)
		}
		if _, err := immutable.NewKeyer(good, size, immutable.NewConvergenceSecret(nil)); err == nil {
			t.Errorf("NewKeyer, %d bytes: no error", size)
		}
	}
	e, err := immutable.NewEncoder(good, 15, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Encode(make([]byte, 9)); err == nil {
		t.Error("Encode: a short segment is accepted")
	}
	if _, err := e.Encode(make([]byte, 10)); err != nil {
		t.Error(err)
	}
	if _, _, err := e.Finish(); err == nil {
		t.Error("Finish: accepted with a segment missing")
	}
	if _, err := e.Encode(make([]byte, 5)); err != nil {
		t.Error(err)
	}
	if _, err := e.Encode(nil); err == nil {
		t.Error("Encode: a segment too many is accepted")
	}
}

func TestKeyerCounts(t *testing.T) {
	k, err := immutable.NewKeyer(immutable.Params{Needed: 1, Total: 1}, 10, immutable.NewConvergenceSecret([]byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	k.Write(make([]byte, 6))
	if _, err := k.Key(); err == nil {
		t.Error("Key: given for half a file")
	}
	if _, err := k.Write(make([]byte, 5)); err == nil {
		t.Error("Write: more than the file has is accepted")
	}
}

func TestConvergenceSecret(t *testing.T) {
	s, err := immutable.ParseConvergenceSecret("mfrgg")
	if err != nil || s.Reveal() != "mfrgg" {
		t.Errorf("ParseConvergenceSecret: %v", err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(verb, s); got != "[secret]" {
			t.Errorf("Format: got %q", got)
		}
	}
	if _, err := immutable.ParseConvergenceSecret("MFRGG"); err == nil {
		t.Error("ParseConvergenceSecret: upper case is accepted")
	}
}
