package immutable_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"lafs/shares/caps"
	"lafs/shares/hashes"
	"lafs/shares/immutable"
)

// sections are the parts of a version 1 share.
type sections struct{ data, plaintext, crypttext, blocks, chain, ueb, end int }

func sectionsOf(share []byte) sections {
	return sections{be32(share[0x0c:]), be32(share[0x10:]), be32(share[0x14:]), be32(share[0x18:]), be32(share[0x1c:]), be32(share[0x20:]), len(share)}
}

// read opens share n and reads all its blocks in one go.
func read(c *caps.CHK, n int, r immutable.ShareReader) ([]byte, error) {
	d, err := immutable.NewDecoder(c)
	if err != nil {
		return nil, err
	}
	s, err := d.OpenShare(context.Background(), n, r)
	if err != nil {
		return nil, err
	}
	blocks, err := s.Blocks(context.Background(), 0, d.NumSegments())
	return bytes.Join(blocks, nil), err
}

// TestFlips changes bytes of shares: all of headers, trees, chains and UEB,
// all or some of the blocks. A changed share gives its right blocks or
// ErrCorrupt; and the right blocks only if the byte is one that nobody reads.
func TestFlips(t *testing.T) {
	check := func(t *testing.T, c *caps.CHK, n int, share []byte) {
		sec := sectionsOf(share)
		data := share[sec.data:sec.plaintext]
		flipped := slices.Clone(share)
		step := 1
		if underRace {
			step = 8
		}
		for at := 0; at < len(share); at += step {
			if at > sec.data+300 && at < sec.plaintext-300 {
				at = min(at+rand.IntN(2000*step), sec.plaintext-300) // a large share's blocks are sampled
			}
			bit := byte(1) << rand.IntN(8)
			flipped[at] ^= bit
			got, err := read(c, n, small{t, flipped})
			flipped[at] ^= bit
			ignored := at >= 4 && at < 0x0c || // block size, data size
				at >= 0x10 && at < 0x14 || // offset of the tree of zeros,
				at >= sec.plaintext && at < sec.crypttext || // and the tree
				inner(at, sec.crypttext, sec.blocks) || inner(at, sec.blocks, sec.chain)
			switch {
			case err == nil && !bytes.Equal(got, data):
				t.Fatalf("byte %d: wrong blocks", at)
			case err == nil && !ignored:
				t.Fatalf("byte %d: not noticed", at)
			case err != nil && !errors.Is(err, immutable.ErrCorrupt):
				t.Fatalf("byte %d: %v", at, err)
			}
		}
	}
	eachTahoeObject(t, func(t *testing.T, o tahoeObject) {
		for n, share := range o.shares {
			if len(share) > 100_000 && n != 1 && n != 4 {
				continue // a primary block and another say it all
			}
			check(t, o.cap, n, share)
		}
	})
	t.Run("many segments", func(t *testing.T) {
		shares, c := encodeWith(t, immutable.Params{Needed: 2, Total: 3, MaxSegmentSize: 30}, content("x", 1000), immutable.RandomKey())
		check(t, c, 2, shares[2])
	})
}

// inner reports whether byte at is in a tree's hashes that follow from
// others: inner nodes, and leaves behind the last. Of a tree of one node,
// none.
func inner(at, from, to int) bool {
	if at < from || at >= to {
		return false
	}
	nodes := (to - from) / 32
	node := (at - from) / 32
	return node < nodes/2 || nodes > 1 && node > nodes/2
}

// TestFlippedFile flips a byte of one share among k and reads the file: the
// right plaintext, or an error.
func TestFlippedFile(t *testing.T) {
	for _, o := range tahoeObjects(t, "testdata") {
		for at := range o.shares[1] {
			shares := some(o.shares, []int{0, 2})
			flipped := slices.Clone(o.shares[1])
			flipped[at] ^= 0x80
			shares[1] = bytesReader(flipped)
			if got, err := readBack(o.cap, shares); err == nil && !o.holds(got) {
				t.Errorf("%s, byte %d: wrong plaintext", o.name, at)
			}
		}
	}
}

// TestCuts ends a share at every byte.
func TestCuts(t *testing.T) {
	for _, o := range tahoeObjects(t, "testdata") {
		for end := range o.shares[1] {
			if _, err := read(o.cap, 1, small{t, o.shares[1][:end]}); !errors.Is(err, immutable.ErrCorrupt) {
				t.Fatalf("%s cut to %d bytes: %v", o.name, end, err)
			}
		}
	}
}

