package storage

import (
	"context"

	"lafs/shares/caps"
)

// A Beginner is what a server of ours adds for an upload whose first bytes
// shall not wait for the answer to Allocate.
type Beginner interface {
	// Begin is Allocate for one share and Write of some of its bytes, in one
	// request, which may be repeated. missing is what Write answers; none if
	// the share is held whole already. ErrConflict: the server does not take
	// the share, for want of space or since somebody else is uploading it.
	// ErrNotFound: it does not know the request.
	Begin(ctx context.Context, si caps.StorageIndex, n ShareNumber, size int64, upload *UploadSecret, lease *LeaseSecrets, offset int64, data []byte) (missing []Range, err error)
}
