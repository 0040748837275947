package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// The kinds of an entry.
const (
	kindFile      = "filenode"
	kindDirectory = "dirnode"
)

// An entry is what the node says of one file or directory (TAHOE.md, "JSON"):
// an array of its kind and what is known of it. Its caps are secrets.
type entry struct {
	kind string
	entryFacts
}

type entryFacts struct {
	RWURI    string           `json:"rw_uri,omitempty"`
	ROURI    string           `json:"ro_uri,omitempty"`
	Mutable  bool             `json:"mutable,omitempty"`
	Size     *int64           `json:"size,omitempty"` // nil: not known
	Children map[string]entry `json:"children,omitempty"`
	Metadata json.RawMessage  `json:"metadata,omitempty"`
}

// UnmarshalJSON reads the array.
func (e *entry) UnmarshalJSON(text []byte) error {
	parts := []any{&e.kind, &e.entryFacts}
	return json.Unmarshal(text, &parts)
}

// MarshalJSON writes the array, as t=set_children takes it.
func (e entry) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{e.kind, e.entryFacts})
}

// cap is the one that gives the most.
func (e *entry) cap() string {
	if e.RWURI != "" {
		return e.RWURI
	}
	return e.ROURI
}

func (e *entry) directory() bool { return e.kind == kindDirectory }

// size is that of a file; -1 when it is not known.
func (e *entry) size() int64 {
	if e.Size == nil {
		return -1
	}
	return *e.Size
}

// look asks what is at a place. It matches errNotFound.
func (n *runningNode) look(ctx context.Context, p place) (*entry, error) {
	children := map[string]entry{}
	e, err := n.each(ctx, p, func(name string, child entry) error {
		// Only ls shows them, and they are half of what a name takes.
		child.Metadata = nil
		children[name] = child
		return nil
	})
	if err == nil && e.directory() {
		e.Children = children
	}
	return e, err
}

// each asks what is at a place, and hands on what is in a directory one after
// the other, as the node sends it. The entry that it returns has no children.
// It matches errNotFound.
func (n *runningNode) each(ctx context.Context, p place, child func(name string, e entry) error) (*entry, error) {
	body, err := n.describe(ctx, p)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	e, err := readEntry(json.NewDecoder(body), maxEntries, child)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return e, err
}

// describe asks for the JSON of what is at a place, of maxListing bytes at
// most.
func (n *runningNode) describe(ctx context.Context, p place) (io.ReadCloser, error) {
	resp, err := n.call(ctx, "GET", p.url()+"?t=json", nil, 0)
	if err != nil {
		return nil, p.explain(err)
	}
	return &bounded{resp.Body, maxListing}, nil
}

// capOf asks for the cap of what is at a place.
func (n *runningNode) capOf(ctx context.Context, p place) (string, error) {
	if len(p.names) == 0 {
		return p.cap, nil
	}
	text, err := n.ask(ctx, "GET", p.url()+"?t=uri", nil, maxCap)
	return strings.TrimSpace(string(text)), p.explain(err)
}

// mkdir makes the directory at p, and those above it. One that is there is
// no error. Without a cap it makes one that is in no directory. It returns
// its cap.
func (n *runningNode) mkdir(ctx context.Context, p place, format string) (string, error) {
	q := url.Values{"t": {"mkdir"}}
	if format != "" {
		q.Set("format", format)
	}
	path := "/uri"
	if p.cap != "" {
		path = p.url()
	}
	text, err := n.ask(ctx, "POST", path+"?"+q.Encode(), nil, maxCap)
	return strings.TrimSpace(string(text)), err
}

// link puts a cap at a place where no directory is.
func (n *runningNode) link(ctx context.Context, p place, cap string) error {
	_, err := n.ask(ctx, "PUT", p.url()+"?t=uri&replace=only-files", []byte(cap), maxCap)
	return err
}

// linkAll puts entries into the directory with this cap, in one change. None
// replaces a directory.
func (n *runningNode) linkAll(ctx context.Context, dirCap string, children map[string]entry) error {
	body, err := json.Marshal(children)
	if err != nil {
		return err
	}
	_, err = n.ask(ctx, "POST", place{cap: dirCap}.url()+"?t=set_children&replace=only-files", body, maxErrorText)
	return err
}

// ask sends a small request and reads the whole answer, which is at most
// limit bytes.
func (n *runningNode) ask(ctx context.Context, method, path string, body []byte, limit int64) ([]byte, error) {
	var in io.Reader
	if body != nil {
		in = bytes.NewReader(body)
	}
	resp, err := n.call(ctx, method, path, in, int64(len(body)))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, errBrokeOff
	case int64(len(text)) > limit:
		return nil, fmt.Errorf("the node's answer has more than %s", humanSize(limit))
	}
	return text, nil
}

// put stores a file at path, a request's, and returns its cap.
func (n *runningNode) put(ctx context.Context, path string, body io.Reader, size int64) (string, error) {
	resp, err := n.call(ctx, http.MethodPut, path, body, size)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := readPutAnswer(resp, &meter{})
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return answer.cap, err
}
