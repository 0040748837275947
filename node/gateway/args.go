package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"lafs/node/dirnode"
	"lafs/shares/mutable"
)

// args is what a request says beside its path and its body: the query, and
// the fields of the form in a POST, where the query wins.
type args struct{ url.Values }

// query reads a request's query.
func query(r *http.Request) (args, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return args{}, refuse(http.StatusBadRequest, "the query is not well written")
	}
	return args{q}, once(q)
}

// once refuses a key that is there twice: one of them would be ignored.
func once(v url.Values) error {
	for _, values := range v {
		if len(values) > 1 {
			return refuse(http.StatusBadRequest, "the request says one thing twice")
		}
	}
	return nil
}

// merge adds what a form says.
func (a args) merge(form url.Values) error {
	if err := once(form); err != nil {
		return err
	}
	for key, values := range form {
		if !a.Has(key) {
			a.Values[key] = values
		}
	}
	return nil
}

// only refuses keys that are not among those known and t: who asks for
// something must not get something else.
func (a args) only(known ...string) error {
	for key := range a.Values {
		if key != "t" && !slices.Contains(known, key) {
			return refuse(http.StatusBadRequest, "the request asks for something that this version of lafs does not offer here")
		}
	}
	return nil
}

// t is what is to be done.
func (a args) t() string { return strings.TrimSpace(a.Get("t")) }

// boolean reads what Tahoe takes for yes and no.
func (a args) boolean(key string, missing bool) (bool, error) {
	if !a.Has(key) {
		return missing, nil
	}
	switch strings.ToLower(a.Get(key)) {
	case "true", "t", "1", "on":
		return true, nil
	case "false", "f", "0", "off":
		return false, nil
	}
	return false, refuse(http.StatusBadRequest, fmt.Sprintf("%s= is neither true nor false", key))
}

// name reads the name of a child.
func (a args) name(key string) (string, error) {
	name := a.Get(key)
	if name == "" {
		return "", refuse(http.StatusBadRequest, fmt.Sprintf("%s= is missing", key))
	}
	return name, checkName(name)
}

// offset reads where in a file the body goes, -1 if nothing is said.
func (a args) offset() (int64, error) {
	if !a.Has("offset") {
		return -1, nil
	}
	n, err := strconv.ParseUint(a.Get("offset"), 10, 63)
	if err != nil {
		return 0, refuse(http.StatusBadRequest, "offset= is not a number of bytes")
	}
	return int64(n), nil
}

// replace reads what may be replaced by a new child: anything, unless the
// request says otherwise.
func (a args) replace() (dirnode.Replace, error) {
	if strings.EqualFold(a.Get("replace"), "only-files") {
		return dirnode.OnlyFiles, nil
	}
	yes, err := a.boolean("replace", true)
	if err != nil {
		return 0, refuse(http.StatusBadRequest, "replace= is none of true, false and only-files")
	}
	if yes {
		return dirnode.Always, nil
	}
	return dirnode.Never, nil
}

// A format is how a file or a directory is kept.
type format int

// The formats. A file for which none is asked for is immutable; a directory
// for which none is asked for is kept as the node's owner prefers.
const (
	anyFormat format = iota
	chk
	sdmf
	mdmf
)

// format reads the format that a new file or directory is to have.
func (a args) format(preferred mutable.Format) (format, error) {
	switch strings.ToUpper(a.Get("format")) {
	case "CHK":
		return chk, nil
	case "SDMF":
		return sdmf, nil
	case "MDMF":
		return mdmf, nil
	case "":
	default:
		return 0, refuse(http.StatusBadRequest, "format= is none of CHK, SDMF and MDMF")
	}
	yes, err := a.boolean("mutable", false)
	if !yes || err != nil {
		return anyFormat, err
	}
	if preferred == mutable.MDMF {
		return mdmf, nil
	}
	return sdmf, nil
}
