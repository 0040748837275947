package dirnode_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"lafs/node/dirnode"
	"lafs/shares/caps"
)

// What each operation asks of the grid.
func TestTrips(t *testing.T) {
	m, tree := newTree(t)
	ctx := t.Context()
	root := mkdir(t, tree)
	deep, err := tree.MkdirPath(ctx, root, []string{"d", "a", "b", "c"}, dirnode.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	link(t, tree, deep, "file", lit("x"))
	tests := []struct {
		name                           string
		do                             func() error
		reads, modifies, creates, puts int
	}{
		{"list", func() error { _, err := tree.List(ctx, root); return err }, 1, 0, 0, 0},
		{"path of 5", func() error {
			n, err := tree.Resolve(ctx, root, []string{"d", "a", "b", "c", "file"})
			if err == nil && n.Parent.Reveal() != deep.Reveal() {
				t.Error("the parent is another directory")
			}
			return err
		}, 5, 0, 0, 0},
		{"link", func() error {
			_, err := tree.Link(ctx, root, "n", lit("n"), dirnode.Never, nil)
			return err
		}, 0, 1, 0, 0},
		{"1000 links", func() error {
			links := make([]dirnode.Link, 1000)
			for i := range links {
				links[i] = dirnode.Link{Name: fmt.Sprint(i), Child: lit("m")}
			}
			_, err := tree.LinkMany(ctx, deep, links, dirnode.Always)
			return err
		}, 0, 1, 0, 0},
		{"no links", func() error { _, err := tree.LinkMany(ctx, deep, nil, dirnode.Always); return err }, 0, 0, 0, 0},
		{"rename", func() error { return tree.Move(ctx, root, "n", root, "o", dirnode.Always) }, 0, 1, 0, 0},
		{"rename to itself", func() error { return tree.Move(ctx, root, "o", root, "o", dirnode.Never) }, 0, 0, 0, 0},
		{"move", func() error { return tree.Move(ctx, root, "o", deep, "o", dirnode.Always) }, 1, 2, 0, 0},
		{"metadata", func() error { return tree.SetMetadata(ctx, deep, "o", dirnode.Metadata(`{}`)) }, 0, 1, 0, 0},
		{"unlink", func() error { _, err := tree.Unlink(ctx, deep, "o"); return err }, 0, 1, 0, 0},
		{"mkdir", func() error { _, err := tree.Mkdir(ctx, dirnode.CreateOptions{}, nil); return err }, 0, 0, 1, 0},
		{"immutable", func() error { _, err := tree.MkdirImmutable(ctx, nil); return err }, 0, 0, 0, 1},
		{"path that is there", func() error {
			_, err := tree.MkdirPath(ctx, root, []string{"d", "a"}, dirnode.CreateOptions{})
			return err
		}, 2, 0, 0, 0},
		{"path of 3 new ones", func() error {
			_, err := tree.MkdirPath(ctx, root, []string{"x", "y", "z"}, dirnode.CreateOptions{})
			return err
		}, 1, 1, 3, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m.reads, m.modifies, m.creates, m.puts = 0, 0, 0, 0
			if err := tt.do(); err != nil {
				t.Fatal(err)
			}
			if m.reads != tt.reads || m.modifies != tt.modifies || m.creates != tt.creates || m.puts != tt.puts {
				t.Errorf("%d reads, %d modifies, %d creates, %d puts; want %d, %d, %d, %d",
					m.reads, m.modifies, m.creates, m.puts, tt.reads, tt.modifies, tt.creates, tt.puts)
			}
		})
	}
}

