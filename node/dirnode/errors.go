package dirnode

import (
	"errors"
	"fmt"
)

// What a caller may want to act on. The errors that match them say more.
var (
	// ErrNoChild: no entry has that name.
	ErrNoChild = errors.New("no such child")
	// ErrChildExists: the name is taken, and may not be replaced.
	ErrChildExists = errors.New("there is a child of that name already")
	// ErrNotADirectory: the cap, or a part of a path, names no directory that
	// could be read.
	ErrNotADirectory = errors.New("not a directory")
	// ErrReadOnly: the cap of the directory gives no right to change it.
	ErrReadOnly = errors.New("the directory is read-only to you")
	// ErrMustBeReadOnly: a cap that can write, or that may be able to, stands
	// where only read caps may.
	ErrMustBeReadOnly = errors.New("only a read cap may stand here")
	// ErrMustBeImmutable: an immutable directory holds only what cannot
	// change.
	ErrMustBeImmutable = errors.New("only what cannot change may be in an immutable directory")
	// ErrIntoItself: nothing else would lead to the directory.
	ErrIntoItself = errors.New("a directory cannot be moved into itself")
	// ErrName: no child may have that name.
	ErrName = errors.New("not a name for a child")
	// ErrMetadata: the metadata are not a JSON object.
	ErrMetadata = errors.New("metadata are not a JSON object")
	// ErrCorrupt: the content is not a directory's, or an entry is damaged.
	ErrCorrupt = errors.New("not the content of a directory")
	// ErrTooMany: a walk met more objects than it may remember, or a directory
	// holds more entries than one may.
	ErrTooMany = errors.New("too many")
)

// A PathError tells where a path ended. Errors.Is sees what it wraps.
type PathError struct {
	// Depth is the number of names that were followed before the one that
	// failed.
	Depth int
	Err   error
}

// Error says which part of the path failed, without the names.
func (e *PathError) Error() string { return fmt.Sprintf("part %d of the path: %v", e.Depth+1, e.Err) }

// Unwrap returns Err.
func (e *PathError) Unwrap() error { return e.Err }