// TestLargeFlips samples shares too large to be read whole, with trees in
// pages.
func TestLargeFlips(t *testing.T) {
	shares, c := encodeWith(t, immutable.Params{Needed: 1, Total: 2, MaxSegmentSize: 2}, content("x", 12001), immutable.RandomKey())
	share := shares[1]
	sec := sectionsOf(share)
	for range 60 {
		for _, s := range [][2]int{{0, sec.data}, {sec.data, sec.plaintext}, {sec.crypttext, sec.blocks}, {sec.blocks, sec.chain}, {sec.chain, sec.ueb}, {sec.ueb, sec.end}} {
			at := s[0] + rand.IntN(s[1]-s[0])
			flipped := slices.Clone(share)
			flipped[at] ^= 1 << rand.IntN(8)
			got, err := read(c, 1, small{t, flipped})
			if err == nil && !bytes.Equal(got, share[sec.data:sec.plaintext]) {
				t.Fatalf("byte %d: wrong blocks", at)
			}
			if err != nil && !errors.Is(err, immutable.ErrCorrupt) {
				t.Fatalf("byte %d: %v", at, err)
			}
		}
	}
}

// TestWrongPage: wrong hashes in a tree that is read in pages are noticed, and
// do not hurt the other shares.
func TestWrongPage(t *testing.T) {
	plaintext := content("x", 30001)
	shares, c := encodeWith(t, immutable.Params{Needed: 1, Total: 2, MaxSegmentSize: 3}, plaintext, immutable.RandomKey())
	sec := sectionsOf(shares[1])
	for name, tree := range map[string][2]int{"crypttext": {sec.crypttext, sec.blocks}, "blocks": {sec.blocks, sec.chain}} {
		leaf := (tree[0]+tree[1])/2 + 16 + 32*5000
		spoilt := slices.Clone(shares[1])
		spoilt[leaf] ^= 1
		d, err := immutable.NewDecoder(c)
		if err != nil {
			t.Fatal(err)
		}
		bad, err := d.OpenShare(context.Background(), 1, bytesReader(spoilt))
		if err != nil {
			t.Fatal(err)
		}
		good, err := d.OpenShare(context.Background(), 0, bytesReader(shares[0]))
		if err != nil {
			t.Fatal(err)
		}
		// Another segment of the same page.
		if _, err := bad.Blocks(context.Background(), 5001, 1); !errors.Is(err, immutable.ErrCorrupt) {
			t.Errorf("Blocks, %s tree wrong: got %v, want ErrCorrupt", name, err)
		}
		blocks, err := good.Blocks(context.Background(), 5000, 1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.DecodeSegment(5000, map[int][]byte{0: blocks[0]})
		if err != nil || !bytes.Equal(got, plaintext[15000:15003]) {
			t.Errorf("DecodeSegment after a wrong %s tree elsewhere: %v", name, err)
		}
	}
}

// TestOverlaps reads shares whose bytes are good but whose header lays
// sections over each other.
func TestOverlaps(t *testing.T) {
	shares, c := encodeWith(t, immutable.Params{Needed: 1, Total: 2, MaxSegmentSize: 100}, content("a", 1000), immutable.RandomKey())
	sec := sectionsOf(shares[0])
	for name, plaintext := range map[string]int{"data too short": sec.plaintext - 1, "data into the tree": sec.crypttext + 1, "before the header": 0} {
		share := slices.Clone(shares[0])
		binary.BigEndian.PutUint32(share[0x10:], uint32(plaintext))
		if _, err := read(c, 0, bytesReader(share)); !errors.Is(err, immutable.ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrCorrupt", name, err)
		}
	}
}

// TestWrongShare gives one share for another, and a share of another file.
func TestWrongShare(t *testing.T) {
	p := immutable.Params{Needed: 2, Total: 4}
	shares, c := encodeWith(t, p, content("a", 500), immutable.RandomKey())
	others, _ := encodeWith(t, p, content("b", 500), immutable.RandomKey())
	for name, try := range map[string]struct {
		n     int
		share []byte
	}{
		"another number":  {1, shares[0]},
		"another file":    {0, others[0]},
		"nothing":         {0, nil},
		"zeros":           {0, make([]byte, len(shares[0]))},
		"number too high": {4, shares[0]},
		"number below 0":  {-1, shares[0]},
	} {
		if _, err := read(c, try.n, bytesReader(try.share)); !errors.Is(err, immutable.ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrCorrupt", name, err)
		}
	}
	for name, try := range map[string]struct {
		change func(c *caps.CHK)
		want   error
	}{
		"k":    {func(c *caps.CHK) { c.Needed = 1 }, immutable.ErrWrongCap},
		"N":    {func(c *caps.CHK) { c.Total = 3 }, immutable.ErrWrongCap},
		"size": {func(c *caps.CHK) { c.Size = 501 }, immutable.ErrWrongCap},
		"hash": {func(c *caps.CHK) { c.UEBHash[3] ^= 1 }, immutable.ErrCorrupt},
	} {
		other := *c
		try.change(&other)
		_, err := read(&other, 0, bytesReader(shares[0]))
		if !errors.Is(err, try.want) || errors.Is(err, immutable.ErrCorrupt) && errors.Is(err, immutable.ErrWrongCap) {
			t.Errorf("another %s in the cap: got %v, want %v", name, err, try.want)
		}
	}
}

// TestWrongUEB reads shares whose UEB is the cap's, but is a lie.
func TestWrongUEB(t *testing.T) {
	shares, c := encodeWith(t, immutable.Params{Needed: 3, Total: 5, MaxSegmentSize: 300}, content("a", 1000), immutable.RandomKey())
	sec := sectionsOf(shares[0])
	ueb := shares[0][sec.ueb+4:]
	swap := func(old, new string) []byte {
		out := bytes.Replace(ueb, []byte(old), []byte(new), 1)
		if bytes.Equal(out, ueb) {
			t.Fatalf("%q is not in the UEB", old)
		}
		return out
	}
	for name, try := range map[string]struct {
		ueb  []byte
		good bool
	}{
		"the same":              {ueb, true},
		"an unknown key":        {append(slices.Clone(ueb), "plaintext_hash:3:abc,"...), true},
		"a key twice":           {append(slices.Clone(ueb), "size:4:1000,"...), false},
		"an unknown key twice":  {append(slices.Clone(ueb), "x:1:a,x:1:a,"...), false},
		"trailing bytes":        {append(slices.Clone(ueb), 'x'), false},
		"a bad key":             {append(slices.Clone(ueb), "x y:1:a,"...), false},
		"an empty key":          {append(slices.Clone(ueb), ":1:a,"...), false},
		"a length too large":    {append(slices.Clone(ueb), "x:9:a,"...), false},
		"a huge length":         {append(slices.Clone(ueb), "x:99999999999999999999:a,"...), false},
		"a negative length":     {append(slices.Clone(ueb), "x:-1:a,"...), false},
		"a length with zeros":   {append(slices.Clone(ueb), "x:01:a,"...), false},
		"no comma":              {append(slices.Clone(ueb), "x:1:a;"...), false},
		"1999 bytes":            {padded(ueb, 1999), true},
		"2000 bytes":            {padded(ueb, 2000), false},
		"nothing":               {nil, false},
		"another codec":         {swap("codec_name:3:crs", "codec_name:3:xor"), false},
		"no codec":              {swap("codec_name:3:crs,", ""), false},
		"no k":                  {swap("needed_shares:1:3", "needed_shares:1:0"), false},
		"a k that is no number": {swap("needed_shares:1:3", "needed_shares:1:x"), false},
		"a size with zeros":     {swap("size:4:1000", "size:5:01000"), false},
		"segments of 0":         {swap("segment_size:3:300", "segment_size:1:0"), false},
		"negative segments":     {swap("segment_size:3:300", "segment_size:4:-300"), false},
		"segments of no k":      {swap("segment_size:3:300", "segment_size:3:301"), false},
		"other segments":        {swap("segment_size:3:300", "segment_size:3:303"), false},
		"segments over size":    {swap("segment_size:3:300", "segment_size:4:1005"), false},
		"another count":         {swap("num_segments:1:4", "num_segments:1:5"), false},
		"another tail":          {swap("tail_codec_params:7:102-3-5", "tail_codec_params:7:105-3-5"), false},
		"a short root":          {swap("share_root_hash:32:", "share_root_hash:31:"), false},
		"no crypttext root key": {swap("crypttext_root_hash", "crypttext_roof_hash"), false},
	} {
		share := slices.Clone(shares[0][:sec.ueb])
		share = append(share, byte(len(try.ueb)>>24), byte(len(try.ueb)>>16), byte(len(try.ueb)>>8), byte(len(try.ueb)))
		share = append(share, try.ueb...)
		liar := *c
		liar.UEBHash = hashes.UEB(try.ueb)
		_, err := read(&liar, 0, small{t, share})
		if try.good && err != nil || !try.good && !errors.Is(err, immutable.ErrCorrupt) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// padded adds an unknown key that makes a UEB so long.
func padded(ueb []byte, length int) []byte {
	value := make([]byte, length-len(ueb)-len("x:1000:,"))
	return fmt.Appendf(slices.Clone(ueb), "x:%d:%s,", len(value), value)
}

// TestWrongBlocks decodes blocks that do not belong together.
func TestWrongBlocks(t *testing.T) {
	shares, c := encodeWith(t, immutable.Params{Needed: 2, Total: 4}, content("a", 500), immutable.RandomKey())
	d, err := immutable.NewDecoder(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.DecodeSegment(0, nil); err == nil || d.SegmentSize() != 0 || d.NumSegments() != 0 {
		t.Error("DecodeSegment before OpenShare: no error")
	}
	blocks := make(map[int][]byte)
	for n, share := range shares {
		s, err := d.OpenShare(context.Background(), n, bytesReader(share))
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Blocks(context.Background(), 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		blocks[n] = got[0]
		for _, bad := range [][2]int{{-1, 1}, {0, 0}, {0, 2}, {1, 1}, {0, -1}, {1 << 62, 1 << 62}} {
			if _, err := s.Blocks(context.Background(), bad[0], bad[1]); err == nil {
				t.Errorf("Blocks %v: no error", bad)
			}
		}
	}
	if d.Size() != 500 || d.SegmentSize() != 500 || d.NumSegments() != 1 {
		t.Errorf("size %d in %d segments of %d", d.Size(), d.NumSegments(), d.SegmentSize())
	}
	if _, err := d.DecodeSegment(0, map[int][]byte{0: blocks[1], 1: blocks[0]}); !errors.Is(err, immutable.ErrCorrupt) {
		t.Errorf("swapped blocks: got %v, want ErrCorrupt", err)
	}
	for name, some := range map[string]map[int][]byte{
		"too few":    {0: blocks[0]},
		"short":      {0: blocks[0][1:], 1: blocks[1]},
		"empty":      {0: nil, 1: blocks[1]},
		"no number":  {0: blocks[0], 7: blocks[1]},
		"below zero": {0: blocks[0], -1: blocks[1]},
	} {
		if _, err := d.DecodeSegment(0, some); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, seg := range []int{-1, 1} {
		if _, err := d.DecodeSegment(seg, blocks); err == nil {
			t.Errorf("segment %d: no error", seg)
		}
	}
}

// readerFunc is a ShareReader that does what it likes.
type readerFunc func(ctx context.Context, offset int64, p []byte) (int, error)

func (f readerFunc) ReadShare(ctx context.Context, offset int64, p []byte) (int, error) {
	return f(ctx, offset, p)
}

func TestReaderErrors(t *testing.T) {
	shares, c := encodeWith(t, immutable.Params{Needed: 1, Total: 2, MaxSegmentSize: 50000}, content("a", 200000), immutable.RandomKey())
	broken := errors.New("the line is cut")
	for fail := 1; ; fail++ {
		calls := make(chan struct{}, 100)
		_, err := read(c, 0, readerFunc(func(ctx context.Context, offset int64, p []byte) (int, error) {
			calls <- struct{}{}
			if len(calls) == fail {
				return 0, broken
			}
			return bytesReader(shares[0]).ReadShare(ctx, offset, p)
		}))
		if len(calls) < fail {
			break
		}
		if !errors.Is(err, broken) || errors.Is(err, immutable.ErrCorrupt) {
			t.Errorf("read %d fails: got %v", fail, err)
		}
	}
	for _, n := range []int{-1, 1 << 40} {
		if _, err := read(c, 0, readerFunc(func(context.Context, int64, []byte) (int, error) { return n, nil })); err == nil {
			t.Errorf("a reader that counts %d bytes: no error", n)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d, _ := immutable.NewDecoder(c)
	_, err := d.OpenShare(ctx, 0, readerFunc(func(ctx context.Context, _ int64, _ []byte) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled read: got %v", err)
	}
}

// TestHostileCap reads by caps that ask for much.
func TestHostileCap(t *testing.T) {
	for _, c := range []*caps.CHK{
		{Key: immutable.RandomKey(), Needed: 1, Total: 1, Size: caps.MaxSize},
		{Key: immutable.RandomKey(), Needed: 256, Total: 256, Size: caps.MaxSize},
		{Key: immutable.RandomKey(), Needed: 1, Total: 256, Size: 1 << 47},
		{Key: immutable.RandomKey(), Needed: 0, Total: 0, Size: 10},
		{Key: immutable.RandomKey(), Needed: 5, Total: 3, Size: 10},
		{Key: immutable.RandomKey(), Needed: 1, Total: 1, Size: -5},
	} {
		if _, err := read(c, 0, small{t, make([]byte, 5000)}); err == nil {
			t.Errorf("%d of %d, %d bytes: no error", c.Needed, c.Total, c.Size)
		}
	}
}
