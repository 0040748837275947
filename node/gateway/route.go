package gateway

import (
	"net/http"

	"lafs/shares/caps"
)

var errMethod = refuse(http.StatusMethodNotAllowed, "that can't be done here with this method")

// route finds what a request asks for. An error means that nothing of an
// answer was sent.
func (g *gateway) route(w http.ResponseWriter, r *http.Request) error {
	a, err := query(r)
	if err != nil {
		return err
	}
	t, ok, err := parseTarget(r.URL.EscapedPath())
	switch {
	case err != nil:
		return err
	case ok:
		return g.routeTarget(w, r, a, t)
	case isUpload(r.URL.Path):
		return g.routeUnlinked(w, r, a)
	case isRoot(r.URL.Path) && isGet(r):
		return g.info(w, a)
	case isRoot(r.URL.Path):
		return errMethod
	}
	return refuse(http.StatusNotFound, "there is nothing at this path; / says what there is")
}

func isGet(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// routeTarget answers what is asked of one file or directory.
func (g *gateway) routeTarget(w http.ResponseWriter, r *http.Request, a args, t target) error {
	start, err := parseCap(t.cap)
	if err != nil {
		return err
	}
	switch {
	case isGet(r):
		return g.get(w, r, a, start, t)
	case t.named:
		return errMethod
	case r.Method == http.MethodPut:
		return g.put(w, r, a, start, t.names)
	case r.Method == http.MethodPost:
		return g.post(w, r, a, start, t.names)
	case r.Method == http.MethodDelete:
		return g.remove(w, r, a, start, t.names)
	}
	return errMethod
}

// routeUnlinked answers what is asked of /uri itself, which makes what no
// directory links to.
func (g *gateway) routeUnlinked(w http.ResponseWriter, r *http.Request, a args) error {
	switch {
	case isGet(r):
		return redirect(w, a)
	case r.Method == http.MethodPut && a.t() == "":
		return g.putUnlinked(w, r, a)
	case r.Method == http.MethodPut && a.t() == "mkdir":
		return g.mkdir(w, r, a, nil, nil)
	case r.Method == http.MethodPut:
		return errT
	case r.Method == http.MethodPost:
		return g.post(w, r, a, nil, nil)
	}
	return errMethod
}

var (
	errT    = refuse(http.StatusBadRequest, "t= asks for something that this version of lafs does not offer here")
	errTree = refuse(http.StatusBadRequest, "this version of lafs does not walk through trees: t=check looks at one file or directory, t=json lists one directory")
)

// post answers a POST. start is nil at /uri itself.
func (g *gateway) post(w http.ResponseWriter, r *http.Request, a args, start caps.Cap, names []string) error {
	switch a.t() {
	// These have children in JSON as their body, whatever type the caller
	// says it is.
	case "mkdir-with-children", "mkdir-immutable":
		return g.mkdirWithChildren(w, r, a, start, names)
	case "set_children", "set-children":
		return g.setChildren(w, r, a, start, names)
	}
	p, err := g.form(w, r, a)
	if err != nil {
		return err
	}
	defer p.Close()
	// What sends the browser away from here is refused before anything is done.
	if _, err := a.next(nil); err != nil {
		return err
	}
	t := a.t()
	if p.file != nil && t != "upload" && t != "" {
		return refuse(http.StatusBadRequest, "the form holds a file, which is not expected here")
	}
	switch t {
	case "upload", "":
		return g.postUpload(w, r, a, p, start, names)
	case "mkdir":
		return g.mkdir(w, r, a, start, names)
	}
	if start == nil {
		return errT
	}
	switch t {
	case "uri":
		return g.postLink(w, r, a, start, names)
	case "delete", "unlink":
		return g.postUnlink(w, r, a, start, names)
	case "rename":
		return g.rename(w, r, a, start, names)
	case "relink":
		return g.relink(w, r, a, start, names)
	case "check":
		return g.check(w, r, a, start, names)
	case "start-deep-check", "stream-deep-check", "start-manifest", "stream-manifest", "start-deep-size", "start-deep-stats":
		return errTree
	}
	return errT
}
