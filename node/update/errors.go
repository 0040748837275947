package update

import (
	"errors"
	"fmt"
)

// Errors that a caller branches on.
var (
	// ErrNotFound is an object that no server that answered knows.
	ErrNotFound = errors.New("no server that answered knows this object")
	// ErrDeleted is an object that was deleted; it stays so.
	ErrDeleted = errors.New("the object was deleted")
	// ErrExists is the making of an object, with a key that was given, that
	// is there already.
	ErrExists = errors.New("there is already an object with this key")
	// ErrUndecided is a reading that found a write under way, or left half
	// done, and cannot tell which version is the newest.
	ErrUndecided = errors.New("a write is under way and the newest version cannot be told yet; try again, or read it once with the write cap, which settles it")
	// ErrNoSlots is an object of which too many servers speak only Tahoe's
	// own protocol for updates.
	ErrNoSlots = errors.New("too few servers speak lafs's protocol for mutable objects")
	// ErrTooFewServers is an operation for which too few servers answer.
	ErrTooFewServers = errors.New("too few of the object's servers answer; try again when more are up")
	// ErrBarred is a change that the object's servers do not accept from who
	// has its write cap: they know another write enabler, as servers do that
	// hold the shares and lost the identity under which they got them.
	ErrBarred = errors.New("the object's servers refuse its write cap: it can be read, not changed. Copy its content into a new object")
	// ErrReserved is new content that would say that the object is deleted.
	ErrReserved = errors.New("this content is reserved for deleted objects")
	// ErrClosed is an operation on an engine that is closed.
	ErrClosed = errors.New("the engine is closed")
)

// An UnknownOutcomeError is a change that may have been done, or may still
// become so: servers were asked to carry it out and too few said whether
// they did. Reading the object later tells.
type UnknownOutcomeError struct{ Reason error }

// Error says what to do.
func (e *UnknownOutcomeError) Error() string {
	return fmt.Sprintf("outcome unknown: the change may or may not have been done, read the object again to see (%v)", e.Reason)
}

// Unwrap returns the reason.
func (e *UnknownOutcomeError) Unwrap() error { return e.Reason }

// A NotDoneError is a change that was not done and will not be.
type NotDoneError struct{ Reason error }

// Error says why.
func (e *NotDoneError) Error() string {
	return fmt.Sprintf("the change was not done (%v)", e.Reason)
}

// Unwrap returns the reason.
func (e *NotDoneError) Unwrap() error { return e.Reason }

var (
	// errLostTrack: so many versions were written since that nobody lists
	// whether ours is among them.
	errLostTrack = errors.New("too many other versions were written meanwhile")
	errNoKey     = errors.New("no share brought the object's private key")
)
