package dirnode_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"lafs/node/dirnode"
	"lafs/shares/caps"
	"lafs/shares/hashes"
)

// rewrite holds content against what Tahoe-LAFS lists, and writes it again.
func rewrite(t *testing.T, dir *caps.Directory, data []byte, children map[string]told) {
	t.Helper()
	compare(t, dir, data, children, false)
	if dir.Kind().Writable() {
		compare(t, dir.ReadOnly(), data, children, true)
	}
	l, err := dirnode.Decode(dir, data)
	if err != nil {
		t.Fatal(err)
	}
	again, err := dirnode.EncodeImmutable(l.Entries)
	if w, ok := dir.File().(*caps.MutableWriter); ok {
		again, err = dirnode.EncodeMutable(w.Key, l.Entries)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, data) {
		t.Errorf("Encode: got %q, want %q", again, data)
	}
}

// Contents that Tahoe-LAFS wrote, taken out of their shares.
func TestGolden(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "tahoe.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Name, Cap string
		Content   []byte
		Children  map[string]told
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		t.Run(g.Name, func(t *testing.T) {
			rewrite(t, parse(t, g.Cap).(*caps.Directory), g.Content, g.Children)
		})
	}
}

// The formats' own hmac, with the answer published with Tahoe-LAFS.
func TestMAC(t *testing.T) {
	got := hashes.DirnodeMAC([]byte("tag"), nil)
	if text := caps.Encoding.EncodeToString(got[:]); text != "c54ypfi6pevb3nvo6ba42jtglpkry2kbdopqsi7dgrm4r7tw5sra" {
		t.Errorf("DirnodeMAC: got %s", text)
	}
}
