package dirnode

import (
	"bytes"
	"context"
	"time"

	"lafs/shares/caps"
	"lafs/shares/mutable"
)

// Objects reads and changes what caps name. Its errors pass through.
type Objects interface {
	// Read returns the whole content: c is the cap of a file of any known
	// kind that can be read.
	Read(ctx context.Context, c caps.Cap) ([]byte, error)
	// Modify replaces the content by what change makes of it. The newest
	// content is change's base; change runs again, never twice at once, when
	// that turns out not to be the newest. A change that returns its base has
	// nothing to write. Nobody writes into a base later. An error of change
	// ends it and comes back, as errors.Is sees.
	Modify(ctx context.Context, w *caps.MutableWriter, change func(base []byte) ([]byte, error)) error
	// Create makes a mutable object whose first content is what content
	// returns once the cap is known. If it begins anew under another key, it
	// asks again.
	Create(ctx context.Context, o CreateOptions, content func(w *caps.MutableWriter) ([]byte, error)) (*caps.MutableWriter, error)
	// Put stores an immutable file: a *caps.CHK, or a *caps.LIT if it is small.
	Put(ctx context.Context, content []byte) (caps.Cap, error)
}

// CreateOptions say how a mutable object is made.
type CreateOptions struct {
	// MDMF makes it MDMF, else it is SDMF.
	MDMF bool
	// Key is the object's own, nil for a new one. Secret.
	Key *mutable.Key
}

// A Tree lists and changes directories. Safe for concurrent use. It keeps
// nothing: every call reads what it needs.
type Tree struct {
	objects Objects
	now     func() time.Time
}

// New returns a Tree over objects. now gives links their times, nil is
// time.Now.
func New(objects Objects, now func() time.Time) *Tree {
	if now == nil {
		now = time.Now
	}
	return &Tree{objects, now}
}

// List reads one directory, in one read.
func (t *Tree) List(ctx context.Context, dir caps.Cap) (*Listing, error) {
	d, err := directory(dir)
	if err != nil {
		return nil, err
	}
	data, err := t.objects.Read(ctx, d.File())
	if err != nil {
		return nil, err
	}
	return Decode(d, data)
}

// Get returns one entry of a directory, in one read; else ErrNoChild, or the
// entry's damage.
func (t *Tree) Get(ctx context.Context, dir caps.Cap, name string) (Entry, error) {
	d, err := directory(dir)
	if err != nil {
		return Entry{}, err
	}
	data, err := t.objects.Read(ctx, d.File())
	if err != nil {
		return Entry{}, err
	}
	c, err := parse(data)
	if err != nil {
		return Entry{}, err
	}
	l, ok := c.find(nameKey(name))
	if !ok {
		return Entry{}, ErrNoChild
	}
	e, err := placeOf(d).decode(l.raw)
	// A copy, so that one entry does not hold the whole content.
	e.Metadata = bytes.Clone(e.Metadata)
	return e, err
}

// A Node is where a path leads.
type Node struct {
	Child Child
	// Parent is the directory that holds the last link, with the rights that
	// the path gives; nil, and the rest empty, at the end of an empty path.
	Parent   *caps.Directory
	Name     string
	Metadata Metadata
	// Via are the directories that the path passed: the start first, Parent
	// last.
	Via []*caps.Directory
}

// Resolve follows a path from start, in one read a name; an empty path leads
// to start itself. What it does not find is a *PathError around ErrNoChild or
// ErrNotADirectory.
func (t *Tree) Resolve(ctx context.Context, start caps.Cap, path []string) (*Node, error) {
	child, err := NewChild(start)
	if err != nil {
		child = Child{Write: start} // Unknown: it leads nowhere, but is there.
	}
	n := &Node{Child: child}
	for depth, name := range path {
		d, err := directory(n.Child.Cap())
		if err != nil {
			return nil, &PathError{depth, err}
		}
		e, err := t.Get(ctx, d, name)
		if err != nil {
			return nil, &PathError{depth, err}
		}
		n = &Node{Child: e.Child, Parent: d, Name: e.Name, Metadata: e.Metadata, Via: append(n.Via, d)}
	}
	return n, nil
}
