package dirnode_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"lafs/node/dirnode"
	"lafs/shares/caps"
	"lafs/shares/immutable"
	"lafs/shares/mutable"
)

// vectors reads a file of the shared vectors, made by other implementations.
func vectors(t testing.TB, name string) []byte {
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

// A stored is a directory that a real Tahoe-LAFS made.
type stored struct {
	Name, Cap string
	Shares    []struct {
		Number int
		File   string
	}
	Listing json.RawMessage
}

// A told is one child in Tahoe-LAFS's own listing.
type told struct {
	RWURI    string          `json:"rw_uri"`
	ROURI    string          `json:"ro_uri"`
	Metadata json.RawMessage `json:"metadata"`
}

func (s stored) children(t *testing.T) map[string]told {
	t.Helper()
	var pair []json.RawMessage
	if len(s.Listing) == 0 {
		return nil
	}
	var node struct{ Children map[string][]json.RawMessage }
	if err := json.Unmarshal(s.Listing, &pair); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(pair[1], &node); err != nil {
		t.Fatal(err)
	}
	out := map[string]told{}
	for name, child := range node.Children {
		var c told
		if err := json.Unmarshal(child[1], &c); err != nil {
			t.Fatal(err)
		}
		out[name] = c
	}
	return out
}

// content decodes the directory's shares.
func (s stored) content(t *testing.T, file caps.Cap) []byte {
	t.Helper()
	if lit, ok := file.(*caps.LIT); ok {
		return lit.Data()
	}
	raw := map[int][]byte{}
	for _, ref := range s.Shares {
		raw[ref.Number] = vectors(t, filepath.Join("tahoe-shares", ref.File))
	}
	if chk, ok := file.(*caps.CHK); ok {
		return decodeCHK(t, chk, raw)
	}
	w := file.(*caps.MutableWriter)
	var shares []*mutable.Share
	for n := range 3 {
		length := binary.BigEndian.Uint64(raw[n][84:])
		share, err := mutable.OpenShare(t.Context(), w.Fingerprint, n, mutable.Bytes(raw[n][468:468+length]))
		if err != nil {
			t.Fatal(err)
		}
		shares = append(shares, share)
	}
	data, err := mutable.Decode(t.Context(), w.ReadOnly().(*caps.MutableReader).Key, shares, 0, shares[0].DataSize)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decodeCHK(t *testing.T, c *caps.CHK, raw map[int][]byte) []byte {
	t.Helper()
	d, err := immutable.NewDecoder(c)
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[int][]byte{}
	for n := range c.Needed {
		leases := int(binary.BigEndian.Uint32(raw[n][8:]))
		share, err := d.OpenShare(t.Context(), n, mutable.Bytes(raw[n][12:len(raw[n])-72*leases]))
		if err != nil {
			t.Fatal(err)
		}
		b, err := share.Blocks(t.Context(), 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		blocks[n] = b[0]
	}
	data, err := d.DecodeSegment(0, blocks)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Every directory that Tahoe-LAFS made lists what Tahoe-LAFS lists, and is
// written again byte for byte.
func TestTahoesDirectories(t *testing.T) {
	var index struct{ Objects []stored }
	if err := json.Unmarshal(vectors(t, filepath.Join("tahoe-shares", "index.json")), &index); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, s := range index.Objects {
		c, err := caps.Parse(s.Cap)
		if err != nil {
			t.Fatal(err)
		}
		dir, ok := c.(*caps.Directory)
		if !ok {
			continue
		}
		seen++
		t.Run(s.Name, func(t *testing.T) {
			rewrite(t, dir, s.content(t, dir.File()), s.children(t))
		})
	}
	if seen < 6 {
		t.Errorf("only %d directories among the vectors", seen)
	}
}

// compare holds a listing against Tahoe-LAFS's own.
func compare(t *testing.T, dir caps.Cap, data []byte, want map[string]told, readOnly bool) {
	t.Helper()
	l, err := dirnode.Decode(dir, data)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Entries) != len(want) || len(l.Damaged) != 0 {
		t.Fatalf("%d entries and %d damaged ones, want %d", len(l.Entries), len(l.Damaged), len(want))
	}
	for _, e := range l.Entries {
		w := want[e.Name]
		if readOnly {
			w.RWURI = ""
		}
		if got := reveal(e.Child.Write); got != w.RWURI {
			t.Errorf("%s: write cap %q, want %q", e.Name, got, w.RWURI)
		}
		if got := reveal(e.Child.Read); got != w.ROURI {
			t.Errorf("%s: read cap %q, want %q", e.Name, got, w.ROURI)
		}
		var got, meant any
		if json.Unmarshal(e.Metadata, &got) != nil || json.Unmarshal(w.Metadata, &meant) != nil {
			t.Fatal("metadata are no JSON")
		}
		if g, m := mustJSON(got), mustJSON(meant); g != m {
			t.Errorf("%s: metadata %s, want %s", e.Name, g, m)
		}
	}
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func reveal(c caps.Cap) string {
	if c == nil {
		return ""
	}
	return c.Reveal()
}
