package dirnode_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lafs/node/dirnode"
)

// Metadata after a link is set over old ones at time 1700000000.5.
func TestUpdate(t *testing.T) {
	const now = `"linkmotime": 1700000000.5`
	tests := []struct {
		name, old, fresh, want string
	}{
		{"new", "", "", startTimes},
		{"of the user", "", `{"a": [1,  2], "\u00e9": 1e400}`, `{"a": [1,  2], "\u00e9": 1e400, ` + startTimes[1:]},
		{"the system's are not the user's", "", `{"tahoe": {"linkcrtime": 5}, "b": 1}`, `{"b": 1, ` + startTimes[1:]},
		{"kept", `{"a":1,"tahoe":{"linkcrtime":7,"x":true,"linkmotime":8}}`, "",
			`{"a": 1, "tahoe": {"linkcrtime": 7, "x": true, ` + now + `}}`},
		{"replaced, the system's kept", `{"a":1,"tahoe":{"linkcrtime":7.25}}`, `{"c": 2}`,
			`{"c": 2, "tahoe": {"linkcrtime": 7.25, ` + now + `}}`},
		{"ctime of old versions", `{"ctime": 12.5, "mtime": 13}`, "", `{"ctime": 12.5, "mtime": 13, "tahoe": {"linkcrtime": 12.5, ` + now + `}}`},
		{"ctime of the user", "", `{"ctime": 1}`, `{"ctime": 1, ` + startTimes[1:]},
		{"a tahoe key that is none", `{"tahoe": 3}`, "", startTimes},
		{"twice", `{"a": 1, "b": 2, "a": 3}`, "", `{"a": 3, "b": 2, ` + startTimes[1:]},
		{"damaged", `{`, `{"a": 1}`, `{"a": 1, ` + startTimes[1:]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, tree := newTree(t)
			root := mkdir(t, tree)
			if tt.old != "" {
				m.set(root, []byte(written("n", fixedCap, "", tt.old)))
			}
			var fresh dirnode.Metadata
			if tt.fresh != "" {
				fresh = dirnode.Metadata(tt.fresh)
			}
			if _, err := tree.Link(t.Context(), root, "n", lit(""), dirnode.Always, fresh); err != nil {
				t.Fatal(err)
			}
			e, err := tree.Get(t.Context(), root, "n")
			if err != nil {
				t.Fatal(err)
			}
			if string(e.Metadata) != tt.want {
				t.Errorf("got  %s\nwant %s", e.Metadata, tt.want)
			}
			if tt.fresh == "" || tt.old == "" {
				return
			}
			m.set(root, []byte(written("n", fixedCap, "", tt.old)))
			if err := tree.SetMetadata(t.Context(), root, "n", fresh); err != nil {
				t.Fatal(err)
			}
			if e, err := tree.Get(t.Context(), root, "n"); err != nil || string(e.Metadata) != tt.want {
				t.Errorf("SetMetadata: got %s, want %s", e.Metadata, tt.want)
			}
		})
	}
}

func TestBadMetadata(t *testing.T) {
	_, tree := newTree(t)
	root := mkdir(t, tree)
	link(t, tree, root, "n", lit(""))
	for _, bad := range []string{"", "[]", "1", "null", `{"a"}`, "{} {}", "{" + strings.Repeat(`"a":{`, 20000), `{"a": NaN}`} {
		m := dirnode.Metadata(bad)
		if _, err := tree.Link(t.Context(), root, "n", lit(""), dirnode.Always, m); !errors.Is(err, dirnode.ErrMetadata) {
			t.Errorf("Link with %.20q: got %v, want ErrMetadata", bad, err)
		}
		if err := tree.SetMetadata(t.Context(), root, "n", m); !errors.Is(err, dirnode.ErrMetadata) {
			t.Errorf("SetMetadata with %.20q: got %v, want ErrMetadata", bad, err)
		}
	}
	if err := tree.SetMetadata(t.Context(), root, "x", dirnode.Metadata(`{}`)); !errors.Is(err, dirnode.ErrNoChild) {
		t.Errorf("SetMetadata: got %v, want ErrNoChild", err)
	}
}

func TestNoWriteValues(t *testing.T) {
	for text, want := range map[string]bool{
		`{"no-write": true}`: true, `{"no-write": 1}`: true, `{"no-write": "x"}`: true, `{"no\u002dwrite": true}`: true,
		`{"no-write": 1e400}`: true, `{"no-write": [0]}`: true,
		`{"no-write": false}`: false, `{"no-write": null}`: false, `{"no-write": 0.0}`: false, `{"no-write": ""}`: false,
		`{"no-write": []}`: false, `{"no-write": {}}`: false, `{"x": "no-write"}`: false, `{}`: false,
	} {
		if got := dirnode.Metadata(text).NoWrite(); got != want {
			t.Errorf("NoWrite of %s: got %v", text, got)
		}
	}
}

func TestLinkTimes(t *testing.T) {
	made, changed := dirnode.Metadata(startTimes).LinkTimes()
	if want := float64(start.UnixMicro()) / 1e6; made != want || changed != want {
		t.Errorf("LinkTimes: got %v, %v", made, changed)
	}
	if made, changed := dirnode.Metadata(nil).LinkTimes(); made != 0 || changed != 0 {
		t.Error("LinkTimes of nothing")
	}
	// A whole second is a float as well.
	m := newMemory()
	tree := dirnode.New(m, func() time.Time { return time.Unix(1700000000, 0) })
	root := mkdir(t, tree)
	link(t, tree, root, "n", lit(""))
	if got, _ := m.get(root); !strings.Contains(string(got), `"linkcrtime": 1700000000.0,`) {
		t.Errorf("got %s", got)
	}
}
