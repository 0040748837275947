package gateway

import (
	"net/http"

	"lafs/node/dirnode"
	"lafs/shares/caps"
)

// putUnlinked answers PUT /uri.
func (g *gateway) putUnlinked(w http.ResponseWriter, r *http.Request, a args) error {
	if err := a.only("format", "mutable", "private-key"); err != nil {
		return err
	}
	u, err := g.upload(a)
	if err != nil {
		return err
	}
	src, err := g.spoolBody(w, r)
	if err != nil {
		return err
	}
	defer src.Close()
	return g.answerMade(w, r, a, func(progress func(Progress)) (made, error) {
		c, err := g.store(r.Context(), src, u, progress)
		return made{c, false}, err
	})
}

// put answers PUT to a cap and to a path.
func (g *gateway) put(w http.ResponseWriter, r *http.Request, a args, start caps.Cap, names []string) error {
	switch a.t() {
	case "":
	case "mkdir":
		return g.mkdir(w, r, a, start, names)
	case "uri":
		return g.putLink(w, r, a, start, names)
	default:
		return errT
	}
	if err := a.only("format", "mutable", "private-key", "replace", "offset"); err != nil {
		return err
	}
	u, err := g.upload(a)
	if err != nil {
		return err
	}
	if err := g.needTree(); err != nil {
		return err
	}
	if len(names) == 0 {
		return g.putFile(w, r, a, start, u)
	}
	if _, ok := start.(*caps.Directory); !ok {
		return errNoChildren
	}
	s := g.search(r.Context(), start, names)
	defer s.stop()
	src, err := g.spoolBody(w, r)
	if err != nil {
		return err
	}
	defer src.Close()
	return g.answerMade(w, r, a, func(progress func(Progress)) (made, error) {
		return g.place(r.Context(), s, start, names, src, u, progress)
	})
}

var errNoChildren = refuse(http.StatusBadRequest, "only a directory has children")

// putFile overwrites the mutable file that the cap names.
func (g *gateway) putFile(w http.ResponseWriter, r *http.Request, a args, c caps.Cap, u upload) error {
	file, err := g.fileToWrite(c, u)
	if err != nil {
		return err
	}
	src, err := g.spoolBody(w, r)
	if err != nil {
		return err
	}
	defer src.Close()
	return g.answerMade(w, r, a, func(func(Progress)) (made, error) {
		return g.rewrite(r.Context(), file, src, u)
	})
}

func (g *gateway) fileToWrite(c caps.Cap, u upload) (*caps.MutableWriter, error) {
	if _, ok := c.(*caps.Directory); ok {
		return nil, refuse(http.StatusBadRequest, "a file is put into a directory under a name; add it to the path")
	}
	file, err := writableFile(c, u.offset)
	if err == nil && u.replace == dirnode.Never {
		return nil, &Error{http.StatusConflict, dirnode.ErrChildExists}
	}
	return file, err
}

// spoolBody reads the file that is the body of a request.
func (g *gateway) spoolBody(w http.ResponseWriter, r *http.Request) (Source, error) {
	if r.ContentLength > caps.MaxSize {
		return nil, refuse(http.StatusRequestEntityTooLarge, "no file can be that large")
	}
	in := g.body(w, r)
	return g.spool(in, in)
}

// postUpload answers POST ?t=upload, with a file in a form.
func (g *gateway) postUpload(w http.ResponseWriter, r *http.Request, a args, p *post, start caps.Cap, names []string) error {
	if err := a.only("name", "replace", "when_done", "format", "mutable", "private-key"); err != nil {
		return err
	}
	if p.file == nil {
		return refuse(http.StatusBadRequest, "the form holds no file")
	}
	u, err := g.upload(a)
	if err != nil {
		return err
	}
	if start == nil {
		return g.answerMade(w, r, a, func(progress func(Progress)) (made, error) {
			c, err := g.store(r.Context(), p.file, u, progress)
			return made{c, false}, err
		})
	}
	if err := g.needTree(); err != nil {
		return err
	}
	if _, ok := start.(*caps.Directory); !ok && len(names) > 0 {
		return errNoChildren
	} else if !ok {
		file, err := g.fileToWrite(start, u)
		if err != nil {
			return err
		}
		return g.answerMade(w, r, a, func(func(Progress)) (made, error) {
			return g.rewrite(r.Context(), file, p.file, u)
		})
	}
	if names, err = g.uploadPath(r, a, p, start, names); err != nil {
		return err
	}
	s := g.search(r.Context(), start, names)
	defer s.stop()
	return g.answerMade(w, r, a, func(progress func(Progress)) (made, error) {
		m, err := g.place(r.Context(), s, start, names, p.file, u, progress)
		m.created = false // Tahoe answers a form with 200.
		return m, err
	})
}

// uploadPath is where the file of a form goes: into the directory at the end
// of names, under the name that the form or the file has; or, if there is no
// directory and no name, to the end of names itself.
func (g *gateway) uploadPath(r *http.Request, a args, p *post, start caps.Cap, names []string) ([]string, error) {
	name := a.Get("name")
	if name == "" && len(names) > 0 {
		o, err := g.resolve(r.Context(), start, names)
		if err != nil && status(err) != http.StatusNotFound {
			return nil, blocked(err)
		}
		if err != nil || !o.IsDirectory() {
			return names, nil
		}
	}
	if name == "" {
		name = p.filename
	}
	if name == "" {
		return nil, refuse(http.StatusBadRequest, "name= is missing")
	}
	return append(names[:len(names):len(names)], name), checkName(name)
}
