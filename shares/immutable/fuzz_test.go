package immutable_test

import (
	"bytes"
	"errors"
	"testing"

	"lafs/shares/immutable"
)

// FuzzOpenShare reads a share that was made of a good one by writing patch at
// offset at and cutting it: it gives its own blocks or ErrCorrupt.
func FuzzOpenShare(f *testing.F) {
	objects := tahoeObjects(f, "testdata")
	many, c := encodeWith(f, immutable.Params{Needed: 2, Total: 3, MaxSegmentSize: 30}, content("x", 1000), immutable.RandomKey())
	objects = append(objects, tahoeObject{cap: c, shares: many})
	for i := range objects {
		f.Add(uint8(i), uint8(1), uint16(0), []byte{0, 0, 0, 2}, uint16(0))
		f.Add(uint8(i), uint8(0), uint16(0x0c), bytes.Repeat([]byte{0xff}, 24), uint16(0))
		f.Add(uint8(i), uint8(2), uint16(0x20), []byte{0, 0, 0, 1}, uint16(5))
	}
	f.Fuzz(func(t *testing.T, which, n uint8, at uint16, patch []byte, cut uint16) {
		o := objects[int(which)%len(objects)]
		number := int(n) % len(o.shares)
		good := o.shares[number]
		share := bytes.Clone(good[:len(good)-int(cut)%len(good)])
		copy(share[int(at)%len(share):], patch)
		got, err := read(o.cap, number, small{t, share})
		if err != nil && !errors.Is(err, immutable.ErrCorrupt) {
			t.Fatal(err)
		}
		sec := sectionsOf(good)
		if err == nil && !bytes.Equal(got, good[sec.data:sec.plaintext]) {
			t.Fatal("wrong blocks")
		}
	})
}
