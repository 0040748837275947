package gateway

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
)

// The limits of what a request may carry in memory, in bytes. A directory of
// 10,000 entries is about 6 MiB of JSON.
const (
	maxFields = 1 << 20
	maxJSON   = 64 << 20
	maxCap    = 1 << 16
)

// A post is the body of a POST: the fields of a form, which went into the
// request's args, and the file in it, nil if there is none.
type post struct {
	file     Source
	filename string
}

func (p *post) Close() error {
	if p.file == nil {
		return nil
	}
	return p.file.Close()
}

// form reads the form that a POST carries, if it does, and adds its fields to
// a. The file of a form is spooled, since a form's own files would lie on the
// disk for all to read.
func (g *gateway) form(w http.ResponseWriter, r *http.Request, a args) (*post, error) {
	in := g.body(w, r)
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/x-www-form-urlencoded":
		text, err := in.all(maxFields)
		if err != nil {
			return nil, err
		}
		fields, err := url.ParseQuery(string(text))
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "the form is not well written")
		}
		return &post{}, a.merge(fields)
	case err == nil && kind == "multipart/form-data" && params["boundary"] != "":
		p := &post{}
		if err := g.parts(p, multipart.NewReader(in, params["boundary"]), in, a); err != nil {
			p.Close()
			return nil, err
		}
		return p, nil
	}
	if text, err := in.all(maxFields); err != nil {
		return nil, err
	} else if len(text) > 0 {
		return nil, refuse(http.StatusBadRequest, "the body is not a form, which it should be for this request")
	}
	return &post{}, nil
}

// parts reads the parts of a form.
func (g *gateway) parts(p *post, parts *multipart.Reader, in *body, a args) error {
	fields, left := url.Values{}, int64(maxFields)
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return a.merge(fields)
		}
		if err != nil {
			return in.cut(refuse(http.StatusBadRequest, "the form is not well written"))
		}
		if name := part.FormName(); name == "file" {
			err = g.filePart(p, part, in)
		} else {
			var text []byte
			text, err = readAll(part, left)
			left -= int64(len(text) + len(name))
			fields.Add(name, string(text))
		}
		if err != nil {
			return in.cut(err)
		}
	}
}

// filePart spools the file of a form.
func (g *gateway) filePart(p *post, part *multipart.Part, in *body) error {
	if p.file != nil {
		return refuse(http.StatusBadRequest, "the form holds two files")
	}
	src, err := g.spool(part, in)
	p.file, p.filename = src, part.FileName()
	return err
}

// spool reads a file from r, which reads from the body in.
func (g *gateway) spool(r io.Reader, in *body) (Source, error) {
	src, err := g.cfg.Grid.Spool(r)
	if in.err != nil {
		err = in.cut(err)
		if src != nil {
			src.Close()
		}
		return nil, err
	}
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = refuse(http.StatusBadRequest, "the form is cut off")
		}
		return nil, err
	}
	return src, nil
}
