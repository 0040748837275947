package immutable_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"lafs/shares/immutable"
)

// TestHeaders compares with headers written down by hand from FORMATS.md
// section 3.5: the last file with 32-bit numbers, the first without, and a
// large one.
func TestHeaders(t *testing.T) {
	const last = 1<<32 - 1 - 0x24 - 3*8191*32 - 34
	for _, tc := range []struct {
		name string
		k, n int
		size int64
		want string
	}{
		{"last with 32 bits", 1, 1, last, "0000000100100000fff4001900000024fff4003dfff8001dfffbfffdffffffddffffffff"},
		{"first with 64 bits", 1, 1, last + 1, "00000002000000000010000000000000fff4001a000000000000004400000000fff4005e00000000fff8003e00000000fffc001e00000000fffffffe0000000100000020"},
		{"20 GiB, 3 of 10", 3, 10, 20 << 30, "00000002000000000005555600000001aaaaaaab000000000000004400000001aaaaaaef00000001aacaaacf00000001aaeaaaaf00000001ab0aaa8f00000001ab0aab39"},
		{"small, 3 of 5", 3, 5, 1000, "000000010000014e0000014e000000240000017200000192000001b2000001d20000025a"},
		{"1 TiB, 3 of 10", 3, 10, 1 << 40, "00000002000000000005555600000055555555560000000000000044000000555555559a000000555955557a000000555d55555a000000556155553a00000055615555e4"},
	} {
		e, err := immutable.NewEncoder(immutable.Params{Needed: tc.k, Total: tc.n}, tc.size, immutable.RandomKey())
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(e.Header()); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
}

// relaid lays a version 1 share out anew: in any version, with gaps before
// all sections but the UEB.
func relaid(share []byte, version int, gap int) []byte {
	var at [6]int
	for i := range at {
		at[i] = be32(share[0x0c+4*i:])
	}
	ueb := share[at[5]+4:]
	body := make([]byte, 0, len(share))
	size := 0x24
	if version == 2 {
		size = 0x44
	}
	var moved []int
	for i := range 5 {
		if i < 4 {
			body = append(body, bytes.Repeat([]byte{0xee}, gap)...)
		}
		moved = append(moved, size+len(body))
		body = append(body, share[at[i]:at[i+1]]...)
	}
	moved = append(moved, size+len(body))
	head := binary.BigEndian.AppendUint32(nil, uint32(version))
	number := func(b []byte, n int) []byte {
		if version == 2 {
			return binary.BigEndian.AppendUint64(b, uint64(n))
		}
		return binary.BigEndian.AppendUint32(b, uint32(n))
	}
	head = number(number(head, 7), 7)
	for _, offset := range moved {
		head = number(head, offset)
	}
	out := append(head, body...)
	return append(number(out, len(ueb)), ueb...)
}

// TestOtherLayouts reads shares that are laid out in ways nobody guesses.
func TestOtherLayouts(t *testing.T) {
	for _, size := range []int{100, 70000, 300000} {
		for _, segSize := range []int64{0, immutable.OldSegmentSize, 5000, 777} {
			p := immutable.Params{Needed: 2, Total: 3, MaxSegmentSize: segSize}
			plaintext := content("layout", size)
			shares, c := encodeWith(t, p, plaintext, immutable.RandomKey())
			for version := 1; version <= 2; version++ {
				for _, gap := range []int{0, 1, 3000} {
					other := [][]byte{relaid(shares[0], version, gap), nil, relaid(shares[2], version, gap)}
					got, err := readBack(c, some(other, []int{0, 2}))
					if err != nil || !bytes.Equal(got, plaintext) {
						t.Errorf("%d bytes, segments of %d, version %d, gap %d: %d bytes, %v", size, segSize, version, gap, len(got), err)
					}
				}
			}
		}
	}
}
