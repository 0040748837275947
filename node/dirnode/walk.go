package dirnode

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"lafs/shares/caps"
)

// maxObjects is how many objects a walk remembers: some 200 MB of memory.
const maxObjects = 1 << 22

// readAhead is how many directories a walk reads before their turn: over Tor
// a read is mostly waiting.
const readAhead = 8

// A Visit is one object that a walk meets. Secret, as its child is.
type Visit struct {
	// Path are the names that lead from the start here; empty at the start.
	// The first path that meets an object counts. Valid during the call.
	Path     []string
	Child    Child
	Metadata Metadata
	// Listing is what a directory holds; nil for all else.
	Listing *Listing
	// Err says why a directory could not be read, or an entry not be shown;
	// such an entry has no child.
	Err error
}

// WalkOptions bound a walk.
type WalkOptions struct {
	// MaxObjects is the number of different objects after which the walk ends
	// with ErrTooMany; 0 is 4 million.
	MaxObjects int
}

// Walk visits start and everything below it: a directory, then its files and
// what is damaged or unknown, then its directories, each with all below it, in
// the order of their names. What several links lead to is visited once, so
// cycles end; LIT files, verify caps and unknown caps are visited at each
// link. visit runs in the caller's goroutine; its error ends
// the walk. Directories are read up to 8 at once.
func (t *Tree) Walk(ctx context.Context, start caps.Cap, o WalkOptions, visit func(Visit) error) error {
	d, err := directory(start)
	if err != nil {
		return err
	}
	child, err := NewChild(d)
	if err != nil {
		return err
	}
	if o.MaxObjects <= 0 {
		o.MaxObjects = maxObjects
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &walk{tree: t, max: o.MaxObjects, visit: visit, seen: make(map[identity]struct{})}
	defer w.readers.Wait()
	defer cancel()
	return w.run(ctx, &step{child: child})
}

// An identity tells objects apart. A file and a directory in it are two.
type identity struct {
	index     caps.StorageIndex
	directory bool
}

// identify returns the identity of what has one. Verify caps have none: they
// do not stand for the object to those who look for it.
func identify(c caps.Cap) (id identity, ok bool) {
	if c != nil && verifies(c.Kind()) {
		return id, false
	}
	if d, is := c.(*caps.Directory); is {
		id.directory = true
		c = d.File()
	}
	s, ok := c.(interface{ StorageIndex() caps.StorageIndex })
	if ok {
		id.index = s.StorageIndex()
	}
	return id, ok
}

// A walk is one run of Walk, of one goroutine beside those that read ahead.
type walk struct {
	tree    *Tree
	max     int
	visit   func(Visit) error
	seen    map[identity]struct{}
	todo    []*step // directories; the last one is next
	started int     // those of todo that are read or being read
	readers sync.WaitGroup
}

// A step is a directory to come.
type step struct {
	parent   *step
	name     string
	child    Child
	metadata Metadata
	// read is the answer, nil until it has been asked for.
	read chan answer
}

type answer struct {
	listing *Listing
	err     error
}

func (s *step) path() []string {
	var path []string
	for ; s.parent != nil; s = s.parent {
		path = append(path, s.name)
	}
	slices.Reverse(path)
	return path
}

func (w *walk) run(ctx context.Context, start *step) error {
	if _, err := w.enter(start.child); err != nil {
		return err
	}
	w.todo = append(w.todo, start)
	for len(w.todo) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		w.ask(ctx)
		s := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		a := <-s.read
		s.read = nil
		w.started--
		if err := w.meet(s, a); err != nil {
			return err
		}
	}
	return nil
}

// ask reads the next directory and some after it.
func (w *walk) ask(ctx context.Context) {
	for i := len(w.todo) - 1; i >= 0 && i >= len(w.todo)-readAhead; i-- {
		s := w.todo[i]
		if s.read != nil {
			continue
		}
		// The next one is read in any case, also when those that were once
		// near fill the room.
		if w.started >= readAhead && i != len(w.todo)-1 {
			return
		}
		s.read = make(chan answer, 1)
		read, dir := s.read, s.child.Cap()
		w.started++
		w.readers.Go(func() {
			l, err := w.tree.List(ctx, dir)
			read <- answer{l, err}
		})
	}
}

// meet visits a directory and its files, and notes its directories.
func (w *walk) meet(s *step, a answer) error {
	path := s.path()
	if err := w.visit(Visit{path, s.child, s.metadata, a.listing, a.err}); err != nil || a.listing == nil {
		return err
	}
	for _, d := range a.listing.Damaged {
		if err := w.visit(Visit{Path: append(path, d.Name), Err: d.Err}); err != nil {
			return err
		}
	}
	var dirs []*step
	for _, e := range a.listing.Entries {
		fresh, err := w.enter(e.Child)
		if err != nil {
			return err
		}
		if !fresh {
			continue
		}
		if _, err := directory(e.Child.Cap()); err == nil {
			// A copy, so that what waits does not hold the whole content.
			m := Metadata(bytes.Clone(e.Metadata))
			dirs = append(dirs, &step{parent: s, name: e.Name, child: e.Child, metadata: m})
			continue
		}
		if err := w.visit(Visit{Path: append(path, e.Name), Child: e.Child, Metadata: e.Metadata}); err != nil {
			return err
		}
	}
	slices.Reverse(dirs)
	w.todo = append(w.todo, dirs...)
	return nil
}

// enter reports whether a child has not been met before.
func (w *walk) enter(c Child) (bool, error) {
	id, ok := identify(c.Cap())
	if !ok {
		return true, nil
	}
	if _, met := w.seen[id]; met {
		return false, nil
	}
	if len(w.seen) >= w.max {
		return false, fmt.Errorf("%w objects below this directory", ErrTooMany)
	}
	w.seen[id] = struct{}{}
	return true, nil
}
