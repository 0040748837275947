package gateway

import (
	"context"
	"errors"
	"net/http"
)

// An Error is a failure with the HTTP status that tells it (TAHOE.md,
// "Errors").
type Error struct {
	Status int
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

func refuse(status int, text string) error { return &Error{status, errors.New(text)} }

// status is the HTTP status that tells err.
func status(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status
	}
	return http.StatusInternalServerError
}

// fail answers with an error's text. It holds no cap, since no error does.
func (g *gateway) fail(w http.ResponseWriter, err error) {
	code := status(err)
	if code == http.StatusInternalServerError && !errors.Is(err, context.Canceled) {
		g.cfg.Log.Warn("web API: a request failed", "err", err)
	}
	http.Error(w, err.Error(), code)
}
