package gateway

import (
	"bufio"
	"context"
	"errors"
	"net/http"

	"lafs/node/dirnode"
	"lafs/shares/caps"
)

// get answers GET and HEAD.
func (g *gateway) get(w http.ResponseWriter, r *http.Request, a args, start caps.Cap, t target) error {
	if err := a.only("filename", "save", "output"); err != nil {
		return err
	}
	o, err := g.resolve(r.Context(), start, t.names)
	if err != nil {
		return g.jsonError(w, a, start, err)
	}
	dir, isDir := o.directory()
	switch a.t() {
	case "":
		if isDir && t.named {
			return refuse(http.StatusBadRequest, "only a file can be had by this path")
		}
		if isDir {
			return g.page(w, r, dir, o)
		}
		return g.read(w, r, a, o.Cap(), t)
	case "json":
		if isDir {
			return g.listJSON(w, r.Context(), dir)
		}
		return g.fileJSON(w, r.Context(), o)
	case "uri":
		return writeText(w, reveal(o.Cap()))
	case "readonly-uri":
		if o.Read == nil {
			return refuse(http.StatusNotFound, "nobody knows a read cap of that")
		}
		return writeText(w, o.Read.Reveal())
	case "info":
		return g.about(w, r.Context(), o)
	}
	return errT
}

// resolve finds what names lead to.
func (g *gateway) resolve(ctx context.Context, start caps.Cap, names []string) (*object, error) {
	if len(names) == 0 {
		return &object{Child: childOf(start)}, nil
	}
	if err := g.isDirectory(start); err != nil {
		return nil, err
	}
	n, err := g.cfg.Tree.Resolve(ctx, start, names)
	if err != nil {
		return nil, err
	}
	return &object{n.Child, n.Metadata, true, n.Via}, nil
}

// childOf is the child that a cap names; of an unknown cap nobody knows a
// read cap.
func childOf(c caps.Cap) dirnode.Child {
	child, err := dirnode.NewChild(c)
	if err != nil {
		return dirnode.Child{Write: c}
	}
	return child
}

// jsonError answers with JSON where a directory's description was asked for.
func (g *gateway) jsonError(w http.ResponseWriter, a args, start caps.Cap, err error) error {
	if _, ok := start.(*caps.Directory); !ok || a.t() != "json" {
		return err
	}
	return g.failJSON(w, err)
}

// failJSON answers with an error's text in JSON.
func (g *gateway) failJSON(w http.ResponseWriter, err error) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(g.note(err))
	return writeJSON(w, struct {
		Error string `json:"error"`
	}{err.Error()})
}

// listJSON answers with a directory's description.
func (g *gateway) listJSON(w http.ResponseWriter, ctx context.Context, dir *caps.Directory) error {
	l, err := g.list(ctx, dir)
	if err != nil {
		return g.failJSON(w, err)
	}
	w.Header().Set("Content-Type", "application/json")
	return g.stream(w, func(out *bufio.Writer) error { return describeAll(out, dir, l) })
}

func (g *gateway) list(ctx context.Context, dir *caps.Directory) (*dirnode.Listing, error) {
	if err := g.needTree(); err != nil {
		return nil, err
	}
	return g.cfg.Tree.List(ctx, dir)
}

// fileJSON answers with a file's description.
func (g *gateway) fileJSON(w http.ResponseWriter, ctx context.Context, o *object) error {
	kind, d := describe(o.Child)
	if d.Size == nil {
		d.Size = g.mutableSize(ctx, o.Cap())
	}
	if o.linked {
		d.Metadata = linkJSON(o.metadata)
	}
	return writeJSON(w, described{kind, d})
}

var errNoTree = errors.New("this node keeps no directories and no mutable files")

// needTree refuses what a node without directories can't do.
func (g *gateway) needTree() error {
	if g.cfg.Tree == nil || g.cfg.Mutables == nil {
		return &Error{http.StatusNotImplemented, errNoTree}
	}
	return nil
}
