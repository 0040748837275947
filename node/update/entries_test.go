package update_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/dirnode"
	"lafs/shares/mutable"
)

// manyLinks are links with names of their own.
func manyLinks(t *testing.T, prefix string, n int) []dirnode.Link {
	t.Helper()
	child, err := dirnode.NewChild(mustParse(t, "URI:CHK:7ky3ww6aihlth4o7fb7czrtk5u:wxfu7xpsgn32ok6xnseptdxghjh7mut74apxasn2q2wt6cufhkia:3:5:56"))
	if err != nil {
		t.Fatal(err)
	}
	links := make([]dirnode.Link, n)
	for i := range links {
		links[i] = dirnode.Link{Name: fmt.Sprintf("%s %05d", prefix, i), Child: child}
	}
	return links
}

// A directory of 10,000 entries lists, and takes another, from clients that
// know nothing of it, in both formats.
func TestTenThousandEntries(t *testing.T) {
	dir := tmpDir(t)
	for i, format := range []mutable.Format{mutable.SDMF, mutable.MDMF} {
		synctest.Test(t, func(t *testing.T) {
			g := newStoreGrid(t, dir, 5, 0, 200*time.Millisecond, uint64(i))
			defer g.close()
			tree := func() *dirnode.Tree {
				e, _ := g.client(3, 10, 1)
				t.Cleanup(func() { e.Close() })
				return dirnode.New(engineObjects{e}, nil)
			}
			root, err := tree().Mkdir(t.Context(), dirnode.CreateOptions{MDMF: format == mutable.MDMF, Key: keys()[0]}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tree().LinkMany(t.Context(), root, manyLinks(t, "entry", 10_000), dirnode.Never); err != nil {
				t.Fatal(err)
			}
			one := manyLinks(t, "another", 1)[0]
			if _, err := tree().Link(t.Context(), root, one.Name, one.Child, dirnode.Never, nil); err != nil {
				t.Fatal(err)
			}
			l, err := tree().List(t.Context(), root.ReadOnly())
			if err != nil || len(l.Entries) != 10_001 {
				t.Fatalf("%v: List: %v", format, err)
			}
			for _, name := range []string{"entry 00000", "entry 09999", "another 00000"} {
				if _, ok := l.Find(name); !ok {
					t.Errorf("%v: %s is not there", format, name)
				}
			}
		})
	}
}

// A thousand links that one client makes at once travel in a handful of
// writes.
func TestLinksTravelTogether(t *testing.T) {
	dir := tmpDir(t)
	synctest.Test(t, func(t *testing.T) {
		g := newStoreGrid(t, dir, 5, 0, 600*time.Millisecond, 1)
		defer g.close()
		l := follow(g, keys()[1], 3, 10)
		e, _ := g.client(3, 10, 1)
		defer e.Close()
		tree := dirnode.New(engineObjects{e}, nil)
		root, err := tree.Mkdir(t.Context(), dirnode.CreateOptions{Key: keys()[1]}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for _, link := range manyLinks(t, "file", 1000) {
			all.Go(func() {
				if _, err := tree.Link(t.Context(), root, link.Name, link.Child, dirnode.Never, nil); err != nil {
					t.Errorf("Link: %v", err)
				}
			})
		}
		all.Wait()
		if chosen, sent := l.counted(); chosen > 4 || sent > 4 {
			t.Errorf("%d versions were sent and %d chosen, for 1000 links at once", sent, chosen)
		}
		fresh, _ := g.client(3, 10, 1)
		defer fresh.Close()
		if got, err := dirnode.New(engineObjects{fresh}, nil).List(t.Context(), root); err != nil || len(got.Entries) != 1000 {
			t.Errorf("List: %v", err)
		}
	})
}
