package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"lafs/node"
	"lafs/onion/local"
)

// A runningNode is the node of the directory, reached over
// private/gateway.sock and in no other way.
type runningNode struct {
	dir node.Dir
	rt  http.RoundTripper
}

// errNotRunning is matched by the error of a call to a node that does not
// run.
var errNotRunning = errors.New("the node is not running")

// errBeyond is a file that ends before what was asked for.
var errBeyond = &refusal{"the file has no such bytes"}

// errBrokeOff is a node that ended in the middle of an answer.
var errBrokeOff = errors.New("the node broke off; was it stopped? lafs status tells")

func (a *app) running() *runningNode {
	d := node.Dir(a.dir)
	return &runningNode{dir: d, rt: local.UnixClient(d.Socket())}
}

// call sends one request. The path is already escaped; it may hold a cap, so
// it stands in no error. The answer is good (2xx); its body must be closed.
func (n *runningNode) call(ctx context.Context, method, path string, body io.Reader, size int64, accept ...string) (*http.Response, error) {
	return n.send(ctx, method, path, body, size, http.Header{"Accept": accept})
}

// fetch is a GET of the bytes from some byte on.
func (n *runningNode) fetch(ctx context.Context, path string, from int64) (*http.Response, error) {
	header := http.Header{}
	if from > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	return n.send(ctx, http.MethodGet, path, nil, 0, header)
}

func (n *runningNode) send(ctx context.Context, method, path string, body io.Reader, size int64, header http.Header) (*http.Response, error) {
	u, err := url.Parse("http://" + node.SocketHost + path)
	if err != nil {
		return nil, errors.New("the request cannot be written as a URL")
	}
	req := (&http.Request{
		Method: method, URL: u, Host: node.SocketHost, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	if body != nil {
		req.Body = io.NopCloser(body)
		req.ContentLength = size
		if size == 0 {
			req.Body = http.NoBody
		}
	}
	resp, err := n.rt.RoundTrip(req)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return nil, n.absent()
	case errors.Is(err, syscall.EACCES):
		return nil, foreignNode(n.dir)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return nil, errBrokeOff
	case err != nil:
		return nil, fmt.Errorf("ask the node: %w", err)
	case resp.StatusCode >= 300:
		defer resp.Body.Close()
		return nil, answerError(resp)
	}
	return resp, nil
}

// absent is the error of a node that does not listen.
func (n *runningNode) absent() error {
	if _, err := os.Stat(filepath.Join(string(n.dir), "tahoe.cfg")); errors.Is(err, fs.ErrNotExist) {
		return noNode(n.dir)
	}
	return fmt.Errorf("%w; start it with: lafs -d %s run", errNotRunning, n.dir)
}

// noNode is the error of a directory without a node.
func noNode(dir node.Dir) error {
	return fmt.Errorf("there is no node in %s; lafs create-client makes one, -d names another directory", dir)
}

// foreignNode is the error of a directory that this user cannot look into.
func foreignNode(dir node.Dir) error {
	return fmt.Errorf("the node in %s belongs to another user", dir)
}

// maxErrorText bounds what is shown of an answer that is an error.
const maxErrorText = 4 << 10

// answerError turns an answer of the node that is not good into an error
// with the node's own words.
func answerError(resp *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorText))
	say := strings.TrimSpace(string(text))
	// Of a directory's description even the error is JSON.
	var described struct{ Error string }
	if resp.Header.Get("Content-Type") == "application/json" && json.Unmarshal(text, &described) == nil && described.Error != "" {
		say = described.Error
	}
	if say == "" {
		say = "the node answered " + resp.Status
	}
	lines := strings.Split(say, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return statusError(resp.StatusCode, strings.Join(lines, "\n"))
}

// statusError is the error of an answer with this status.
func statusError(status int, say string) error {
	switch status {
	case http.StatusNotFound:
		return fmt.Errorf("%w: %s", errNotFound, say)
	case http.StatusRequestedRangeNotSatisfiable:
		return errBeyond
	}
	return &refusal{say}
}

// A refusal is what a node, which works, says about one thing.
type refusal struct{ say string }

func (r *refusal) Error() string { return r.say }
