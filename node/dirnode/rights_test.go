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

const (
	key16     = "kydqxyjdfs27tqvxb4rczrcpny"
	hash32    = "ytoku25i4xjebq3ztzr3czer5be4rginaojox2gro2hbctbej5wa"
	writeCap  = "URI:SSK:" + key16 + ":" + hash32
	readCap   = "URI:SSK-RO:" + key16 + ":" + hash32
	verifyCap = "URI:SSK-Verifier:" + key16 + ":" + hash32
	fixedCap  = "URI:CHK:" + key16 + ":" + hash32 + ":3:5:56"
)

func netstring(parts ...string) string {
	joined := strings.Join(parts, "")
	return fmt.Sprintf("%d:%s,", len(joined), joined)
}

// written is an entry as somebody else may have written it.
func written(name, read, write, metadata string) string {
	return netstring(netstring(name), netstring(read), netstring(write), netstring(metadata))
}

// What a read cap may be in each kind of directory, and how it is shown.
func TestReadSlot(t *testing.T) {
	mutable := parse(t, "URI:DIR2-RO:"+key16+":"+hash32)
	fixed := parse(t, "URI:DIR2-CHK:"+key16+":"+hash32+":3:5:56")
	tests := []struct {
		name, read   string
		mutable      string // what is shown; "!" if it is damaged
		mutableError error
		fixed        string
		fixedError   error
	}{
		{"a file", fixedCap, fixedCap, nil, fixedCap, nil},
		{"spaces behind", fixedCap + "  ", fixedCap, nil, fixedCap, nil},
		{"marked immutable", "imm." + fixedCap, fixedCap, nil, fixedCap, nil},
		{"a write cap", writeCap, "!", dirnode.ErrMustBeReadOnly, "!", dirnode.ErrMustBeReadOnly},
		{"a write cap that is marked", "ro." + writeCap, "!", dirnode.ErrMustBeReadOnly, "!", dirnode.ErrMustBeReadOnly},
		{"a mutable read cap", readCap, readCap, nil, "!", dirnode.ErrMustBeImmutable},
		{"a mutable read cap, marked immutable", "imm." + readCap, "!", caps.ErrSyntax, "!", caps.ErrSyntax},
		{"a mutable directory", "URI:DIR2-RO:" + key16 + ":" + hash32, "URI:DIR2-RO:" + key16 + ":" + hash32, nil, "!", dirnode.ErrMustBeImmutable},
		{"a verify cap", verifyCap, verifyCap, nil, verifyCap, nil},
		{"unknown", "lafs:future", "ro.lafs:future", nil, "imm.lafs:future", nil},
		{"unknown, marked", "ro.lafs:future", "ro.lafs:future", nil, "imm.lafs:future", nil},
		{"unknown, marked immutable", "imm.lafs:future", "imm.lafs:future", nil, "imm.lafs:future", nil},
		{"cut", fixedCap[:30], "!", caps.ErrSyntax, "!", caps.ErrSyntax},
		{"no UTF-8", "\xff", "!", caps.ErrSyntax, "!", caps.ErrSyntax},
		{"none", "", "", nil, "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check := func(dir caps.Cap, want string, wantErr error) {
				t.Helper()
				l, err := dirnode.Decode(dir, []byte(written("n", tt.read, "", "{}")))
				if err != nil {
					t.Fatal(err)
				}
				if want == "!" {
					if len(l.Entries) != 0 || len(l.Damaged) != 1 || l.Damaged[0].Name != "n" || !errors.Is(l.Damaged[0].Err, wantErr) {
						t.Errorf("%s: got %d entries, damaged %v; want %v", dir.Kind(), len(l.Entries), l.Damaged, wantErr)
					}
					return
				}
				if len(l.Entries) != 1 || l.Entries[0].Child.Write != nil || reveal(l.Entries[0].Child.Read) != want {
					t.Errorf("%s: got %q and %v, want %q", dir.Kind(), reveal(l.Entries[0].Child.Read), l.Damaged, want)
				}
			}
			check(mutable, tt.mutable, tt.mutableError)
			check(fixed, tt.fixed, tt.fixedError)
		})
	}
}

