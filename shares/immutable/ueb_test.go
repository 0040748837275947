package immutable

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzUEB parses any bytes as the UEB of a file of any size and code. What is
// accepted and has no keys but ours is written again as it was.
func FuzzUEB(f *testing.F) {
	for _, p := range []Params{{3, 10, 300}, {1, 1, 0}, {256, 256, 128 << 10}} {
		for _, size := range []int64{1, 1000, 1 << 33} {
			g, err := p.geometry(size)
			if err != nil {
				f.Fatal(err)
			}
			u := &ueb{segSize: g.segSize}
			f.Add(u.marshal(g), uint8(p.Needed), uint8(p.Total-p.Needed), size)
			f.Add(append(u.marshal(g), "plaintext_hash:1:x,"...), uint8(p.Needed), uint8(p.Total-p.Needed), size)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, k, more uint8, size int64) {
		needed, total := int(k), int(k)+int(more)
		if _, err := (Params{Needed: needed, Total: total}).geometry(size); err != nil {
			return // such a cap is refused before
		}
		u, g, err := parseUEB(raw, needed, total, size)
		if err != nil {
			return
		}
		if g.segSize < 1 || g.segSize > MaxSegmentSize+255 || g.segments < 1 || g.segments > maxSegments {
			t.Fatalf("accepted: %d segments of %d bytes", g.segments, g.segSize)
		}
		// Every field that we write is in the block, word for word.
		again, err := cutUEB(raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range u.fields(g) {
			if string(again[field.key]) != field.value {
				t.Fatalf("%s is %q, read as %q", field.key, again[field.key], field.value)
			}
		}
		if len(again) == len(u.fields(g)) && len(raw) != len(u.marshal(g)) {
			t.Fatal("another length for the same keys")
		}
		written := u.marshal(g)
		if _, _, err := parseUEB(written, needed, total, size); err != nil {
			t.Fatalf("what marshal writes: %v", err)
		}
	})
}

func TestUEBRoundTrip(t *testing.T) {
	g, err := Params{Needed: 3, Total: 10}.geometry(5 << 20)
	if err != nil {
		t.Fatal(err)
	}
	u := &ueb{segSize: g.segSize}
	u.crypttextHash[0], u.crypttextRoot[1], u.shareRoot[2] = 1, 2, 3
	raw := u.marshal(g)
	got, _, err := parseUEB(raw, 3, 10, 5<<20)
	if err != nil || *got != *u || !bytes.Equal(got.marshal(g), raw) {
		t.Errorf("parseUEB: got %v, %v", got, err)
	}
}

// TestUEBUnreadable: segments of foreign making may be too large, or too
// many, for our memory. That is no corruption.
func TestUEBUnreadable(t *testing.T) {
	for _, g := range []*geometry{
		{needed: 1, total: 1, size: 1 << 40, segSize: 1 << 39, segments: 2, tailSize: 1 << 39, tailBlock: 1 << 39},
		{needed: 1, total: 1, size: 1 << 40, segSize: 1, segments: 1 << 40, tailSize: 1, tailBlock: 1},
	} {
		raw := (&ueb{segSize: g.segSize}).marshal(g)
		if _, _, err := parseUEB(raw, 1, 1, g.size); err == nil || errors.Is(err, ErrCorrupt) {
			t.Errorf("parseUEB, segments of %d: got %v", g.segSize, err)
		}
	}
}
