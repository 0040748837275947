package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lafs/shares/caps"
	"lafs/shares/immutable"
)

const (
	testDirCap  = "URI:DIR2:aaaaaaaaaaaaaaaaaaaaaaaaaa:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	testFileCap = "URI:LIT:krugkidfnzsc4"
)

func testFinder(t testing.TB) *finder {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "private"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := "tahoe: default\nwörk: cap-of-work\n"
	if err := os.WriteFile(filepath.Join(dir, "private", "aliases"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &finder{a: &app{input: strings.NewReader(testFileCap + "\n"), dir: dir}}
}

func TestPlaces(t *testing.T) {
	for _, tt := range []struct {
		spec, cap, names string // names with | between them
		slash, disk      bool
		fails            bool
	}{
		{spec: "", cap: "default", disk: true},
		{spec: "a/b", cap: "default", names: "a|b", disk: true},
		{spec: "a/b:c", cap: "default", names: "a|b:c", disk: true},
		{spec: "a/", cap: "default", names: "a", slash: true, disk: true},
		{spec: "tahoe:", cap: "default"},
		{spec: "tahoe:/", cap: "default", slash: true},
		{spec: "tahoe:a b/c:d", cap: "default", names: "a b|c:d"},
		{spec: "wörk:ä/", cap: "cap-of-work", names: "ä", slash: true},
		{spec: " wörk:x ", cap: "cap-of-work", names: "x"},
		{spec: testDirCap, cap: testDirCap},
		{spec: testDirCap + "/", cap: testDirCap},
		{spec: testDirCap + "/a/b", cap: testDirCap, names: "a|b"},
		{spec: testDirCap + ":./a/b", cap: testDirCap, names: "a|b"},
		{spec: "ro." + testDirCap + "/a", cap: "ro." + testDirCap, names: "a"},
		{spec: "-", cap: testFileCap},
		{spec: "nowhere:a", fails: true},
		{spec: "tahoe:a//b", fails: true},
		{spec: "tahoe:/a", fails: true},
		{spec: "tahoe:\xff", fails: true},
	} {
		f := testFinder(t)
		p, err := f.onGrid(tt.spec)
		if (err != nil) != tt.fails {
			t.Errorf("onGrid(%q): %v, want failure %v", tt.spec, err, tt.fails)
			continue
		}
		if p.cap != tt.cap || strings.Join(p.names, "|") != tt.names || p.slash != tt.slash {
			t.Errorf("onGrid(%q): got %q %q slash %v", tt.spec, p.cap, p.names, p.slash)
		}
		if strings.Contains(p.String(), "URI:") || err != nil && strings.Contains(err.Error(), "URI:") {
			t.Errorf("onGrid(%q) shows the cap", tt.spec)
		}
		if _, local, _ := testFinder(t).onGridOrDisk(tt.spec); local != tt.disk {
			t.Errorf("onGridOrDisk(%q): on the disk %v, want %v", tt.spec, local, tt.disk)
		}
	}
}

// A name can hold every character but a slash; in a URL it is one segment.
func TestPlaceURL(t *testing.T) {
	p := place{cap: testDirCap, names: []string{"a?b#c%d", ":", "ä b"}}
	if got, want := p.url(), "/uri/"+testDirCap+"/a%3Fb%23c%25d/:/%C3%A4%20b"; got != want {
		t.Errorf("url: got %s, want %s", got, want)
	}
	dir, name, ok := p.parent()
	if !ok || name != "ä b" || dir.child("x").names[2] != "x" || p.names[2] != "ä b" {
		t.Errorf("parent: got %v %q %v", dir, name, ok)
	}
}

func FuzzPlace(f *testing.F) {
	for _, s := range []string{"a/b", "tahoe:x", testDirCap + ":./a", "\x1b[2J", "//", "URI:"} {
		f.Add(s)
	}
	find := testFinder(f)
	f.Fuzz(func(t *testing.T, spec string) {
		if spec == "-" {
			return
		}
		p, err := find.onGrid(spec)
		if err != nil {
			return
		}
		for _, name := range p.names {
			if name == "" || strings.Contains(name, "/") {
				t.Errorf("a name is %q", name)
			}
		}
		if text := p.String(); text != printable(text) {
			t.Errorf("String: %q could steer a terminal", text)
		}
		again, err := find.below(p.cap, p.root, strings.Join(p.names, "/"))
		if err != nil || !slices.Equal(again.names, p.names) {
			t.Errorf("again: %q, %v", again.names, err)
		}
	})
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte(`["dirnode",{"children":{"a":["filenode",{"ro_uri":"x","size":3}],"b":["unknown",{}]},"rw_uri":"y","mutable":true}]`))
	f.Add([]byte(`["filenode",null]`))
	f.Add([]byte(`[null,{}]`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var e entry
		if json.Unmarshal(text, &e) != nil {
			return
		}
		readsAgain(t, e)
	})
}

// A file is unchanged when it gives its cap again, whatever the segments,
// and never otherwise.
func TestUnchanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	data := []byte(strings.Repeat("0123456789abcdef", 300<<10/16))
	for _, tt := range []struct {
		name    string
		size    int
		segment int64
	}{
		{"literal", 20, 0}, {"empty", 0, 0}, {"small", 100, 0}, {"our segments", 300 << 10, 0}, {"Tahoe's segments", 300 << 10, tahoeSegment},
		{"one of Tahoe's segments", 128 << 10, tahoeSegment},
	} {
		text := slices.Clone(data[:tt.size])
		var cap caps.Cap = caps.NewLIT(text)
		if tt.size > immutable.LITThreshold {
			cap = encodeFile(text, tt.segment)
		}
		is := func() bool {
			st, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			return unchanged(t.Context(), path, st.Size(), cap.Reveal())
		}
		write := func(b []byte) {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(text)
		if !is() {
			t.Errorf("%s: the same file counts as changed", tt.name)
		}
		write(append(slices.Clone(text), 'x'))
		if is() {
			t.Errorf("%s: a longer file counts as unchanged", tt.name)
		}
		if tt.size > 0 {
			text[tt.size/2] ^= 1
			write(text)
			if is() {
				t.Errorf("%s: a changed byte is not seen", tt.name)
			}
		}
	}
	for _, cap := range []string{"", "garbage", testDirCap} {
		if unchanged(t.Context(), path, 1, cap) {
			t.Errorf("unchanged with the cap %q", cap)
		}
	}
}

func TestShown(t *testing.T) {
	for name, want := range map[string]string{
		"plain ä 漢": "plain ä 漢", "a\x1b[2J": `a\u{1b}[2J`, "a\nb": `a\u{a}b`, `a\b`: `a\\b`, "\u202e": `\u{202e}`, "\xff": `\u{fffd}`,
	} {
		if got := shown(name); got != want {
			t.Errorf("shown(%q): got %q, want %q", name, got, want)
		}
	}
}

// readsAgain checks that an entry which was written reads as the same.
func readsAgain(t *testing.T, e any) {
	t.Helper()
	once, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var again entry
	if err := json.Unmarshal(once, &again); err != nil {
		t.Fatalf("%s: %v", once, err)
	}
	if twice, err := json.Marshal(again); err != nil || string(twice) != string(once) {
		t.Errorf("again: %s, %v, want %s", twice, err, once)
	}
}
