package mux

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
)

// Guard returns what stands between net/http and h on connections that are
// no sessions, with the rules of Serve: of requests and answers only the
// headers of the fixed list, no Date, bodies that stall given up, panics
// logged by function names only.
func Guard(h http.Handler, log *slog.Logger) http.Handler { return &handler{h, log} }

// Bare returns a writer to w for one answer that no handler gave: net/http
// has words and headers of its own for what it cannot read, some with the
// time of our clock. Its code travels, and no more.
func Bare(w io.Writer) io.Writer { return &bare{w: w} }

type bare struct {
	gate gate
	w    io.Writer
}

func (b *bare) Write(p []byte) (int, error) {
	out, err := b.gate.pass(p)
	if err == nil {
		_, err = b.w.Write(out)
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Outgoing returns req as it goes on the wire of a connection that is no
// session: over scheme, with the headers of the fixed list and no others.
func Outgoing(req *http.Request, scheme string) (*http.Request, error) {
	if req.URL == nil {
		return nil, errors.New("mux: the request has no URL")
	}
	out := new(http.Request)
	*out = *req
	out.URL = &url.URL{Scheme: scheme, Host: wireHost, Path: req.URL.Path, RawPath: req.URL.RawPath, RawQuery: req.URL.RawQuery}
	out.Host = wireHost
	out.Header = only(req.Header, requestHeaders)
	// An entry without a value keeps net/http from writing its own.
	out.Header["User-Agent"] = nil
	out.Trailer, out.Close = nil, false
	return out, nil
}

// Incoming returns those of an answer's headers that a caller may see.
func Incoming(h http.Header) http.Header { return only(h, answerHeaders) }
