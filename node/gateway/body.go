package gateway

import (
	"io"
	"net/http"
	"time"
)

// A body is a request's, whose sender must not fall asleep for longer than
// idle.
type body struct {
	r    io.Reader
	rc   *http.ResponseController
	idle time.Duration
	err  error // what ended it, but for its end
}

func (b *body) Read(p []byte) (int, error) {
	if b.idle > 0 {
		_ = b.rc.SetReadDeadline(time.Now().Add(b.idle))
	}
	n, err := b.r.Read(p)
	if err != nil {
		// From here on the server listens for the caller's end, and a
		// deadline would be one.
		_ = b.rc.SetReadDeadline(time.Time{})
		if err != io.EOF {
			b.err = err
		}
	}
	return n, err
}

// body is the body of r.
func (g *gateway) body(w http.ResponseWriter, r *http.Request) *body {
	return &body{r: r.Body, rc: http.NewResponseController(w), idle: g.cfg.Idle}
}

// all reads a body into memory; one of more than limit bytes is refused.
func (b *body) all(limit int64) ([]byte, error) {
	text, err := readAll(b, limit)
	if err != nil {
		return nil, b.cut(err)
	}
	return text, nil
}

// cut is the error of a body that did not arrive, if it did not, else err.
func (b *body) cut(err error) error {
	if b.err != nil {
		return refuse(http.StatusBadRequest, "the request was cut off while it was being sent")
	}
	return err
}

func readAll(r io.Reader, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, refuse(http.StatusRequestEntityTooLarge, "the request holds more than fits into memory here")
	}
	return text, nil
}
