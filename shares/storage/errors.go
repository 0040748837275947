package storage

import "errors"

// Errors of a Server. They are kinds that survive the wire: storage/gbs
// turns each into a status and back. Their text is fixed and names nothing
// of anybody's.
var (
	ErrNotFound     = errors.New("the storage server holds no such share or upload")
	ErrUnauthorized = errors.New("the storage server does not accept the secret that was sent")
	ErrConflict     = errors.New("different bytes already stand where the upload wrote")
	ErrComplete     = errors.New("the share is already whole")
	ErrNoSpace      = errors.New("the storage server has no space left for this")
	ErrTooLarge     = errors.New("the request is larger than the storage server takes")
	ErrBadRequest   = errors.New("the request is not one of the storage protocol")
	ErrBusy         = errors.New("the storage server is at its limit of work; try again later")
	ErrBroken       = errors.New("the storage server failed to carry out the request")
	// ErrStateLost is a slot, or a whole server, that lost its record of what
	// it promised and voted for. It takes no part in updates until it has a
	// new identity; its shares can still be read.
	ErrStateLost = errors.New("the storage server lost its record of this object's updates")
	// ErrPeer is a server that broke the protocol: garbage, wrong lengths,
	// endless bodies. Its answers are not used.
	ErrPeer = errors.New("the storage server's answer is not one of the storage protocol")
	// ErrUnreachable is a request whose answer did not come: it may or may
	// not have been carried out.
	ErrUnreachable = errors.New("the storage server did not answer")
)
