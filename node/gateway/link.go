package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"lafs/node/dirnode"
	"lafs/shares/caps"
)

// putLink answers PUT ?t=uri: the body is a cap, to be linked at the path.
func (g *gateway) putLink(w http.ResponseWriter, r *http.Request, a args, start caps.Cap, names []string) error {
	if err := a.only("replace"); err != nil {
		return err
	}
	text, err := g.body(w, r).all(maxCap)
	if err != nil {
		return err
	}
	return g.linkCap(w, r, a, start, names, string(text))
}

// postLink answers POST ?t=uri&name=&uri=.
func (g *gateway) postLink(w http.ResponseWriter, r *http.Request, a args, start caps.Cap, names []string) error {
	if err := a.only("name", "uri", "replace", "when_done"); err != nil {
		return err
	}
	name, err := a.name("name")
	if err != nil {
		return err
	}
	return g.linkCap(w, r, a, start, append(names[:len(names):len(names)], name), a.Get("uri"))
}

// linkCap links the object that a cap names at the end of a path.
func (g *gateway) linkCap(w http.ResponseWriter, r *http.Request, a args, start caps.Cap, names []string, text string) error {
	replace, err := a.replace()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return refuse(http.StatusBadRequest, "a child is linked in a directory under a name; add it to the path")
	}
	if err := g.isDirectory(start); err != nil {
		return err
	}
	c, err := parseCap(strings.TrimSpace(text))
	if err != nil {
		return err
	}
	child, err := dirnode.NewChild(c)
	if err != nil {
		return err
	}
	if _, err := g.link(r.Context(), nil, start, names, dirnode.Link{Child: child}, replace); err != nil {
		return err
	}
	return finish(w, a, made{cap: c})
}

// isDirectory refuses a start that can't lead anywhere.
func (g *gateway) isDirectory(start caps.Cap) error {
	if _, ok := start.(*caps.Directory); !ok {
		return errNoChildren
	}
	return g.needTree()
}

// directoryAt finds the directory at the end of names.
func (g *gateway) directoryAt(ctx context.Context, start caps.Cap, names []string) (*caps.Directory, error) {
	dir, _, err := g.directoryVia(ctx, start, names)
	return dir, err
}

// directoryVia is directoryAt that also tells the directories on the way.
func (g *gateway) directoryVia(ctx context.Context, start caps.Cap, names []string) (dir *caps.Directory, via []*caps.Directory, err error) {
	if err := g.isDirectory(start); err != nil {
		return nil, nil, err
	}
	o, err := g.resolve(ctx, start, names)
	if err != nil {
		return nil, nil, err
	}
	dir, ok := o.directory()
	if !ok {
		return nil, nil, errNoChildren
	}
	return dir, o.via, nil
}

// remove answers DELETE with the cap of the child that was unlinked.
func (g *gateway) remove(w http.ResponseWriter, r *http.Request, a args, start caps.Cap, names []string) error {
	if err := a.only(); err != nil {
		return err
	}
	if a.t() != "" {
		return errT
	}
	if len(names) == 0 {
		return refuse(http.StatusBadRequest, "a child is unlinked from its directory; only its path says from which")
	}
	last := len(names) - 1
	dir, err := g.directoryAt(r.Context(), start, names[:last])
	if err != nil {
		return err
	}
	e, err := g.cfg.Tree.Unlink(r.Context(), dir, names[last])
	if err != nil {
		return err
	}
	return writeText(w, reveal(e.Child.Cap()))
}

// postUnlink answers POST ?t=unlink&name=. It takes every name, since this is
// how one gets rid of a child that no path can name.
func (g *gateway) postUnlink(w http.ResponseWriter, r *http.Request, a args, start caps.Cap, names []string) error {
	if err := a.only("name", "when_done"); err != nil {
		return err
	}
	dir, err := g.directoryAt(r.Context(), start, names)
	if err != nil {
		return err
	}
	if _, err := g.cfg.Tree.Unlink(r.Context(), dir, a.Get("name")); err != nil {
		return err
	}
	return done(w, a)
}