func TestReplace(t *testing.T) {
	tests := []struct {
		name     string
		old, new string // LIT's content; dir for a directory
		replace  dirnode.Replace
		want     error
		keep     bool
	}{
		{"always a file", "a", "b", dirnode.Always, nil, false},
		{"always a directory", "dir", "b", dirnode.Always, nil, false},
		{"never", "a", "b", dirnode.Never, dirnode.ErrChildExists, true},
		{"never, but the same", "a", "a", dirnode.Never, nil, true},
		{"never, but nothing there", "", "a", dirnode.Never, nil, false},
		{"only files", "a", "b", dirnode.OnlyFiles, nil, false},
		{"only files, but a directory", "dir", "b", dirnode.OnlyFiles, dirnode.ErrChildExists, true},
		{"only files, but the same directory", "dir", "dir", dirnode.OnlyFiles, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, tree := newTree(t)
			root, sub := mkdir(t, tree), mkdir(t, tree)
			make := func(what string) dirnode.Child {
				if what == "dir" {
					return child(t, sub)
				}
				return lit(what)
			}
			if tt.old != "" {
				link(t, tree, root, "name", make(tt.old))
			}
			before := names(t, tree, root)
			old, err := tree.Link(t.Context(), root, "name", make(tt.new), tt.replace, nil)
			if !errors.Is(err, tt.want) {
				t.Fatalf("Link: got %v, want %v", err, tt.want)
			}
			if err == nil && (old != nil) != (tt.old != "") {
				t.Errorf("Link: replaced %v", old)
			}
			if tt.old != "" && err == nil && !old.Child.Equal(make(tt.old)) {
				t.Error("Link: the replaced child is another one")
			}
			if after := names(t, tree, root); tt.keep && after != before {
				t.Errorf("got %s, want %s", after, before)
			}
			if !tt.keep {
				if e, err := tree.Get(t.Context(), root, "name"); err != nil || !e.Child.Equal(make(tt.new)) {
					t.Errorf("Get: %v", err)
				}
			}
		})
	}
}

// All links of one call are set, or none.
func TestLinkManyIsOne(t *testing.T) {
	_, tree := newTree(t)
	root := mkdir(t, tree)
	link(t, tree, root, "b", lit("old"))
	links := []dirnode.Link{{Name: "a", Child: lit("1")}, {Name: "b", Child: lit("2")}}
	if _, err := tree.LinkMany(t.Context(), root, links, dirnode.Never); !errors.Is(err, dirnode.ErrChildExists) {
		t.Errorf("LinkMany: got %v, want ErrChildExists", err)
	}
	if got := names(t, tree, root); got != "b=old " {
		t.Errorf("got %s", got)
	}
	replaced, err := tree.LinkMany(t.Context(), root, links, dirnode.OnlyFiles)
	if err != nil || len(replaced) != 1 || replaced[0].Name != "b" {
		t.Errorf("LinkMany: replaced %d, %v", len(replaced), err)
	}
	double := []dirnode.Link{{Name: "\u00e9", Child: lit("1")}, {Name: "e\u0301", Child: lit("2")}}
	if _, err := tree.LinkMany(t.Context(), root, double, dirnode.Always); !errors.Is(err, dirnode.ErrName) {
		t.Errorf("LinkMany: got %v, want ErrName", err)
	}
}

// An edit decides about the base that it ends on, not the one it met first.
func TestNewerBase(t *testing.T) {
	ctx := func(t *testing.T) (m *memory, tree, other *dirnode.Tree, root *caps.Directory) {
		m, tree = newTree(t)
		other = dirnode.New(m, nil)
		root = mkdir(t, tree)
		link(t, tree, root, "there", lit("1"))
		return
	}
	t.Run("link lost to another", func(t *testing.T) {
		m, tree, other, root := ctx(t)
		m.stale = func() { link(t, other, root, "new", lit("theirs")) }
		if _, err := tree.Link(t.Context(), root, "new", lit("ours"), dirnode.Never, nil); !errors.Is(err, dirnode.ErrChildExists) {
			t.Errorf("Link: got %v, want ErrChildExists", err)
		}
		if got := names(t, tree, root); got != "new=theirs there=1 " {
			t.Errorf("got %s", got)
		}
	})
	t.Run("link in the way goes away", func(t *testing.T) {
		m, tree, other, root := ctx(t)
		m.stale = func() { link(t, other, root, "else", lit("2")) }
		if _, err := tree.Link(t.Context(), root, "new", lit("ours"), dirnode.Never, nil); err != nil {
			t.Error(err)
		}
		if got := names(t, tree, root); got != "else=2 new=ours there=1 " {
			t.Errorf("got %s", got)
		}
	})
	t.Run("link is done already", func(t *testing.T) {
		m, tree, _, root := ctx(t)
		// The step that stale throws away was done after all.
		m.stale = func() { link(t, tree, root, "new", lit("ours")) }
		if _, err := tree.Link(t.Context(), root, "new", lit("ours"), dirnode.Never, nil); err != nil {
			t.Error(err)
		}
		if got := names(t, tree, root); got != "new=ours there=1 " {
			t.Errorf("got %s", got)
		}
	})
	t.Run("what was replaced", func(t *testing.T) {
		m, tree, other, root := ctx(t)
		m.stale = func() { link(t, other, root, "there", lit("2")) }
		links := []dirnode.Link{{Name: "there", Child: lit("3")}}
		replaced, err := tree.LinkMany(t.Context(), root, links, dirnode.Always)
		if err != nil || len(replaced) != 1 || !replaced[0].Child.Equal(lit("2")) {
			t.Errorf("LinkMany: replaced %d, %v", len(replaced), err)
		}
	})
	t.Run("unlink is done already", func(t *testing.T) {
		m, tree, other, root := ctx(t)
		m.stale = func() {
			if _, err := other.Unlink(t.Context(), root, "there"); err != nil {
				t.Error(err)
			}
		}
		if e, err := tree.Unlink(t.Context(), root, "there"); err != nil || !e.Child.Equal(lit("1")) {
			t.Errorf("Unlink: %v", err)
		}
		if _, err := tree.Unlink(t.Context(), root, "there"); !errors.Is(err, dirnode.ErrNoChild) {
			t.Errorf("Unlink: got %v, want ErrNoChild", err)
		}
	})
	t.Run("rename is done already", func(t *testing.T) {
		m, tree, other, root := ctx(t)
		m.stale = func() {
			if err := other.Move(t.Context(), root, "there", root, "moved", dirnode.Never); err != nil {
				t.Error(err)
			}
		}
		if err := tree.Move(t.Context(), root, "there", root, "moved", dirnode.Never); err != nil {
			t.Errorf("Move: %v", err)
		}
		if got := names(t, tree, root); got != "moved=1 " {
			t.Errorf("got %s", got)
		}
	})
}

