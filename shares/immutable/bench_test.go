package immutable_test

import (
	"context"
	"testing"

	"lafs/shares/immutable"
)

// BenchmarkEncode3of10 makes ten shares of a stream; MB/s are of plaintext.
func BenchmarkEncode3of10(b *testing.B) {
	segment := make([]byte, immutable.DefaultSegmentSize)
	p := immutable.Params{Needed: 3, Total: 10}
	e, err := immutable.NewEncoder(p, int64(len(segment))<<26, immutable.RandomKey())
	if err != nil {
		b.Fatal(err)
	}
	segment = make([]byte, e.SegmentSize())
	b.SetBytes(e.SegmentSize())
	for b.Loop() {
		if _, err := e.Encode(segment); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecode3of10 reads and decodes a segment from the shares given by
// its name; MB/s are of plaintext.
func BenchmarkDecode3of10(b *testing.B) {
	shares, c := encodeWith(b, immutable.Params{Needed: 3, Total: 10}, make([]byte, 4<<20), immutable.RandomKey())
	for name, have := range map[string][]int{"primary": {0, 1, 2}, "parity": {7, 8, 9}} {
		b.Run(name, func(b *testing.B) {
			d, err := immutable.NewDecoder(c)
			if err != nil {
				b.Fatal(err)
			}
			opened := make(map[int]*immutable.Share)
			for _, n := range have {
				if opened[n], err = d.OpenShare(context.Background(), n, bytesReader(shares[n])); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(d.SegmentSize())
			for b.Loop() {
				blocks := make(map[int][]byte)
				for n, s := range opened {
					got, err := s.Blocks(context.Background(), 1, 1)
					if err != nil {
						b.Fatal(err)
					}
					blocks[n] = got[0]
				}
				if _, err := d.DecodeSegment(1, blocks); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpenShare(b *testing.B) {
	shares, c := encodeWith(b, immutable.Params{Needed: 3, Total: 10}, make([]byte, 10<<20), immutable.RandomKey())
	for b.Loop() {
		d, err := immutable.NewDecoder(c)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := d.OpenShare(context.Background(), 4, bytesReader(shares[4])); err != nil {
			b.Fatal(err)
		}
	}
}
