package storage

import (
	"context"

	"lafs/shares/caps"
)

// An AnyReader is what a server of ours adds for a download whose first bytes
// shall not wait for the list of shares.
type AnyReader interface {
	// ReadAny is Read of an immutable share that nobody has named yet: of
	// those held the one with the lowest number, which it tells.
	// ErrNotFound: none is held, or the server does not know the request.
	ReadAny(ctx context.Context, si caps.StorageIndex, offset int64, p []byte) (n ShareNumber, got int, err error)
}
