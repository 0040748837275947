package immutable_test

import (
	"bytes"
	"testing"

	"lafs/shares/immutable"
)

// Segments are decoded into memory that held something else, where it is
// enough, and are the same from any k shares.
func TestDecodeSegmentInto(t *testing.T) {
	const k, n, segment = 3, 5, 3000
	plaintext := content("into", 2*segment+1234)
	params := immutable.Params{Needed: k, Total: n, MaxSegmentSize: segment}
	shares, c := encodeWith(t, params, plaintext, convergent(t, params, plaintext, make([]byte, 32)))
	for _, have := range subsets(k, n) {
		d, err := immutable.NewDecoder(c)
		if err != nil {
			t.Fatal(err)
		}
		opened := map[int]*immutable.Share{}
		for num, r := range some(shares, have) {
			if opened[num], err = d.OpenShare(t.Context(), num, r); err != nil {
				t.Fatal(err)
			}
		}
		dirty := bytes.Repeat([]byte{0xee}, segment)
		for seg := range 3 {
			blocks := map[int][]byte{}
			for num, share := range opened {
				b, err := share.Blocks(t.Context(), seg, 1)
				if err != nil {
					t.Fatal(err)
				}
				blocks[num] = b[0]
			}
			want := plaintext[seg*segment : min((seg+1)*segment, len(plaintext))]
			for name, into := range map[string][]byte{"enough": dirty, "empty, with room": dirty[:0], "too small": make([]byte, 10), "none": nil} {
				got, err := d.DecodeSegmentInto(into, seg, blocks)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("shares %v, segment %d, memory %s: got %d bytes, %v, want the %d of the file", have, seg, name, len(got), err, len(want))
				}
				if used := cap(into) > 0 && &got[0] == &into[:1][0]; used != (cap(into) >= segment) {
					t.Errorf("segment %d, memory %s: used %v", seg, name, used)
				}
			}
		}
	}
}
