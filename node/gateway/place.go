package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"

	"lafs/node/dirnode"
	"lafs/shares/caps"
	"lafs/shares/mutable"
)

// An upload says how a file is to be stored.
type upload struct {
	format  format
	key     *mutable.Key
	replace dirnode.Replace
	offset  int64 // -1: the whole content
}

// upload reads what a request says of the file that it carries.
func (g *gateway) upload(a args) (u upload, err error) {
	if u.format, err = a.format(g.cfg.Format); err != nil {
		return u, err
	}
	if u.key, err = a.key(); err != nil {
		return u, err
	}
	if u.replace, err = a.replace(); err != nil {
		return u, err
	}
	u.offset, err = a.offset()
	if err == nil && u.key != nil && !u.format.mutable() {
		err = refuse(http.StatusBadRequest, "private-key= is for mutable files, with format=SDMF or MDMF")
	}
	return u, err
}

// mutable tells whether a file of that format is mutable.
func (f format) mutable() bool { return f == sdmf || f == mdmf }

// store keeps src as a new file.
func (g *gateway) store(ctx context.Context, src Source, u upload, progress func(Progress)) (caps.Cap, error) {
	if !u.format.mutable() {
		return g.cfg.Grid.Upload(ctx, src, progress)
	}
	if err := g.needTree(); err != nil {
		return nil, err
	}
	data, err := contents(src, g.cfg.MaxMutable)
	if err != nil {
		return nil, err
	}
	o := dirnode.CreateOptions{MDMF: u.format == mdmf, Key: u.key}
	w, err := g.cfg.Mutables.Create(ctx, o, func(*caps.MutableWriter) ([]byte, error) { return data, nil })
	if err != nil {
		return nil, err
	}
	return w, nil
}

// contents reads the whole of src.
func contents(src Source, limit int64) ([]byte, error) {
	if src.Size() > limit {
		return nil, errTooLarge
	}
	r, err := src.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data := make([]byte, src.Size())
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	return data, nil
}

// A spot is a name in a directory, and what is there. parent is nil if the
// directory is still to be made, child if nothing is there.
type spot struct {
	parent *caps.Directory
	child  *dirnode.Entry
}

// locate finds where the path ends that a file is put at.
func (g *gateway) locate(ctx context.Context, start caps.Cap, names []string) (spot, error) {
	last := len(names) - 1
	n, err := g.cfg.Tree.Resolve(ctx, start, names[:last])
	if errors.Is(err, dirnode.ErrNoChild) {
		return spot{}, nil
	}
	if err != nil {
		return spot{}, blocked(err)
	}
	dir, ok := n.Child.Cap().(*caps.Directory)
	if !ok {
		return spot{}, blocked(&dirnode.PathError{Depth: last, Err: dirnode.ErrNotADirectory})
	}
	e, err := g.cfg.Tree.Get(ctx, dir, names[last])
	if errors.Is(err, dirnode.ErrNoChild) {
		return spot{parent: dir}, nil
	}
	return spot{dir, &e}, err
}

// A search is a locate under way.
type search struct {
	cancel context.CancelFunc
	done   chan struct{}
	spot   spot
	err    error
}

// search begins to look for a place, while the file is still coming in.
func (g *gateway) search(ctx context.Context, start caps.Cap, names []string) *search {
	ctx, cancel := context.WithCancel(ctx)
	s := &search{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.spot, s.err = g.locate(ctx, start, names)
	}()
	return s
}

func (s *search) wait() (spot, error) {
	<-s.done
	return s.spot, s.err
}

func (s *search) stop() {
	s.cancel()
	<-s.done
}

// maxAhead is the size up to which a file is stored before it is known
// whether there is a place for it: that spares a round trip, and costs
// little when there is none.
const maxAhead = 64 << 10

