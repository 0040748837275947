package mux

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"time"
)

// readStall is how long a client may send no byte of a request's body, and
// how long what remains of one is waited for that nobody wants any more.
const readStall = 2 * time.Minute

// A handler stands between net/http and the real one: headers by the fixed
// list, stalled bodies given up, panics logged without values.
type handler struct {
	next http.Handler
	log  *slog.Logger
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// net/http reads the rest of the body, however long it takes to come, and
	// after a panic too.
	defer func() { _ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readStall)) }()
	defer h.recover()
	r.Header = only(r.Header, requestHeaders)
	r.Trailer = nil
	if r.ContentLength != 0 {
		r.Body = &stallBody{ReadCloser: r.Body, rc: http.NewResponseController(w)}
	}
	if p := PlaceOf(r.Context()); p != nil {
		p.begin()
		defer p.end()
	}
	aw := &answerWriter{w: w, header: make(http.Header), vouch: func() { Vouch(r.Context(), nil) }}
	h.next.ServeHTTP(aw, r)
	aw.begin(http.StatusOK)
}

// recover logs a panic by its kind and the functions that it passed, since a
// value or an argument may be secret, and breaks the stream.
func (h *handler) recover() {
	v := recover()
	if v == nil {
		return
	}
	if v != http.ErrAbortHandler {
		h.log.Error("handler panicked", "kind", fmt.Sprintf("%T", v), "functions", functions())
	}
	panic(http.ErrAbortHandler)
}

func functions() []string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	var out []string
	for {
		f, more := frames.Next()
		out = append(out, f.Function)
		if !more {
			return out
		}
	}
}

// A stallBody is a request's body whose reads fail when nothing comes.
type stallBody struct {
	io.ReadCloser
	rc *http.ResponseController
}

func (b *stallBody) Read(p []byte) (int, error) {
	b.rc.SetReadDeadline(time.Now().Add(readStall))
	n, err := b.ReadCloser.Read(p)
	// Behind the body net/http reads on to see the client leave, for as long
	// as the handler takes.
	b.rc.SetReadDeadline(time.Time{})
	return n, err
}

// An answerWriter lets through the headers of the fixed list, and keeps
// net/http from adding its own.
type answerWriter struct {
	w      http.ResponseWriter
	header http.Header // the real handler's
	vouch  func()
	begun  bool
}

func (a *answerWriter) Header() http.Header { return a.header }

func (a *answerWriter) WriteHeader(status int) {
	// Informational answers are not part of our protocol.
	if status >= 200 {
		a.begin(status)
	}
}

func (a *answerWriter) begin(status int) {
	if a.begun {
		return
	}
	a.begun = true
	h := a.w.Header()
	clear(h)
	for name, v := range only(a.header, answerHeaders) {
		h[name] = v
	}
	h["Date"] = nil
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // or net/http would guess one
	}
	if status < http.StatusBadRequest {
		a.vouch()
	}
	a.w.WriteHeader(status)
}

func (a *answerWriter) Write(p []byte) (int, error) {
	a.begin(http.StatusOK)
	return a.w.Write(p)
}

// Unwrap lets http.ResponseController reach deadlines.
func (a *answerWriter) Unwrap() http.ResponseWriter { return a.w }

// Flush implements http.Flusher.
func (a *answerWriter) Flush() {
	a.begin(http.StatusOK)
	http.NewResponseController(a.w).Flush()
}
