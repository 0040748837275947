package gateway

import (
	"context"
	"errors"
	"net/http"

	"lafs/node/dirnode"
	"lafs/node/grid"
	"lafs/node/update"
	"lafs/shares/immutable"
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

// statuses tells what a failure in the rooms below is to the caller. What is
// not here is the node's or the grid's trouble.
var statuses = []struct {
	err    error
	status int
}{
	{dirnode.ErrNoChild, http.StatusNotFound},
	{dirnode.ErrChildExists, http.StatusConflict},
	{dirnode.ErrNotADirectory, http.StatusBadRequest},
	{dirnode.ErrReadOnly, http.StatusBadRequest},
	{dirnode.ErrMustBeReadOnly, http.StatusBadRequest},
	{dirnode.ErrMustBeImmutable, http.StatusBadRequest},
	{dirnode.ErrIntoItself, http.StatusBadRequest},
	{dirnode.ErrName, http.StatusBadRequest},
	{dirnode.ErrMetadata, http.StatusBadRequest},
	{grid.ErrNotAFile, http.StatusBadRequest},
	{immutable.ErrWrongCap, http.StatusBadRequest},
	{update.ErrExists, http.StatusConflict},
	{update.ErrNotFound, http.StatusGone},
	{update.ErrDeleted, http.StatusGone},
	{update.ErrReserved, http.StatusBadRequest},
}

// status is the HTTP status that tells err.
func status(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status
	}
	if _, ok := errors.AsType[*grid.NotEnoughSharesError](err); ok {
		return http.StatusGone
	}
	// Whatever the reason is: what the caller did may have been right.
	if _, ok := errors.AsType[*update.UnknownOutcomeError](err); ok {
		return http.StatusInternalServerError
	}
	if _, ok := errors.AsType[*update.NotDoneError](err); !ok && errors.Is(err, update.ErrTooFewServers) {
		return http.StatusGone // Nothing was to be done: it could not be read.
	}
	// A directory that is damaged is not the caller's fault, whatever it is
	// that is wrong in it.
	if errors.Is(err, dirnode.ErrCorrupt) {
		return http.StatusInternalServerError
	}
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			return s.status
		}
	}
	return http.StatusInternalServerError
}

// blocked is err of a path that was to be made: what is no directory there is
// in the way.
func blocked(err error) error {
	if errors.Is(err, dirnode.ErrNotADirectory) {
		return &Error{http.StatusConflict, err}
	}
	return err
}

// fail answers with an error's text. It holds no cap, since no error does.
func (g *gateway) fail(w http.ResponseWriter, err error) {
	http.Error(w, err.Error(), g.note(err))
}

// note logs what a person may want to know of a failure, and returns its
// status.
func (g *gateway) note(err error) int {
	code := status(err)
	if code == http.StatusInternalServerError && !errors.Is(err, context.Canceled) {
		g.cfg.Log.Warn("web API: a request failed", "err", err)
	}
	return code
}
