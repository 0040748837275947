package dirnode

import (
	"context"
	"errors"

	"lafs/shares/caps"
)

// Mkdir makes a mutable directory that nothing links to, with its first
// entries, in one create. Entries' metadata are kept as they are.
func (t *Tree) Mkdir(ctx context.Context, o CreateOptions, entries []Entry) (*caps.Directory, error) {
	w, err := t.objects.Create(ctx, o, func(w *caps.MutableWriter) ([]byte, error) {
		return EncodeMutable(w.Key, entries)
	})
	if err != nil {
		return nil, err
	}
	return caps.NewDirectory(w)
}

// MkdirImmutable makes a directory that never changes, in one put. Children
// that could change are refused with ErrMustBeImmutable.
func (t *Tree) MkdirImmutable(ctx context.Context, entries []Entry) (*caps.Directory, error) {
	content, err := EncodeImmutable(entries)
	if err != nil {
		return nil, err
	}
	file, err := t.objects.Put(ctx, content)
	if err != nil {
		return nil, err
	}
	return caps.NewDirectory(file)
}

// MkdirPath returns the directory at the end of a path, which it makes, with
// all that are missing on the way; the key of o is the last one's. The new ones are made from the inside out
// and then linked by one modify, so that a crash leaves all of the path or
// nothing of it. Of several who do it at once all get the same directories.
// ErrNotADirectory says that something else is in the way.
func (t *Tree) MkdirPath(ctx context.Context, start caps.Cap, path []string, o CreateOptions) (*caps.Directory, error) {
	d, err := directory(start)
	if err != nil {
		return nil, err
	}
	for _, name := range path {
		if _, err := Normalize(name); err != nil {
			return nil, err
		}
	}
	var last *caps.Directory
	for depth := 0; depth < len(path); {
		e, err := t.Get(ctx, d, path[depth])
		if err == nil {
			if d, err = directory(e.Child.Cap()); err != nil {
				return nil, &PathError{depth, err}
			}
			depth++
			continue
		}
		if !errors.Is(err, ErrNoChild) {
			return nil, &PathError{depth, err}
		}
		if _, err := writer(d); err != nil {
			return nil, &PathError{depth, err}
		}
		if last == nil {
			if last, err = t.Mkdir(ctx, o, nil); err != nil {
				return nil, err
			}
		}
		child, err := t.chain(ctx, path[depth+1:], last, o.MDMF)
		if err != nil {
			return nil, err
		}
		if _, err = t.Link(ctx, d, path[depth], child, Never, nil); err == nil {
			return last, nil
		}
		// Somebody else was first: go on from what is there now.
		if !errors.Is(err, ErrChildExists) {
			return nil, err
		}
	}
	return d, nil
}

// chain makes the directories in which names lead to last, and returns the
// first of them; last itself if there are no names.
func (t *Tree) chain(ctx context.Context, names []string, last *caps.Directory, mdmf bool) (Child, error) {
	child, err := NewChild(last)
	for i := len(names) - 1; i >= 0 && err == nil; i-- {
		var m Metadata
		if m, err = update(nil, nil, t.now()); err != nil {
			break
		}
		var d *caps.Directory
		if d, err = t.Mkdir(ctx, CreateOptions{MDMF: mdmf}, []Entry{{names[i], child, m}}); err != nil {
			break
		}
		child, err = NewChild(d)
	}
	return child, err
}
