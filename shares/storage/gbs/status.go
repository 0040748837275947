package gbs

import (
	"errors"
	"net/http"

	"lafs/shares/storage"
)

// statuses are the errors of a Server on the wire. The last column is the
// text that goes with it.
var statuses = []struct {
	err    error
	status int
	text   string
}{
	{storage.ErrNotFound, http.StatusNotFound, "not found"},
	{storage.ErrUnauthorized, http.StatusUnauthorized, "wrong authorization"},
	{storage.ErrConflict, http.StatusConflict, "conflict"},
	{storage.ErrComplete, http.StatusMethodNotAllowed, "not allowed"},
	{storage.ErrNoSpace, http.StatusInsufficientStorage, "no space"},
	{storage.ErrTooLarge, http.StatusRequestEntityTooLarge, "too large"},
	{storage.ErrBadRequest, http.StatusBadRequest, "bad request"},
	{storage.ErrBusy, http.StatusServiceUnavailable, "busy"},
	{storage.ErrStateLost, http.StatusGone, "state lost"},
	{storage.ErrBroken, http.StatusInternalServerError, "server error"},
}

// A refusal is a status that no error of a Server stands for.
type refusal int

func (r refusal) Error() string { return http.StatusText(int(r)) }

// statusOf returns the status and the text of an answer with err.
func statusOf(err error) (int, string) {
	var r refusal
	if errors.As(err, &r) {
		return int(r), r.Error()
	}
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			return s.status, s.text
		}
	}
	return http.StatusInternalServerError, "server error"
}

// errorOf returns what an answer's status means to the client.
func errorOf(status int) error {
	for _, s := range statuses {
		if s.status == status {
			return s.err
		}
	}
	switch status {
	case http.StatusNotAcceptable, http.StatusUnsupportedMediaType, http.StatusRequestedRangeNotSatisfiable:
		return storage.ErrBadRequest
	}
	return storage.ErrPeer
}