func parse(t testing.TB, text string) caps.Cap {
	t.Helper()
	c, err := caps.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A write cap in an immutable directory's content is nobody's work.
func TestWriteSlotOfImmutable(t *testing.T) {
	dir := parse(t, "URI:DIR2-CHK:"+key16+":"+hash32+":3:5:56")
	if _, err := dirnode.Decode(dir, []byte(written("n", fixedCap, "x", "{}"))); !errors.Is(err, dirnode.ErrCorrupt) {
		t.Errorf("Decode: got %v, want ErrCorrupt", err)
	}
}

// The two caps of a child, as requests give them.
func TestParseChild(t *testing.T) {
	readOf := parse(t, writeCap).ReadOnly().Reveal()
	tests := []struct {
		name, write, read   string
		wantWrite, wantRead string
		want                error
	}{
		{"a write cap", writeCap, "", writeCap, readOf, nil},
		{"both", writeCap, readOf, writeCap, readOf, nil},
		{"a read cap as write cap", fixedCap, "", "", fixedCap, nil},
		{"a read cap", "", readCap, "", readCap, nil},
		{"a write cap as read cap", "", writeCap, "", "", dirnode.ErrMustBeReadOnly},
		{"unknown alone", "x:y", "", "", "", dirnode.ErrMustBeReadOnly},
		{"unknown, marked", "ro.x:y", "", "", "ro.x:y", nil},
		{"unknown, with a read cap", "x:y", "x:z", "x:y", "ro.x:z", nil},
		{"unknown, with an immutable one", "x:y", "imm.x:z", "", "", dirnode.ErrMustBeReadOnly},
		{"unknown read cap", "", "x:z", "", "ro.x:z", nil},
		{"damaged", "URI:CHK:", "", "", "", caps.ErrSyntax},
		{"nothing", "", "", "", "", nil},
	}
	for _, tt := range tests {
		c, err := dirnode.ParseChild(tt.write, tt.read)
		if !errors.Is(err, tt.want) || reveal(c.Write) != tt.wantWrite || reveal(c.Read) != tt.wantRead {
			t.Errorf("%s: got %q, %q, %v", tt.name, reveal(c.Write), reveal(c.Read), err)
		}
	}
}

// Who can read a directory can read all below it, and change none of it.
func TestReadOnlyGivesReadOnly(t *testing.T) {
	_, tree := newTree(t)
	root, sub := mkdir(t, tree), mkdir(t, tree)
	link(t, tree, root, "sub", child(t, sub))
	link(t, tree, sub, "slot", child(t, parse(t, writeCap)))
	future, err := dirnode.ParseChild("x:write", "x:read")
	if err != nil {
		t.Fatal(err)
	}
	link(t, tree, sub, "future", future)
	for _, tt := range []struct {
		start       caps.Cap
		name, write string
	}{
		{root, "slot", writeCap}, {root.ReadOnly(), "slot", ""},
		{root, "future", "x:write"}, {root.ReadOnly(), "future", ""},
	} {
		n, err := tree.Resolve(t.Context(), tt.start, []string{"sub", tt.name})
		if err != nil || reveal(n.Child.Write) != tt.write || n.Child.Read == nil {
			t.Errorf("Resolve %s: %q, %v", tt.name, reveal(n.Child.Write), err)
		}
		if tt.write == "" {
			if _, err := tree.Link(t.Context(), n.Parent, "x", lit("1"), dirnode.Always, nil); !errors.Is(err, dirnode.ErrReadOnly) {
				t.Errorf("Link: got %v, want ErrReadOnly", err)
			}
		}
	}
}

// The text of no write cap is in a directory's content.
func TestWriteCapsAreHidden(t *testing.T) {
	m, tree := newTree(t)
	root := mkdir(t, tree)
	link(t, tree, root, "slot", child(t, parse(t, writeCap)))
	content, err := m.get(root)
	if err != nil || bytes.Contains(content, []byte(key16)) {
		t.Errorf("the content shows the write key (%v)", err)
	}
}

func TestNoWrite(t *testing.T) {
	ctx := t.Context()
	_, tree := newTree(t)
	root := mkdir(t, tree)
	slot := child(t, parse(t, writeCap))
	write := func(name string) string {
		t.Helper()
		e, err := tree.Get(ctx, root, name)
		if err != nil {
			t.Fatal(err)
		}
		return reveal(e.Child.Write)
	}
	noWrite := dirnode.Metadata(`{"no-write": true}`)
	if _, err := tree.Link(ctx, root, "linked", slot, dirnode.Always, noWrite); err != nil || write("linked") != "" {
		t.Errorf("Link with no-write: %v", err)
	}
	// The mark stays where nothing new is said, and so does its effect.
	if _, err := tree.Link(ctx, root, "linked", slot, dirnode.Always, nil); err != nil || write("linked") != "" {
		t.Errorf("Link again: %v", err)
	}
	if _, err := tree.Link(ctx, root, "linked", slot, dirnode.Never, nil); err != nil {
		t.Errorf("Link again, never replacing: %v", err)
	}
	link(t, tree, root, "marked", slot)
	if write("marked") == "" {
		t.Error("Link without no-write gives no write cap")
	}
	if err := tree.SetMetadata(ctx, root, "marked", noWrite); err != nil || write("marked") != "" {
		t.Errorf("SetMetadata: %v", err)
	}
	if err := tree.SetMetadata(ctx, root, "marked", dirnode.Metadata(`{}`)); err != nil || write("marked") != "" {
		t.Errorf("the write cap came back: %v", err)
	}
	dir, err := tree.Mkdir(ctx, dirnode.CreateOptions{}, []dirnode.Entry{{Name: "n", Child: slot, Metadata: noWrite}})
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.SetMetadata(ctx, dir, "n", dirnode.Metadata(`{}`)); err != nil {
		t.Fatal(err)
	}
	if l, err := tree.List(ctx, dir); err != nil || l.Entries[0].Child.Write != nil {
		t.Errorf("Mkdir keeps a write cap beside no-write: %v", err)
	}
}

// A no-write that others wrote beside a write cap counts as well.
func TestNoWriteOfOthers(t *testing.T) {
	m, tree := newTree(t)
	root, err := tree.Mkdir(t.Context(), dirnode.CreateOptions{}, []dirnode.Entry{{Name: "n", Child: child(t, parse(t, writeCap))}})
	if err != nil {
		t.Fatal(err)
	}
	content, _ := m.get(root)
	_, inner, _ := bytes.Cut(content, []byte(":"))
	inner = bytes.TrimSuffix(inner, []byte("2:{},,"))
	m.set(root, []byte(netstring(string(inner), netstring(`{"no-write": true}`))))
	e, err := tree.Get(t.Context(), root, "n")
	if err != nil || e.Child.Write != nil || e.Child.Read == nil {
		t.Errorf("Get: %v, write cap %v", err, e.Child.Write != nil)
	}
}

func TestMkdirImmutable(t *testing.T) {
	ctx := t.Context()
	_, tree := newTree(t)
	imm, err := dirnode.ParseChild("", "imm.x:y")
	if err != nil {
		t.Fatal(err)
	}
	ro, err := dirnode.ParseChild("", "x:y")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		child dirnode.Child
		want  error
	}{
		{"a file", child(t, parse(t, fixedCap)), nil},
		{"a literal", lit("x"), nil},
		{"a directory of them", child(t, parse(t, "URI:DIR2-LIT:")), nil},
		{"unknown, immutable", imm, nil},
		{"unknown, read-only", ro, dirnode.ErrMustBeImmutable},
		{"a slot", child(t, parse(t, writeCap)), dirnode.ErrMustBeImmutable},
		{"a slot's read cap", child(t, parse(t, readCap)), dirnode.ErrMustBeImmutable},
		{"a mutable directory", child(t, mkdir(t, tree)), dirnode.ErrMustBeImmutable},
		{"nothing", dirnode.Child{}, dirnode.ErrMustBeReadOnly},
		{"a write cap as read cap", dirnode.Child{Read: parse(t, writeCap)}, dirnode.ErrMustBeReadOnly},
	} {
		d, err := tree.MkdirImmutable(ctx, []dirnode.Entry{{Name: "n", Child: tt.child}})
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		if err != nil {
			continue
		}
		e, err := tree.Get(ctx, d, "n")
		if err != nil || !e.Child.Equal(tt.child) {
			t.Errorf("%s: Get: %v", tt.name, err)
		}
		if _, err := tree.Link(ctx, d, "m", lit(""), dirnode.Always, nil); !errors.Is(err, dirnode.ErrReadOnly) {
			t.Errorf("%s: Link: got %v, want ErrReadOnly", tt.name, err)
		}
	}
	// The place promises what the prefix does.
	d, err := tree.MkdirImmutable(ctx, []dirnode.Entry{{Name: "n", Child: imm}})
	if err != nil || !bytes.Contains(d.File().(*caps.LIT).Data(), []byte(",3:x:y,")) {
		t.Errorf("MkdirImmutable of an unknown cap: %v", err)
	}
	d, err = tree.MkdirImmutable(ctx, nil)
	if err != nil || d.Reveal() != "URI:DIR2-LIT:" {
		t.Errorf("MkdirImmutable of nothing: %v", err)
	}
}