// A move that fails half-way leaves the child with a link, and can be made
// again.
func TestMoveNeverLoses(t *testing.T) {
	for _, replace := range []dirnode.Replace{dirnode.Always, dirnode.Never, dirnode.OnlyFiles} {
		for steps := range 3 {
			for _, lost := range []bool{false, true} {
				m, tree := newTree(t)
				a, b, moved := mkdir(t, tree), mkdir(t, tree), child(t, mkdir(t, tree))
				link(t, tree, a, "from", moved)
				if lost {
					m.lost = steps
				} else {
					m.dead = steps
				}
				err := tree.Move(t.Context(), a, "from", b, "to", replace)
				if (err == nil) != (steps == 2 && !lost || steps == 0 && lost) {
					t.Fatalf("Move: %v with %d steps", err, steps)
				}
				m.dead, m.lost = -1, 0
				if names(t, tree, a)+names(t, tree, b) == "" {
					t.Fatal("the child is lost")
				}
				if err != nil {
					if err := tree.Move(t.Context(), a, "from", b, "to", replace); err != nil {
						t.Errorf("Move again: %v", err)
					}
				}
				e, err := tree.Get(t.Context(), b, "to")
				if err != nil || !e.Child.Equal(moved) || names(t, tree, a) != "" {
					t.Errorf("after %d steps: %v", steps, err)
				}
			}
		}
	}
}

// A move does not remove what took the old name meanwhile.
func TestMoveLeavesOthers(t *testing.T) {
	m, tree := newTree(t)
	a, b := mkdir(t, tree), mkdir(t, tree)
	link(t, tree, a, "from", lit("1"))
	m.stale = func() { link(t, tree, a, "from", lit("2")) }
	if err := tree.Move(t.Context(), a, "from", b, "to", dirnode.Always); err != nil {
		t.Fatal(err)
	}
	if got := names(t, tree, a) + names(t, tree, b); got != "from=2 to=1 " {
		t.Errorf("got %s", got)
	}
}

// Moved into itself, a directory could not be found any more.
func TestMoveIntoItself(t *testing.T) {
	_, tree := newTree(t)
	a, b := mkdir(t, tree), mkdir(t, tree)
	link(t, tree, a, "b", child(t, b))
	c, d := mkdir(t, tree), mkdir(t, tree)
	link(t, tree, b, "c", child(t, c))
	link(t, tree, c, "d", child(t, d))
	link(t, tree, a, "again", child(t, b))
	for _, path := range [][]string{{"b"}, {"b", "c"}, {"b", "c", "d"}, {"again", "c"}} {
		to, err := tree.Resolve(t.Context(), a, path)
		if err != nil || len(to.Via) != len(path) {
			t.Fatalf("Resolve: %v", err)
		}
		if err := tree.Move(t.Context(), a, "b", to.Child.Cap(), "x", dirnode.Always, to.Via...); !errors.Is(err, dirnode.ErrIntoItself) {
			t.Errorf("by %q: got %v", path, err)
		}
	}
	if got := names(t, tree, a) + names(t, tree, b) + names(t, tree, c) + names(t, tree, d); got != "again=DIR2 b=DIR2 c=DIR2 d=DIR2 " {
		t.Errorf("left: %s", got)
	}
	// A cap without a path still leads to all that comes below it, and a way
	// that passes others is none into itself.
	if err := tree.Move(t.Context(), a, "b", d, "x", dirnode.Always); err != nil {
		t.Errorf("to a cap: %v", err)
	}
	if err := tree.Move(t.Context(), a, "again", d, "y", dirnode.Always, a, c); err != nil {
		t.Errorf("by another way: %v", err)
	}
}

