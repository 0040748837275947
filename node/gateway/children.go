package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"lafs/node/dirnode"
	"lafs/shares/caps"
)

// children reads the body of a request that gives children in JSON. Those of
// an immutable directory are taken to be immutable if nobody knows their
// kind.
func (g *gateway) children(w http.ResponseWriter, r *http.Request, immutable bool) ([]dirnode.Link, error) {
	text, err := g.body(w, r).all(maxJSON)
	if err != nil {
		return nil, err
	}
	return parseChildren(text, immutable)
}

// parseChildren reads children in the shape in which descriptions show them:
// {name: [kind, {rw_uri, ro_uri, metadata}]}. What else stands there is
// ignored. No text at all is no children.
func parseChildren(text []byte, immutable bool) ([]dirnode.Link, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var all map[string][]json.RawMessage
	if !utf8.Valid(text) || json.Unmarshal(text, &all) != nil {
		return nil, refuse(http.StatusBadRequest, "the body is not children in JSON: an object of names, each with a list of a kind and a description")
	}
	links := make([]dirnode.Link, 0, len(all))
	for name, described := range all {
		if len(described) != 2 {
			return nil, refuse(http.StatusBadRequest, "a child is not a list of a kind and a description")
		}
		l, err := parseLink(described[1], immutable)
		if err != nil {
			return nil, fmt.Errorf("one of the children: %w", err)
		}
		l.Name = name
		links = append(links, l)
	}
	return links, nil
}

func parseLink(text []byte, immutable bool) (l dirnode.Link, err error) {
	var d struct {
		Write    string          `json:"rw_uri"`
		ReadOnly string          `json:"ro_uri"`
		Metadata json.RawMessage `json:"metadata"`
	}
	if json.Unmarshal(text, &d) != nil {
		return l, refuse(http.StatusBadRequest, "a description is not one of Tahoe's")
	}
	if d.Write == "" && d.ReadOnly == "" {
		return l, refuse(http.StatusBadRequest, "a description has neither rw_uri nor ro_uri")
	}
	if immutable && d.Write == "" {
		d.ReadOnly = promised(d.ReadOnly)
	}
	if l.Child, err = dirnode.ParseChild(d.Write, d.ReadOnly); err != nil {
		return l, &Error{http.StatusBadRequest, err}
	}
	if len(d.Metadata) > 0 && string(d.Metadata) != "null" {
		l.Metadata = dirnode.Metadata(d.Metadata)
	}
	return l, nil
}

// promised marks a cap of an unknown kind as one that can't change, which its
// place in an immutable directory says.
func promised(text string) string {
	c, err := caps.Parse(text)
	if err != nil || c.Kind() != caps.KindUnknown || strings.HasPrefix(text, "imm.") {
		return text
	}
	return "imm." + strings.TrimPrefix(text, "ro.")
}