// What is not understood is kept as it is by every edit, and can be renamed,
// replaced and removed.
func TestStrangeEntriesAreKept(t *testing.T) {
	m, tree := newTree(t)
	root := mkdir(t, tree)
	strange := []string{
		written("a\xff", fixedCap, "", "{}"),
		written("b", fixedCap, "", "no json"),
		written("c", writeCap, "", "{}"),
		written("d/e", "x:y", "", `{"a":  1.50}`),
		written("e\u0301", fixedCap, "short", "{}"),
		netstring(netstring("f"), netstring(fixedCap), netstring(""), netstring("{}"), "5:more!,"),
		written("g", fixedCap, "", "{}"), written("g", readCap, "", "{}"),
	}
	m.set(root, []byte(strings.Join(strange, "")))
	link(t, tree, root, "zz", lit("new"))
	if _, err := tree.Unlink(t.Context(), root, "zz"); err != nil {
		t.Fatal(err)
	}
	got, _ := m.get(root)
	for _, s := range strange {
		if !bytes.Contains(got, []byte(s)) {
			t.Errorf("%q is gone", s)
		}
	}
	l, err := tree.List(t.Context(), root)
	if err != nil || len(l.Entries) != 3 || len(l.Damaged) != 4 {
		t.Fatalf("%d entries, %d damaged, %v", len(l.Entries), len(l.Damaged), err)
	}
	if e, ok := l.Find("g"); !ok || e.Child.Read.Kind() != caps.KindSSKReader {
		t.Error("the last of two with one name is not the one that counts")
	}
	if err := tree.Move(t.Context(), root, "f", root, "f2", dirnode.Never); err != nil {
		t.Error(err)
	}
	if got, _ := m.get(root); !bytes.Contains(got, []byte("5:more!,")) {
		t.Error("a rename drops what it does not know")
	}
	for _, name := range []string{"a\xff", "b", "c", "d/e", "\u00e9", "f2", "g"} {
		if _, err := tree.Unlink(t.Context(), root, name); err != nil {
			t.Errorf("Unlink %q: %v", name, err)
		}
	}
	if got, _ := m.get(root); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		err        error
	}{
		{"plain", "plain", nil},
		{"e\u0301", "\u00e9", nil},
		{"\u212b", "\u00c5", nil},
		{" ", " ", nil},
		{"...", "...", nil},
		{".", "", dirnode.ErrName},
		{"..", "", dirnode.ErrName},
		{"", "", dirnode.ErrName},
		{"a/b", "", dirnode.ErrName},
		{"\xff", "", dirnode.ErrName},
	} {
		if got, err := dirnode.Normalize(tt.name); got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("Normalize %q: got %q, %v", tt.name, got, err)
		}
	}
	_, tree := newTree(t)
	root := mkdir(t, tree)
	for _, name := range []string{"\U0001F600", "\uFFEE", "b", "Z", "e\u0301"} {
		link(t, tree, root, name, lit(""))
	}
	// By code points, as Tahoe-LAFS sorts.
	if got, want := names(t, tree, root), "Z= b= \u00e9= \uFFEE= \U0001F600= "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := tree.Get(t.Context(), root, "\u00e9"); err != nil {
		t.Error(err)
	}
	if _, err := tree.Get(t.Context(), root, "e\u0301"); err != nil {
		t.Error(err)
	}
}