// What others have named . and .. is read, and got rid of in each way; no
// edit makes it.
func TestDots(t *testing.T) {
	for _, name := range []string{".", ".."} {
		m, tree := newTree(t)
		root, far := mkdir(t, tree), mkdir(t, tree)
		m.set(root, []byte(written(name, fixedCap, "", "{}")))
		e, err := tree.Get(t.Context(), root, name)
		if err != nil || e.Name != name {
			t.Errorf("Get %s: %v", name, err)
		}
		link(t, tree, root, "other", lit("")) // which leaves it
		for what, err := range map[string]error{
			"Link":     errOf(tree.Link(t.Context(), root, name, lit(""), dirnode.Always, nil)),
			"rename":   tree.Move(t.Context(), root, "other", root, name, dirnode.Always),
			"move":     tree.Move(t.Context(), root, "other", far, name, dirnode.Always),
			"Mkdir":    errOf(tree.Mkdir(t.Context(), dirnode.CreateOptions{}, []dirnode.Entry{{Name: name, Child: lit("")}})),
			"path":     errOf(tree.MkdirPath(t.Context(), root, []string{"new", name, "x"}, dirnode.CreateOptions{})),
			"for good": errOf(tree.MkdirImmutable(t.Context(), []dirnode.Entry{{Name: name, Child: lit("")}})),
		} {
			if !errors.Is(err, dirnode.ErrName) {
				t.Errorf("%s %s: got %v", what, name, err)
			}
		}
		before, _ := m.get(root)
		if err := tree.Move(t.Context(), root, name, root, "found", dirnode.Never); err != nil {
			t.Errorf("rename of %s: %v", name, err)
		}
		m.set(root, before)
		if _, err := tree.Unlink(t.Context(), root, name); err != nil {
			t.Errorf("Unlink %s: %v", name, err)
		}
		if got := names(t, tree, root); got != "other= " {
			t.Errorf("left: %s", got)
		}
	}
}

func errOf[T any](_ T, err error) error { return err }

func TestMoveErrors(t *testing.T) {
	_, tree := newTree(t)
	ctx := t.Context()
	a, b := mkdir(t, tree), mkdir(t, tree)
	link(t, tree, a, "x", lit("1"))
	link(t, tree, a, "y", lit("2"))
	link(t, tree, b, "y", child(t, a))
	tests := []struct {
		name     string
		from     string
		fromDir  caps.Cap
		to       string
		toDir    caps.Cap
		replace  dirnode.Replace
		want     error
		contents string
	}{
		{"absent", "z", a, "q", a, dirnode.Always, dirnode.ErrNoChild, ""},
		{"absent, across", "z", a, "q", b, dirnode.Always, dirnode.ErrNoChild, ""},
		{"taken", "x", a, "y", a, dirnode.Never, dirnode.ErrChildExists, ""},
		{"taken, across", "x", a, "y", b, dirnode.OnlyFiles, dirnode.ErrChildExists, ""},
		{"read-only source", "x", a.ReadOnly(), "q", b, dirnode.Always, dirnode.ErrReadOnly, ""},
		{"read-only target", "x", a, "q", b.ReadOnly(), dirnode.Always, dirnode.ErrReadOnly, ""},
		{"bad name", "x", a, "q/r", b, dirnode.Always, dirnode.ErrName, ""},
		{"onto a file", "x", a, "y", a, dirnode.OnlyFiles, nil, "y=1 y=DIR2 "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tree.Move(ctx, tt.fromDir, tt.from, tt.toDir, tt.to, tt.replace); !errors.Is(err, tt.want) {
				t.Errorf("Move: got %v, want %v", err, tt.want)
			}
			if tt.contents == "" {
				tt.contents = "x=1 y=2 y=DIR2 "
			}
			if got := names(t, tree, a) + names(t, tree, b); got != tt.contents {
				t.Errorf("got %s, want %s", got, tt.contents)
			}
		})
	}
}

