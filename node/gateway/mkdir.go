package gateway

import (
	"context"
	"net/http"

	"lafs/node/dirnode"
	"lafs/shares/caps"
)

// mkdir answers PUT and POST ?t=mkdir: at /uri a directory that nothing links
// to, else the directory at the end of the path, and of name= if it is there,
// which is made if it is not there yet.
func (g *gateway) mkdir(w http.ResponseWriter, r *http.Request, a args, start caps.Cap, names []string) error {
	if err := a.only("name", "format", "mutable", "private-key", "replace", "redirect_to_result", "when_done"); err != nil {
		return err
	}
	o, err := g.mkdirOptions(a)
	if err != nil {
		return err
	}
	names, err = g.newPath(a, start, names)
	if err != nil {
		return err
	}
	if r.Method == http.MethodPut {
		// The form of a POST is read already.
		if text, err := g.body(w, r).all(0); err != nil || len(text) > 0 {
			return refuse(http.StatusBadRequest, "t=mkdir takes no body; for children there is t=mkdir-with-children")
		}
	}
	dir, err := g.makeDirectory(r.Context(), a, start, names, o)
	if err != nil {
		return err
	}
	return finish(w, a, made{cap: dir})
}

// newPath is where a new directory is to be linked: nowhere, if start is nil.
func (g *gateway) newPath(a args, start caps.Cap, names []string) ([]string, error) {
	if start == nil {
		return nil, g.needTree()
	}
	if err := g.isDirectory(start); err != nil {
		return nil, err
	}
	if a.Get("name") == "" {
		return names, nil
	}
	name, err := a.name("name")
	return append(names[:len(names):len(names)], name), err
}

func (g *gateway) mkdirOptions(a args) (o dirnode.CreateOptions, err error) {
	f, err := a.format(g.cfg.Format)
	if err != nil {
		return o, err
	}
	if f == chk {
		return o, refuse(http.StatusBadRequest, "a directory that can change is not kept as CHK; for one that can't there is t=mkdir-immutable")
	}
	o = g.dirOptions()
	if f != anyFormat {
		o.MDMF = f == mdmf
	}
	o.Key, err = a.key()
	return o, err
}

// makeDirectory makes an empty directory. One that is at the end of the path
// already is taken as it is, unless replace= says something of it: nobody
// wants to lose what is in it by saying nothing.
func (g *gateway) makeDirectory(ctx context.Context, a args, start caps.Cap, names []string, o dirnode.CreateOptions) (*caps.Directory, error) {
	replace, err := a.replace()
	if err != nil {
		return nil, err
	}
	if start == nil {
		return g.cfg.Tree.Mkdir(ctx, o, nil)
	}
	if !a.Has("replace") || len(names) == 0 {
		dir, err := g.cfg.Tree.MkdirPath(ctx, start, names, o)
		return dir, blocked(err)
	}
	dir, err := g.cfg.Tree.Mkdir(ctx, o, nil)
	if err != nil {
		return nil, err
	}
	return dir, g.linkNew(ctx, start, names, dir, replace)
}

// mkdirWithChildren answers POST ?t=mkdir-with-children and mkdir-immutable,
// whose body is the children.
func (g *gateway) mkdirWithChildren(w http.ResponseWriter, r *http.Request, a args, start caps.Cap, names []string) error {
	known, immutable := []string{"name", "redirect_to_result", "when_done"}, a.t() == "mkdir-immutable"
	if !immutable {
		known = append(known, "format", "mutable", "private-key")
	}
	if err := a.only(known...); err != nil {
		return err
	}
	if _, err := a.next(nil); err != nil {
		return err
	}
	o, err := g.mkdirOptions(a)
	if err != nil {
		return err
	}
	linked := start != nil
	if names, err = g.newPath(a, start, names); err != nil {
		return err
	}
	if linked && len(names) == 0 {
		return &Error{http.StatusConflict, dirnode.ErrChildExists}
	}
	links, err := g.children(w, r, immutable)
	if err != nil {
		return err
	}
	dir, err := g.fill(r.Context(), o, links, immutable)
	if err != nil {
		return err
	}
	if linked {
		if err := g.linkNew(r.Context(), start, names, dir, dirnode.Never); err != nil {
			return err
		}
	}
	return finish(w, a, made{cap: dir})
}

// fill makes a directory of links.
func (g *gateway) fill(ctx context.Context, o dirnode.CreateOptions, links []dirnode.Link, immutable bool) (*caps.Directory, error) {
	entries := make([]dirnode.Entry, len(links))
	for i, l := range links {
		entries[i] = dirnode.Entry{Name: l.Name, Child: l.Child, Metadata: l.Metadata}
	}
	if immutable {
		return g.cfg.Tree.MkdirImmutable(ctx, entries)
	}
	return g.cfg.Tree.Mkdir(ctx, o, entries)
}
