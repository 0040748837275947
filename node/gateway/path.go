package gateway

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"lafs/shares/caps"
)

func isRoot(path string) bool   { return path == "/" || path == "" }
func isUpload(path string) bool { return path == "/uri" || path == "/uri/" }

// A target is what the path of a request names.
type target struct {
	// cap is the text where the path begins. Secret.
	cap string
	// names leads from there to a child.
	names []string
	// named tells that the path is /named/CAP/NAME, and file is the name that
	// it gives the file.
	named bool
	file  string
}

// parseTarget reads /uri/CAP and /cap/CAP with the names that follow, and
// /named/CAP/NAME and /file/CAP/NAME. A slash may stand at the end. ok tells
// whether the path is of one of those forms.
func parseTarget(escaped string) (t target, ok bool, err error) {
	prefix, rest, _ := strings.Cut(strings.TrimPrefix(escaped, "/"), "/")
	t.named = prefix == "named" || prefix == "file"
	if prefix != "uri" && prefix != "cap" && !t.named {
		return t, false, nil
	}
	rest = strings.TrimSuffix(rest, "/")
	if rest == "" {
		return t, false, nil
	}
	for part := range strings.SplitSeq(rest, "/") {
		name, err := url.PathUnescape(part)
		if err != nil {
			return t, true, refuse(http.StatusBadRequest, "the path is not well escaped")
		}
		if name == "" {
			return t, true, refuse(http.StatusBadRequest, "a name in the path is empty: there is a double slash")
		}
		t.names = append(t.names, name)
	}
	t.cap, t.names = t.names[0], t.names[1:]
	if t.named {
		// What else stands there is for the programs that read the URL.
		if len(t.names) > 0 {
			t.file = t.names[len(t.names)-1]
		}
		t.names = nil
	}
	for _, name := range t.names {
		if err := checkName(name); err != nil {
			return t, true, err
		}
	}
	return t, true, nil
}

// checkName refuses what can't be the name of a child in a path.
func checkName(name string) error {
	switch {
	case name == "":
		return refuse(http.StatusBadRequest, "a name is empty")
	case !utf8.ValidString(name):
		return refuse(http.StatusBadRequest, "a name is not in UTF-8")
	case strings.Contains(name, "/"):
		return refuse(http.StatusBadRequest, "a name with a slash in it can't be used here")
	}
	return nil
}

// parseCap reads a cap that a request gives.
func parseCap(text string) (caps.Cap, error) {
	c, err := caps.Parse(text)
	if err != nil {
		return nil, &Error{http.StatusBadRequest, err}
	}
	return c, nil
}

// redirect answers GET /uri?uri=CAP. What else the query says stays.
func redirect(w http.ResponseWriter, a args) error {
	c, err := parseCap(a.Get("uri"))
	if err != nil {
		return err
	}
	rest := maps.Clone(a.Values)
	rest.Del("uri")
	to := "/uri/" + url.PathEscape(c.Reveal())
	if len(rest) > 0 {
		to += "?" + rest.Encode()
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusFound)
	return nil
}