// done answers that something is done, which leaves no cap to tell.
func done(w http.ResponseWriter, a args) error {
	to, err := a.next(nil)
	if err != nil {
		return err
	}
	if to != "" {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	return writeText(w, "done\n")
}

// rename answers POST ?t=rename&from_name=&to_name=.
func (g *gateway) rename(w http.ResponseWriter, r *http.Request, a args, start caps.Cap, names []string) error {
	if err := a.only("from_name", "to_name", "replace", "when_done"); err != nil {
		return err
	}
	if a.Get("to_name") == "" {
		return refuse(http.StatusBadRequest, "to_name= is missing")
	}
	return g.move(w, r, a, start, names)
}

// relink answers POST ?t=relink&from_name=&to_dir=&to_name=: to_dir is a cap
// with a path behind it, or is left out for the same directory; to_name is the
// old name if it is left out.
func (g *gateway) relink(w http.ResponseWriter, r *http.Request, a args, start caps.Cap, names []string) error {
	if err := a.only("from_name", "to_dir", "to_name", "replace", "when_done"); err != nil {
		return err
	}
	return g.move(w, r, a, start, names)
}

func (g *gateway) move(w http.ResponseWriter, r *http.Request, a args, start caps.Cap, names []string) error {
	replace, err := a.replace()
	if err != nil {
		return err
	}
	from, err := a.name("from_name")
	if err != nil {
		return err
	}
	to := from
	if a.Get("to_name") != "" {
		if to, err = a.name("to_name"); err != nil {
			return err
		}
	}
	dir, err := g.directoryAt(r.Context(), start, names)
	if err != nil {
		return err
	}
	toDir, via := dir, []*caps.Directory(nil)
	if text := a.Get("to_dir"); text != "" {
		if toDir, via, err = g.toDir(r.Context(), text); err != nil {
			return err
		}
	}
	if err := g.cfg.Tree.Move(r.Context(), dir, from, toDir, to, replace, via...); err != nil {
		return err
	}
	return done(w, a)
}

// toDir finds the directory of CAP/path, and those on the way.
func (g *gateway) toDir(ctx context.Context, text string) (dir *caps.Directory, via []*caps.Directory, err error) {
	parts := strings.Split(strings.TrimSuffix(text, "/"), "/")
	start, err := parseCap(parts[0])
	if err != nil {
		return nil, nil, err
	}
	for _, name := range parts[1:] {
		if err := checkName(name); err != nil {
			return nil, nil, err
		}
	}
	if dir, via, err = g.directoryVia(ctx, start, parts[1:]); err != nil {
		return nil, nil, &Error{status(err), fmt.Errorf("to_dir=: %w", err)}
	}
	return dir, via, nil
}

// setChildren answers POST ?t=set_children: the body is the children, in the
// shape in which a description shows them.
func (g *gateway) setChildren(w http.ResponseWriter, r *http.Request, a args, start caps.Cap, names []string) error {
	if err := a.only("replace", "overwrite"); err != nil {
		return err
	}
	if a.Has("overwrite") && !a.Has("replace") {
		a.Set("replace", a.Get("overwrite"))
	}
	replace, err := a.replace()
	if err != nil {
		return err
	}
	if start == nil {
		return errT
	}
	if err := g.isDirectory(start); err != nil {
		return err
	}
	links, err := g.children(w, r, false)
	if err != nil {
		return err
	}
	dir, err := g.cfg.Tree.MkdirPath(r.Context(), start, names, g.dirOptions())
	if err != nil {
		return blocked(err)
	}
	if _, err := g.cfg.Tree.LinkMany(r.Context(), dir, links, replace); err != nil {
		return err
	}
	return writeText(w, "done\n")
}

// linkNew links a new directory at the end of names, where nothing may be
// unless r allows it.
func (g *gateway) linkNew(ctx context.Context, start caps.Cap, names []string, dir *caps.Directory, r dirnode.Replace) error {
	if len(names) == 0 {
		return errors.New("a new directory has no name")
	}
	_, err := g.link(ctx, nil, start, names, dirnode.Link{Child: childOf(dir)}, r)
	return err
}
