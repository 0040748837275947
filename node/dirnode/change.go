package dirnode

import (
	"bytes"
	"context"
	"slices"

	"lafs/shares/caps"
)

// writer returns the slot of a directory that dir gives the right to change.
func writer(dir caps.Cap) (*caps.MutableWriter, error) {
	d, err := directory(dir)
	if err != nil {
		return nil, err
	}
	w, ok := d.File().(*caps.MutableWriter)
	if !ok {
		return nil, ErrReadOnly
	}
	return w, nil
}

// Link sets one link, in one modify. It returns the link that stood there
// before, nil if there was none; one with the same child, if r is Never, is
// left as it is. ErrChildExists says that r forbids it.
func (t *Tree) Link(ctx context.Context, dir caps.Cap, name string, child Child, r Replace, m Metadata) (*Entry, error) {
	replaced, err := t.LinkMany(ctx, dir, []Link{{name, child, m}}, r)
	if err != nil || len(replaced) == 0 {
		return nil, err
	}
	return &replaced[0], nil
}

// LinkMany sets all links or none, in one modify: as Link does, and returns
// those that stood there before.
func (t *Tree) LinkMany(ctx context.Context, dir caps.Cap, links []Link, r Replace) ([]Entry, error) {
	w, err := writer(dir)
	if err != nil {
		return nil, err
	}
	edit, err := newLinking(w.Key, links, r, t.now())
	if err != nil || len(links) == 0 {
		return nil, err
	}
	if err := t.objects.Modify(ctx, w, edit.apply); err != nil {
		return nil, err
	}
	return edit.replaced, nil
}

// Unlink removes one link, in one modify, and returns it. The child itself
// stays. ErrNoChild if there is none.
func (t *Tree) Unlink(ctx context.Context, dir caps.Cap, name string) (Entry, error) {
	w, err := writer(dir)
	if err != nil {
		return Entry{}, err
	}
	edit := &unlinking{place: place{key: w.Key}, key: nameKey(name)}
	if err := t.objects.Modify(ctx, w, edit.apply); err != nil {
		return Entry{}, err
	}
	return *edit.removed, nil
}

// SetMetadata replaces the metadata of one link, all but the tahoe key, in one
// modify. With no-write the link loses its write cap for good.
func (t *Tree) SetMetadata(ctx context.Context, dir caps.Cap, name string, m Metadata) error {
	w, err := writer(dir)
	if err != nil {
		return err
	}
	if err := m.check(); err != nil {
		return err
	}
	edit := &marking{place: place{key: w.Key}, key: nameKey(name), metadata: m, now: t.now()}
	return t.objects.Modify(ctx, w, edit.apply)
}

// Move moves a link, within one directory in one modify. Between two it takes
// a read and two modifies, of which the first makes the new link and the
// second removes the old one: whatever fails, the child is never without a
// link, and to move it again ends what was begun. The old name stays if it
// leads to something else by then. A move to where it is does nothing.
//
// via are the directories that a path passed to toDir, none where a cap named
// it. One of them moved there would be in itself, where nobody finds it any
// more: ErrIntoItself. A cap alone is a beginning of its own, from which all
// below stays within reach.
func (t *Tree) Move(ctx context.Context, fromDir caps.Cap, from string, toDir caps.Cap, to string, r Replace, via ...*caps.Directory) error {
	source, err := writer(fromDir)
	if err != nil {
		return err
	}
	target, err := writer(toDir)
	if err != nil {
		return err
	}
	to, err = Normalize(to)
	if err != nil {
		return err
	}
	from = nameKey(from)
	if !bytes.Equal(source.Key.Bytes(), target.Key.Bytes()) {
		return t.moveAcross(ctx, fromDir, from, toDir, to, r, via)
	}
	if from == to {
		return nil
	}
	edit := &renaming{place: place{key: source.Key}, from: from, to: to, replace: r, now: t.now()}
	return t.objects.Modify(ctx, source, edit.apply)
}

func (t *Tree) moveAcross(ctx context.Context, fromDir caps.Cap, from string, toDir caps.Cap, to string, r Replace, via []*caps.Directory) error {
	e, err := t.Get(ctx, fromDir, from)
	if err != nil {
		return err
	}
	if moved, ok := identify(e.Child.Cap()); ok {
		leadsInto := func(d caps.Cap) bool { into, _ := identify(d); return into == moved }
		if leadsInto(toDir) || slices.ContainsFunc(via, func(d *caps.Directory) bool { return leadsInto(d) }) {
			return ErrIntoItself
		}
	}
	if _, err := t.Link(ctx, toDir, to, e.Child, r, e.Metadata); err != nil {
		return err
	}
	source, err := writer(fromDir)
	if err != nil {
		return err
	}
	edit := &unlinking{place: place{key: source.Key}, key: from, only: &e.Child}
	return t.objects.Modify(ctx, source, edit.apply)
}
