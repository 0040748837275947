package dirnode_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"lafs/node/dirnode"
	"lafs/shares/caps"
)

// Content of any bytes: an error or a listing that, written, reads the same;
// and an edit that is undone leaves what was there.
func FuzzDecode(f *testing.F) {
	m, tree := newTree(f)
	root := mkdir(f, tree)
	for _, s := range []string{
		"", "0:,", "x", "4294967296:", "999999999999:a,", "01:a,", "1:a", "15:0:,0:,0:,0:,,", "16:0:,0:,0:,2:{},,",
		written("n", fixedCap, "", `{"a": 1}`), written("n", readCap, "short", `{"no-write": 1}`),
		written("e\u0301", "imm.x", "", "{}") + written("a", writeCap, "", "{"),
	} {
		f.Add([]byte(s))
	}
	link(f, tree, root, "slot", child(f, parse(f, writeCap)))
	link(f, tree, root, "sub", child(f, root))
	seed, err := m.get(root)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	key := root.File().(*caps.MutableWriter).Key
	fixed := parse(f, "URI:DIR2-CHK:"+key16+":"+hash32+":3:5:56")
	f.Fuzz(func(t *testing.T, data []byte) {
		again(t, root, data, func(e []dirnode.Entry) ([]byte, error) { return dirnode.EncodeMutable(key, e) })
		again(t, fixed, data, dirnode.EncodeImmutable)
		m, tree := newTree(t)
		root := mkdir(t, tree)
		m.set(root, data)
		if _, err := tree.Get(t.Context(), root, "fuzz"); !errors.Is(err, dirnode.ErrNoChild) {
			return
		}
		// The first edit sorts.
		link(t, tree, root, "fuzz", lit(""))
		if _, err := tree.Unlink(t.Context(), root, "fuzz"); err != nil {
			t.Fatal(err)
		}
		before, _ := m.get(root)
		link(t, tree, root, "fuzz", lit(""))
		if _, err := tree.Unlink(t.Context(), root, "fuzz"); err != nil {
			t.Fatal(err)
		}
		if after, _ := m.get(root); !bytes.Equal(after, before) || len(after) != len(data) {
			t.Errorf("an undone edit leaves %q of %q", after, data)
		}
	})
}

func again(t *testing.T, dir caps.Cap, data []byte, encode func([]dirnode.Entry) ([]byte, error)) {
	t.Helper()
	l, err := dirnode.Decode(dir, data)
	if err != nil {
		if !errors.Is(err, dirnode.ErrCorrupt) {
			t.Fatalf("Decode: %v", err)
		}
		return
	}
	var entries []dirnode.Entry
	for _, e := range l.Entries {
		if _, err := dirnode.Normalize(e.Name); err == nil && e.Child.Read != nil {
			entries = append(entries, e)
		}
	}
	written, err := encode(entries)
	if err != nil {
		t.Fatalf("Encode: %v", err)
	}
	l, err = dirnode.Decode(dir, written)
	if err != nil || len(l.Entries) != len(entries) || len(l.Damaged) != 0 {
		t.Fatalf("Decode of what was written: %v", err)
	}
	for i, e := range l.Entries {
		if e.Name != entries[i].Name || !e.Child.Equal(entries[i].Child) || !bytes.Equal(e.Metadata, entries[i].Metadata) {
			t.Fatalf("entry %d is another one", i)
		}
	}
}

// Metadata of any bytes, updated twice at one time, are an object and the
// same.
func FuzzMetadata(f *testing.F) {
	for _, s := range []string{`{}`, startTimes, `{"a":1,"a":2}`, `{"\ud800": {}}`, `{"tahoe": []}`, ` {"no-write" : true } `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, tree := newTree(t)
		root := mkdir(t, tree)
		set := func() []byte {
			if _, err := tree.Link(t.Context(), root, "n", lit(""), dirnode.Always, text); err != nil {
				if !errors.Is(err, dirnode.ErrMetadata) {
					t.Fatal(err)
				}
				return nil
			}
			e, err := tree.Get(t.Context(), root, "n")
			if err != nil || !json.Valid(e.Metadata) {
				t.Fatalf("Get: %v, %s", err, e.Metadata)
			}
			b, _ := m.get(root)
			return b
		}
		if first := set(); first != nil && !bytes.Equal(set(), first) {
			t.Errorf("not the same a second time: %s", first)
		}
	})
}

// A directory's content cut at any byte, or with any byte changed, is an
// error or a directory.
func TestCutsAndFlips(t *testing.T) {
	m, tree := newTree(t)
	root := mkdir(t, tree)
	link(t, tree, root, "slot", child(t, parse(t, writeCap)))
	link(t, tree, root, "z", lit("z"))
	data, err := m.get(root)
	if err != nil {
		t.Fatal(err)
	}
	whole := 0
	for i := range data {
		if _, err := dirnode.Decode(root, data[:i]); err == nil {
			whole++
		}
		for _, flip := range []byte{1, 0x80, 0xff} {
			changed := bytes.Clone(data)
			changed[i] ^= flip
			if _, err := dirnode.Decode(root, changed); err != nil && !errors.Is(err, dirnode.ErrCorrupt) {
				t.Fatal(err)
			}
		}
	}
	if whole != 2 { // Nothing, and the first entry.
		t.Errorf("%d cuts are directories", whole)
	}
}
