package dirnode_test

import (
	"fmt"
	"testing"

	"lafs/node/dirnode"
	"lafs/shares/caps"
)

// large is a directory of 10,000 entries, most of them files, some slots.
func large(b *testing.B) (*memory, *dirnode.Tree, *caps.Directory) {
	m, tree := newTree(b)
	root := mkdir(b, tree)
	slot, file := child(b, parse(b, writeCap)), child(b, parse(b, fixedCap))
	links := make([]dirnode.Link, 10000)
	for i := range links {
		links[i] = dirnode.Link{Name: fmt.Sprintf("file %05d", i), Child: file}
		if i%4 == 0 {
			links[i].Child = slot
		}
	}
	if _, err := tree.LinkMany(b.Context(), root, links, dirnode.Never); err != nil {
		b.Fatal(err)
	}
	return m, tree, root
}

func BenchmarkList10000(b *testing.B) {
	m, tree, root := large(b)
	content, err := m.get(root)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if l, err := tree.List(b.Context(), root); err != nil || len(l.Entries) != 10000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookup10000(b *testing.B) {
	_, tree, root := large(b)
	for b.Loop() {
		if _, err := tree.Get(b.Context(), root, "file 07777"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInsert10000(b *testing.B) {
	_, tree, root := large(b)
	c := child(b, parse(b, writeCap))
	for b.Loop() {
		if _, err := tree.Link(b.Context(), root, "file 05000 too", c, dirnode.Always, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInsert1000Into10000(b *testing.B) {
	_, tree, root := large(b)
	links := make([]dirnode.Link, 1000)
	for i := range links {
		links[i] = dirnode.Link{Name: fmt.Sprintf("more %05d", i*7%1000), Child: lit("x")}
	}
	for b.Loop() {
		if _, err := tree.LinkMany(b.Context(), root, links, dirnode.Always); err != nil {
			b.Fatal(err)
		}
	}
}
