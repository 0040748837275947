package storage

import (
	"context"
	"io"

	"lafs/shares/caps"
)

// An Opener is a server at hand, whose shares stay open while they are read
// piece by piece: what each Read does anew, it does once.
type Opener interface {
	// Open opens a whole share, which must be closed. ErrNotFound: no such
	// share.
	Open(ctx context.Context, kind Kind, si caps.StorageIndex, n ShareNumber) (OpenShare, error)
}

// An OpenShare is a share as it was when it was opened, whatever becomes of
// it meanwhile. ReadAt returns fewer bytes than asked for, with io.EOF, only
// at the share's end; every other error matches a sentinel of this package.
type OpenShare interface {
	io.ReaderAt
	io.Closer
	// Size is the share's length.
	Size() int64
}