// No verb prints what gives rights.
func TestSecretsAreNotPrinted(t *testing.T) {
	_, tree := newTree(t)
	root := mkdir(t, tree)
	link(t, tree, root, "n", child(t, parse(t, writeCap)))
	l, err := tree.List(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	n, err := tree.Resolve(t.Context(), root, []string{"n"})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{l, *l, l.Entries[0], n, *n, dirnode.Visit{Child: n.Child}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if out := fmt.Sprintf(verb, v); strings.Contains(out, key16) || strings.Contains(out, "URI:") {
				t.Errorf("%s of %T shows a cap", verb, v)
			}
		}
	}
}

// What costs much more than its size is refused.
func TestTooManyEntries(t *testing.T) {
	m, tree := newTree(t)
	root := mkdir(t, tree)
	full := strings.Repeat(written("", "", "", ""), 1<<20)
	m.set(root, []byte(full))
	if _, err := tree.Link(t.Context(), root, "n", lit(""), dirnode.Always, nil); !errors.Is(err, dirnode.ErrTooMany) {
		t.Errorf("Link: got %v, want ErrTooMany", err)
	}
	if _, err := dirnode.Decode(root, []byte(full+written("", "", "", ""))); !errors.Is(err, dirnode.ErrTooMany) {
		t.Errorf("Decode: got %v, want ErrTooMany", err)
	}
}