// place stores src at the end of a path, in the place that s is looking for.
// A mutable file that is there gets the bytes as its content.
func (g *gateway) place(ctx context.Context, s *search, start caps.Cap, names []string, src Source, u upload, progress func(Progress)) (made, error) {
	ahead := !u.format.mutable() && u.offset < 0 && src.Size() <= maxAhead
	var c caps.Cap
	var storeErr error
	if ahead {
		c, storeErr = g.store(ctx, src, u, progress)
	}
	at, err := s.wait()
	if err != nil {
		return made{}, err
	}
	w, err := at.admit(u)
	if err != nil {
		return made{}, err
	}
	if w != nil {
		return g.rewrite(ctx, w, src, u)
	}
	if !ahead {
		c, storeErr = g.store(ctx, src, u, progress)
	}
	if storeErr != nil {
		return made{}, storeErr
	}
	// What has come to be a directory meanwhile is not thrown away.
	if u.replace == dirnode.Always {
		u.replace = dirnode.OnlyFiles
	}
	created, err := g.link(ctx, at.parent, start, names, dirnode.Link{Child: childOf(c)}, u.replace)
	return made{c, created}, err
}

// rewrite gives a mutable file new content.
func (g *gateway) rewrite(ctx context.Context, w *caps.MutableWriter, src Source, u upload) (made, error) {
	data, err := contents(src, g.cfg.MaxMutable)
	if err == nil {
		err = g.overwrite(ctx, w, u.offset, data)
	}
	return made{w, false}, err
}

// admit decides whether a file may be put at a spot, and returns the mutable
// file that is to be overwritten, if there is one.
func (s spot) admit(u upload) (*caps.MutableWriter, error) {
	if s.child == nil {
		if u.offset >= 0 {
			return nil, refuse(http.StatusBadRequest, "offset= is for a mutable file that is there already")
		}
		return nil, s.writable()
	}
	c := s.child.Child
	switch {
	case u.replace == dirnode.Never:
		return nil, &Error{http.StatusConflict, dirnode.ErrChildExists}
	case c.IsDirectory():
		return nil, refuse(http.StatusConflict, "there is a directory of that name already, and a file does not replace it")
	case !c.Known():
		return nil, refuse(http.StatusConflict, "there is something of that name already of a kind that this version of lafs does not know")
	}
	if _, ok := c.Cap().(*caps.MutableWriter); ok {
		return writableFile(c.Cap(), u.offset)
	}
	if u.offset >= 0 || c.Cap().Kind().Mutable() {
		return writableFile(c.Cap(), u.offset)
	}
	return nil, s.writable()
}

// writable refuses a directory that can't be changed.
func (s spot) writable() error {
	if s.parent == nil || s.parent.Kind().Writable() {
		return nil
	}
	return dirnode.ErrReadOnly
}

// writableFile is the mutable file that c can write.
func writableFile(c caps.Cap, offset int64) (*caps.MutableWriter, error) {
	if w, ok := c.(*caps.MutableWriter); ok {
		return w, nil
	}
	switch {
	case c.Kind() == caps.KindUnknown:
		return nil, refuse(http.StatusBadRequest, "that is not a cap that this version of lafs knows")
	case c.Kind().Mutable():
		return nil, refuse(http.StatusBadRequest, "the file is read-only to you")
	case offset >= 0:
		return nil, refuse(http.StatusBadRequest, "offset= is for mutable files; this one can't change")
	}
	return nil, refuse(http.StatusBadRequest, "that is an immutable file; only a mutable one can be overwritten by its cap")
}

// link links a child at the end of a path from start, and makes the
// directories on the way if parent is nil: created tells that nothing was
// replaced.
func (g *gateway) link(ctx context.Context, parent *caps.Directory, start caps.Cap, names []string, l dirnode.Link, r dirnode.Replace) (created bool, err error) {
	last := len(names) - 1
	if parent == nil {
		if parent, err = g.cfg.Tree.MkdirPath(ctx, start, names[:last], g.dirOptions()); err != nil {
			return false, blocked(err)
		}
	}
	old, err := g.cfg.Tree.Link(ctx, parent, names[last], l.Child, r, l.Metadata)
	return old == nil, err
}

// dirOptions is how directories are made for which nothing else is asked.
func (g *gateway) dirOptions() dirnode.CreateOptions {
	return dirnode.CreateOptions{MDMF: g.cfg.Format == mutable.MDMF}
}
