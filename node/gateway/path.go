package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"lafs/shares/caps"
)

func isRoot(path string) bool   { return path == "/" || path == "" }
func isUpload(path string) bool { return path == "/uri" || path == "/uri/" }

// capInPath finds the cap in /uri/CAP or /cap/CAP; a slash may follow. ok
// tells whether the path is of that form.
func capInPath(escaped string) (text string, ok bool, err error) {
	rest, ok := strings.CutPrefix(escaped, "/uri/")
	if !ok {
		rest, ok = strings.CutPrefix(escaped, "/cap/")
	}
	rest = strings.TrimSuffix(rest, "/")
	if !ok || rest == "" {
		return "", false, nil
	}
	first, _, more := strings.Cut(rest, "/")
	if more {
		return "", true, refuse(http.StatusBadRequest, "a file has no children")
	}
	text, err = url.PathUnescape(first)
	if err != nil {
		return "", true, refuse(http.StatusBadRequest, "the path is not well escaped")
	}
	return text, true, nil
}

// parseCap reads a cap that names a file which can be read.
func parseCap(text string) (caps.Cap, int64, error) {
	c, err := caps.Parse(text)
	if err != nil {
		return nil, 0, &Error{http.StatusBadRequest, err}
	}
	switch c := c.(type) {
	case *caps.CHK:
		return c, c.Size, nil
	case *caps.LIT:
		return c, c.Size(), nil
	case *caps.Unknown:
		return nil, 0, refuse(http.StatusBadRequest, "that is not a cap that this version of lafs knows")
	}
	return nil, 0, refuse(http.StatusBadRequest, "a cap of this kind is not one of a file that can be read; those begin with URI:CHK: or URI:LIT:")
}

// redirect answers GET /uri?uri=CAP.
func redirect(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "uri")
	if err != nil {
		return err
	}
	c, _, err := parseCap(q.Get("uri"))
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/uri/"+url.PathEscape(c.Reveal()))
	w.WriteHeader(http.StatusFound)
	return nil
}

// query reads the query, of which only the named keys may be there.
func query(r *http.Request, known ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the query is not well written")
	}
	for key := range q {
		ok := false
		for _, k := range known {
			ok = ok || k == key
		}
		if !ok || len(q[key]) > 1 {
			return nil, refuse(http.StatusBadRequest, "the query asks for something that this version of lafs does not offer here")
		}
	}
	return q, nil
}
