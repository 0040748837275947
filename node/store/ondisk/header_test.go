package ondisk_test

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

func FuzzHeader(f *testing.F) {
	good := &ondisk.Header{Kind: storage.Immutable, Number: 255, Index: caps.StorageIndex{1, 2}, Length: 1 << 40, TubID: [20]byte{3}}
	f.Add(good.Marshal())
	f.Add(append(good.Marshal(), "data"...))
	newer := good.Marshal()
	newer[11]++
	f.Add(newer)
	f.Add(formatOne(good.Marshal()))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ondisk.ParseHeader(b)
		if err != nil {
			return
		}
		if b[11] == 1 {
			b = formatTwo(b)
		}
		if got := h.Marshal(); string(got) != string(b[:ondisk.HeaderSize]) {
			t.Fatalf("got %x, want %x", got, b[:ondisk.HeaderSize])
		}
	})
}

// formatOne is a share file's header as format 1 has it, formatTwo the same
// with the authority that a header of format 1 stands for.
func formatOne(b []byte) []byte { return withFormat(b, 1, 0) }
func formatTwo(b []byte) []byte { return withFormat(b, 2, ondisk.Default) }

func withFormat(b []byte, format byte, who ondisk.Authority) []byte {
	b = append([]byte(nil), b...)
	b[11] = format
	binary.BigEndian.PutUint32(b[92:], uint32(who))
	sum := sha256.Sum256(b[:96])
	copy(b[96:], sum[:])
	return b
}

// TestHeader flips every bit, and cuts at every byte.
func TestHeader(t *testing.T) {
	good := (&ondisk.Header{Kind: storage.Immutable, Number: 7, Index: caps.StorageIndex{1}, Length: 5, TubID: [20]byte{2}, Who: 77}).Marshal()
	if _, err := ondisk.ParseHeader(good); err != nil {
		t.Fatal(err)
	}
	if h, err := ondisk.ParseHeader(formatOne(good)); err != nil || h.Who != ondisk.Default || h.Number != 7 {
		t.Errorf("a header of format 1: got %+v, %v", h, err)
	}
	for i := range good {
		if _, err := ondisk.ParseHeader(good[:i]); err == nil {
			t.Errorf("cut at %d: no error", i)
		}
		for bit := range 8 {
			b := append([]byte(nil), good...)
			b[i] ^= 1 << bit
			if _, err := ondisk.ParseHeader(b); err == nil {
				t.Errorf("flip of bit %d in byte %d: no error", bit, i)
			}
		}
	}
}
