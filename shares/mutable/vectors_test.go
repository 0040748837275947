package mutable_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lafs/shares/caps"
	"lafs/shares/hashes"
	"lafs/shares/mutable"
)

// vectors finds the shared vectors, made by other implementations.
func vectors(t *testing.T, name string) []byte {
	t.Helper()
	place := os.Getenv("LAFS_VECTORS")
	if place == "" {
		place = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	b, err := os.ReadFile(filepath.Join(place, name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("no %s in the folder of shared vectors; set LAFS_VECTORS", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A private key in PEM gives the cap that Tahoe-LAFS gives it.
func TestCapsOfKeys(t *testing.T) {
	var file struct {
		Vector []struct {
			Expected string
			Format   struct {
				Kind   string
				Params *struct{ Format, Key string }
			}
		}
	}
	if err := json.Unmarshal(vectors(t, "capabilities.json"), &file); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, v := range file.Vector {
		if v.Format.Kind != "ssk" {
			continue
		}
		seen++
		key, err := mutable.ParsePEM([]byte(v.Format.Params.Key))
		if err != nil {
			t.Fatal(err)
		}
		format := mutable.SDMF
		if v.Format.Params.Format == "mdmf" {
			format = mutable.MDMF
		}
		if got := key.WriteCap(format).Reveal(); got != v.Expected {
			t.Errorf("WriteCap: got %s, want %s", got, v.Expected)
		}
	}
	if seen < 160 {
		t.Fatalf("capabilities.json holds %d ssk vectors, and should have 160", seen)
	}
}

// An object is one that a real Tahoe-LAFS stored.
type object struct {
	Name, Cap, SHA256 string
	Size              *int64
	Shares            []struct {
		Number int
		File   string
	}
}

func objects(t *testing.T) []object {
	var file struct{ Objects []object }
	if err := json.Unmarshal(vectors(t, "tahoe-shares/index.json"), &file); err != nil {
		t.Fatal(err)
	}
	var out []object
	for _, o := range file.Objects {
		if strings.Contains(o.Cap, "SSK") || strings.Contains(o.Cap, "MDMF") || strings.HasPrefix(o.Cap, "URI:DIR2:") {
			out = append(out, o)
		}
	}
	return out
}

// writer reads an object's cap; a directory's is its slot's.
func writer(t *testing.T, text string) *caps.MutableWriter {
	t.Helper()
	text = strings.Replace(text, "URI:DIR2-MDMF:", "URI:MDMF:", 1)
	text = strings.Replace(text, "URI:DIR2:", "URI:SSK:", 1)
	c, err := caps.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	w, ok := c.(*caps.MutableWriter)
	if !ok {
		t.Fatalf("%T is not a write cap", c)
	}
	return w
}

// contained takes a share out of Tahoe-LAFS's mutable container.
func contained(t *testing.T, container []byte) []byte {
	t.Helper()
	length := binary.BigEndian.Uint64(container[84:])
	return container[468 : 468+length]
}

func TestTahoesShares(t *testing.T) {
	for _, o := range objects(t) {
		t.Run(o.Name, func(t *testing.T) {
			w := writer(t, o.Cap)
			shares := make([]*mutable.Share, len(o.Shares))
			for _, ref := range o.Shares {
				raw := contained(t, vectors(t, filepath.Join("tahoe-shares", ref.File)))
				s, err := mutable.OpenShare(t.Context(), w.Fingerprint, ref.Number, mutable.Bytes(raw))
				if err != nil {
					t.Fatalf("share %d: %v", ref.Number, err)
				}
				shares[ref.Number] = s
				key, err := s.Key(w)
				if err != nil {
					t.Fatal(err)
				}
				if got := key.Fingerprint(); got != w.Fingerprint {
					t.Error("the share's private key is another one")
				}
			}
			readKey := w.ReadOnly().(*caps.MutableReader).Key
			for _, three := range subsets(shares, 3) {
				data, err := mutable.Decode(t.Context(), readKey, three, 0, shares[0].DataSize)
				if err != nil {
					t.Fatal(err)
				}
				if o.Size == nil {
					continue // A directory: its listing is checked elsewhere.
				}
				if sum := sha256.Sum256(data); int64(len(data)) != *o.Size || hex.EncodeToString(sum[:]) != o.SHA256 {
					t.Fatalf("%d bytes that are not the object's", len(data))
				}
			}
		})
	}
}

func subsets(shares []*mutable.Share, k int) [][]*mutable.Share {
	if k == 0 {
		return [][]*mutable.Share{nil}
	}
	var out [][]*mutable.Share
	for i := range shares {
		for _, rest := range subsets(shares[i+1:], k-1) {
			out = append(out, append([]*mutable.Share{shares[i]}, rest...))
		}
	}
	return out
}

// Every byte of a small share, flipped, and every cut: an error or the right
// contents, never others. What nobody signs and nobody needs may change.
func TestFlips(t *testing.T) {
	for _, o := range objects(t) {
		if o.Size == nil || *o.Size > 2000 {
			continue
		}
		t.Run(o.Name, func(t *testing.T) {
			w := writer(t, o.Cap)
			readKey := w.ReadOnly().(*caps.MutableReader).Key
			good := map[int][]byte{}
			for _, ref := range o.Shares {
				good[ref.Number] = contained(t, vectors(t, filepath.Join("tahoe-shares", ref.File)))
			}
			try := func(what string, changed []byte) {
				var shares []*mutable.Share
				for n := range 3 {
					raw := good[n]
					if n == 1 {
						raw = changed
					}
					s, err := mutable.OpenShare(t.Context(), w.Fingerprint, n, mutable.Bytes(raw))
					if err != nil {
						if !errors.Is(err, mutable.ErrCorrupt) {
							t.Fatalf("%s: %v", what, err)
						}
						return
					}
					shares = append(shares, s)
				}
				data, err := mutable.Decode(t.Context(), readKey, shares, 0, shares[0].DataSize)
				if err != nil {
					if !errors.Is(err, mutable.ErrCorrupt) {
						t.Fatalf("%s: %v", what, err)
					}
					return
				}
				if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != o.SHA256 {
					t.Fatalf("%s gives other contents", what)
				}
			}
			for i := range good[1] {
				flipped := append([]byte(nil), good[1]...)
				flipped[i] ^= 1 << (i % 8)
				try(fmt.Sprintf("a flip at byte %d", i), flipped)
			}
			for i := 0; i < len(good[1]); i += 7 {
				try(fmt.Sprintf("a cut at byte %d", i), good[1][:i])
			}
		})
	}
}

func TestWriteEnabler(t *testing.T) {
	got := hashes.WriteEnabler([]byte("wk"), [20]byte{})
	want := "fuu2dvx7g6gqu5x22vfhtyed7p4pd47y5hgxbqzgrlyvxoev62tq"
	if b32 := caps.Encoding.EncodeToString(got[:]); b32 != want {
		t.Errorf("WriteEnabler: got %s, want %s", b32, want)
	}
}
