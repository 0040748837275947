package mutable_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"lafs/shares/caps"
	"lafs/shares/mutable"
)

var writeGolden = flag.Bool("write-golden", false, "write testdata/golden.json anew")

// unsigned blanks the signature of a share, which has a random salt: 256
// bytes where the header says.
func unsigned(share []byte) []byte {
	out := bytes.Clone(share)
	at := int(binary.BigEndian.Uint32(out[75:]))
	if mutable.Format(out[0]) == mutable.MDMF {
		at = int(binary.BigEndian.Uint64(out[75:]))
	}
	clear(out[at:][:256])
	return out
}

// saltsOf are those of a version, in the order in which they are used.
func saltsOf(t *testing.T, s *mutable.Share) []byte {
	t.Helper()
	if s.Format == mutable.SDMF {
		return s.Salt[:]
	}
	if s.Segments() == 0 {
		return nil
	}
	blocks, err := s.Blocks(t.Context(), 0, s.Segments())
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for _, b := range blocks {
		out = append(out, b.Salt[:]...)
	}
	return out
}

// TestTahoesBytes makes the shares again that Tahoe-LAFS made, from what is
// in them: all bytes are the same but those of the signature, and ours holds.
func TestTahoesBytes(t *testing.T) {
	seen := map[mutable.Format]int{}
	for _, o := range objects(t) {
		t.Run(o.Name, func(t *testing.T) {
			w := writer(t, o.Cap)
			raw := make([][]byte, len(o.Shares))
			shares := make([]*mutable.Share, len(o.Shares))
			for _, ref := range o.Shares {
				raw[ref.Number] = contained(t, vectors(t, filepath.Join("tahoe-shares", ref.File)))
				s, err := mutable.OpenShare(t.Context(), w.Fingerprint, ref.Number, mutable.Bytes(raw[ref.Number]))
				if err != nil {
					t.Fatal(err)
				}
				shares[ref.Number] = s
			}
			first := shares[0]
			seen[first.Format]++
			key, err := first.Key(w)
			if err != nil {
				t.Fatal(err)
			}
			data, err := mutable.Decode(t.Context(), w.ReadOnly().(*caps.MutableReader).Key, shares, 0, first.DataSize)
			if err != nil {
				t.Fatal(err)
			}
			v, err := mutable.Encode(key, mutable.Params{Format: first.Format, Needed: first.Needed, Total: first.Total,
				Salts: bytes.NewReader(saltsOf(t, first))}, first.Seq, data)
			if err != nil {
				t.Fatal(err)
			}
			if len(v.Shares) != len(raw) {
				t.Fatalf("%d shares, Tahoe-LAFS made %d", len(v.Shares), len(raw))
			}
			for n := range raw {
				if got, want := unsigned(v.Shares[n]), unsigned(raw[n]); !bytes.Equal(got, want) {
					t.Errorf("share %d: %d bytes, want %d; the first that differs is %d", n, len(got), len(want), differs(got, want))
				}
				if _, err := mutable.OpenShare(t.Context(), w.Fingerprint, n, mutable.Bytes(v.Shares[n])); err != nil {
					t.Errorf("share %d: %v", n, err)
				}
			}
		})
	}
	if seen[mutable.SDMF] < 5 || seen[mutable.MDMF] < 3 {
		t.Errorf("only %d SDMF and %d MDMF objects among the vectors", seen[mutable.SDMF], seen[mutable.MDMF])
	}
}

func differs(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// A golden is a version with a fixed key and fixed salts.
type golden struct {
	Format              mutable.Format
	Needed, Total, Size int
	Seq                 uint64
	Cap                 string
	// Shares are the SHA-256 of each share, its signature blanked.
	Shares []string
}

// TestGolden: what is written stays what it was, byte for byte.
func TestGolden(t *testing.T) {
	pem, err := os.ReadFile(filepath.Join("testdata", "golden.pem"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := mutable.ParsePEM(pem)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "golden.json")
	var want []golden
	if raw, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
	}
	var got []golden
	for _, f := range []mutable.Format{mutable.SDMF, mutable.MDMF} {
		for _, c := range []struct{ k, n, size int }{{1, 1, 1}, {3, 5, 0}, {3, 5, 1000}, {3, 10, 131_073}, {2, 3, 300_001}} {
			g := golden{Format: f, Needed: c.k, Total: c.n, Size: c.size, Seq: uint64(c.size) + 7, Cap: key.WriteCap(f).Reveal()}
			v, err := mutable.Encode(key, mutable.Params{Format: f, Needed: c.k, Total: c.n, Salts: bytes.NewReader(content(64))}, g.Seq, content(c.size))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range v.Shares {
				sum := sha256.Sum256(unsigned(s))
				g.Shares = append(g.Shares, hex.EncodeToString(sum[:]))
			}
			got = append(got, g)
		}
	}
	if *writeGolden {
		text, err := json.MarshalIndent(got, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for i, g := range got {
		if i >= len(want) || fmt.Sprint(g) != fmt.Sprint(want[i]) {
			t.Errorf("%v, %d of %d, %d bytes: other shares than before", g.Format, g.Needed, g.Total, g.Size)
		}
	}
	if len(want) != len(got) {
		t.Errorf("%s has %d versions, want %d", path, len(want), len(got))
	}
}