func TestResolveErrors(t *testing.T) {
	_, tree := newTree(t)
	root, sub := mkdir(t, tree), mkdir(t, tree)
	link(t, tree, root, "sub", child(t, sub))
	link(t, tree, sub, "file", lit("1"))
	tests := []struct {
		path  string
		want  error
		depth int
	}{
		{"none", dirnode.ErrNoChild, 0},
		{"sub/none", dirnode.ErrNoChild, 1},
		{"sub/none/deeper", dirnode.ErrNoChild, 1},
		{"sub/file/deeper", dirnode.ErrNotADirectory, 2},
		{"sub/file", nil, 0},
		{"sub", nil, 0},
	}
	for _, tt := range tests {
		_, err := tree.Resolve(t.Context(), root, strings.Split(tt.path, "/"))
		var at *dirnode.PathError
		if !errors.Is(err, tt.want) || err != nil && (!errors.As(err, &at) || at.Depth != tt.depth) {
			t.Errorf("Resolve %s: got %v, want %v at %d", tt.path, err, tt.want, tt.depth)
		}
	}
	if n, err := tree.Resolve(t.Context(), root, nil); err != nil || n.Parent != nil || n.Child.Write == nil {
		t.Errorf("Resolve nothing: %v, %v", n, err)
	}
	if _, err := tree.Resolve(t.Context(), caps.NewLIT(nil), []string{"x"}); !errors.Is(err, dirnode.ErrNotADirectory) {
		t.Errorf("Resolve below a file: %v", err)
	}
	if _, err := tree.List(t.Context(), root.Verifier()); !errors.Is(err, dirnode.ErrNotADirectory) {
		t.Errorf("List of a verify cap: %v", err)
	}
}

func TestMkdirPathRace(t *testing.T) {
	m, tree := newTree(t)
	root := mkdir(t, tree)
	other := dirnode.New(m, nil)
	m.stale = func() {
		if _, err := other.MkdirPath(t.Context(), root, []string{"a", "theirs"}, dirnode.CreateOptions{}); err != nil {
			t.Error(err)
		}
	}
	d, err := tree.MkdirPath(t.Context(), root, []string{"a", "b", "c"}, dirnode.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// The root, two of the others, three and then another b of ours.
	if m.creates != 1+2+3+1 {
		t.Errorf("%d creates", m.creates)
	}
	n, err := tree.Resolve(t.Context(), root, []string{"a", "b", "c"})
	if err != nil || n.Child.Write.Reveal() != d.Reveal() {
		t.Errorf("Resolve: %v", err)
	}
	if _, err := tree.Resolve(t.Context(), root, []string{"a", "theirs"}); err != nil {
		t.Errorf("the other's directory: %v", err)
	}
	link(t, tree, d, "file", lit("1"))
	if _, err := tree.MkdirPath(t.Context(), d, []string{"file", "x"}, dirnode.CreateOptions{}); !errors.Is(err, dirnode.ErrNotADirectory) {
		t.Errorf("MkdirPath below a file: %v", err)
	}
	if _, err := tree.MkdirPath(t.Context(), d.ReadOnly(), []string{"x"}, dirnode.CreateOptions{}); !errors.Is(err, dirnode.ErrReadOnly) {
		t.Errorf("MkdirPath in a read-only directory: %v", err)
	}
}

// An edit touches only its own entry: all others keep their bytes.
func TestEditKeepsTheRest(t *testing.T) {
	m, tree := newTree(t)
	root := mkdir(t, tree)
	for _, name := range []string{"a", "c", "e"} {
		link(t, tree, root, name, child(t, mkdir(t, tree)))
	}
	before, err := m.get(root)
	if err != nil {
		t.Fatal(err)
	}
	link(t, tree, root, "d", lit("new"))
	if after, _ := m.get(root); bytes.Equal(after, before) {
		t.Error("nothing has changed")
	}
	if _, err := tree.Unlink(t.Context(), root, "d"); err != nil {
		t.Fatal(err)
	}
	if after, _ := m.get(root); !bytes.Equal(after, before) {
		t.Error("the other entries have changed")
	}
}
