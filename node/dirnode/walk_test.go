package dirnode_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/dirnode"
	"lafs/shares/caps"
)

// visited walks and tells what was met, in order.
func visited(t *testing.T, tree *dirnode.Tree, start caps.Cap, o dirnode.WalkOptions) ([]string, error) {
	t.Helper()
	var out []string
	err := tree.Walk(t.Context(), start, o, func(v dirnode.Visit) error {
		what := "file"
		switch {
		case v.Err != nil:
			what = "error"
		case v.Listing != nil:
			what = "dir"
		}
		out = append(out, what+" "+strings.Join(v.Path, "/"))
		return nil
	})
	return out, err
}

func TestWalk(t *testing.T) {
	m, tree := newTree(t)
	root, a, b, gone := mkdir(t, tree), mkdir(t, tree), mkdir(t, tree), mkdir(t, tree)
	slot := child(t, parse(t, writeCap))
	link(t, tree, root, "b", child(t, b))
	link(t, tree, root, "a", child(t, a))
	link(t, tree, root, "z", lit("z"))
	link(t, tree, a, "up", child(t, root))               // a cycle
	link(t, tree, a, "self", child(t, a).ReadOnly())     // another, with fewer rights
	link(t, tree, a, "b again", child(t, b))             // the first path counts
	link(t, tree, b, "slot", slot)                       // one object
	link(t, tree, b, "slot again", slot.ReadOnly())      // with two links
	link(t, tree, b, "gone", child(t, gone))             // cannot be read
	link(t, tree, b, "check", child(t, root.Verifier())) // is no directory
	m.mu.Lock()
	delete(m.contents, index(gone))
	m.contents[index(a)] = append([]byte(written("0", writeCap, "", "{}")), m.contents[index(a)]...)
	m.mu.Unlock()
	got, err := visited(t, tree, root, dirnode.WalkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// b is known from the root's listing before a is read.
	want := []string{"dir ", "file z", "dir a", "error a/0", "dir b", "file b/check", "file b/slot", "error b/gone"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got, err := visited(t, tree, root, dirnode.WalkOptions{MaxObjects: 3}); !errors.Is(err, dirnode.ErrTooMany) {
		t.Errorf("Walk: %v after %q, want ErrTooMany", err, got)
	}
	stop := errors.New("stop")
	if err := tree.Walk(t.Context(), root, dirnode.WalkOptions{}, func(dirnode.Visit) error { return stop }); err != stop {
		t.Errorf("Walk: got %v, want what visit says", err)
	}
	if err := tree.Walk(t.Context(), caps.NewLIT(nil), dirnode.WalkOptions{}, nil); !errors.Is(err, dirnode.ErrNotADirectory) {
		t.Errorf("Walk from a file: %v", err)
	}
}

// slow is a memory whose reads take a second, and which counts those at once.
type slow struct {
	*memory
	now, most atomic.Int32
}

func (s *slow) Read(ctx context.Context, c caps.Cap) ([]byte, error) {
	s.most.Store(max(s.most.Load(), s.now.Add(1)))
	defer s.now.Add(-1)
	select {
	case <-time.After(time.Second):
		return s.memory.Read(ctx, c)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Directories are read 8 at once, and a walk that ends early leaves nothing
// running.
func TestWalkReadsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &slow{memory: newMemory()}
		tree := dirnode.New(m, nil)
		root := mkdir(t, tree)
		for i := range 4 {
			sub := mkdir(t, tree)
			for j := range 16 {
				link(t, tree, sub, fmt.Sprint(j), child(t, mkdir(t, tree)))
			}
			link(t, tree, root, fmt.Sprint(i), child(t, sub))
		}
		begin := time.Now()
		got, err := visited(t, tree, root, dirnode.WalkOptions{})
		if err != nil || len(got) != 1+4+64 {
			t.Fatalf("%d visits, %v", len(got), err)
		}
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("69 reads of a second took %s", took)
		}
		if most := m.most.Load(); most > 9 || most < 4 {
			t.Errorf("%d reads at once", most)
		}
		stop := errors.New("stop")
		err = tree.Walk(t.Context(), root, dirnode.WalkOptions{}, func(v dirnode.Visit) error {
			if len(v.Path) == 2 {
				return stop
			}
			return nil
		})
		// The reads, and not goroutines, of which the runtime has some too.
		if left := m.now.Load(); err != stop || left != 0 {
			t.Errorf("Walk: %v, with %d reads left", err, left)
		}
	})
}
