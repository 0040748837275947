// Package storage is the storage protocol's types, errors and the Server
// interface: what one storage server promises, wherever it is. node/store
// keeps shares on disk behind it, storage/gbs carries it over HTTP and CBOR,
// storage/storagetest is the contract suite that every Server passes.
package storage

import (
	"context"

	"lafs/shares/caps"
)

// A Kind is one of the two kinds of share.
type Kind uint8

// The kinds of share: an immutable one lives in a bucket, a mutable one in a
// slot.
const (
	Immutable Kind = iota + 1
	Mutable
)

// String returns the kind as GBS's paths have it.
func (k Kind) String() string {
	switch k {
	case Immutable:
		return "immutable"
	case Mutable:
		return "mutable"
	}
	return "unknown kind"
}

// A ShareNumber is the place of a share in its code: 0 to N-1. Formats allow
// at most 256.
type ShareNumber uint8

// A Range is the bytes [Begin, End) of a share.
type Range struct{ Begin, End int64 }

// A Version is what a server says of itself. Sizes are in bytes.
type Version struct {
	MaxImmutableShareSize uint64
	MaxMutableShareSize   uint64
	AvailableSpace        uint64
}

// An Allocation is a server's answer to Allocate. A share number that was
// asked for and stands in neither list found no space.
type Allocation struct {
	// AlreadyHave lists the shares that the server holds whole, whether they
	// were asked for or not, in rising order.
	AlreadyHave []ShareNumber
	// Allocated lists the shares that may now be written under the given
	// upload secret. A share whose upload is under way with the same secret
	// and size is listed again, and goes on; with another secret it is in
	// neither list.
	Allocated []ShareNumber
	// Missing says of shares in Allocated whose upload was under way already
	// what has not arrived: in rising order, and something. A share without
	// an entry may miss everything, and so does each of a server that does
	// not tell.
	Missing map[ShareNumber][]Range
}

// A Server keeps shares. All methods may be called at once by many callers.
//
// An answer without error is durable: it survives kill -9 and power loss.
// What an unfinished upload has received is not: after a restart the upload
// may go on, be gone, or miss more than before, and Allocate and Write say what
// is missing. What they do not say is missing is there.
// Every error matches one of this package's sentinels or the context's.
// Sizes, offsets and lengths are in bytes.
type Server interface {
	// Version tells limits and free space.
	Version(ctx context.Context) (Version, error)

	// Allocate reserves space for shares of exactly size bytes, at least 1,
	// in the bucket si and records a lease on the bucket, for the shares it
	// already holds as well. Reserved shares are not visible to Shares and
	// Read before they are whole. Each lives at least until 30 minutes after
	// its last write, or its allocation, if the server does not restart, and
	// is dropped some time after that.
	Allocate(ctx context.Context, si caps.StorageIndex, shares []ShareNumber, size int64, upload *UploadSecret, lease *LeaseSecrets) (Allocation, error)

	// Write puts data at offset of an allocated share and returns the ranges
	// that are still missing; none means the share is now whole, durable and
	// visible. data has at least 1 byte and ends inside the share, else
	// ErrBadRequest. Bytes written already may be written again only if they
	// are equal, else ErrConflict. ErrNotFound: nothing is allocated there (or
	// the share is already whole). ErrUnauthorized: another upload secret.
	Write(ctx context.Context, si caps.StorageIndex, n ShareNumber, upload *UploadSecret, offset int64, data []byte) (missing []Range, err error)

	// Abort drops an unfinished upload. ErrComplete: the share is whole, and
	// stays. ErrNotFound: there is no such upload.
	Abort(ctx context.Context, si caps.StorageIndex, n ShareNumber, upload *UploadSecret) error

	// Shares lists the whole shares of a bucket or slot in rising order;
	// none if the index is unknown.
	Shares(ctx context.Context, kind Kind, si caps.StorageIndex) ([]ShareNumber, error)

	// Read fills p from offset of a whole share and returns how many bytes
	// there were: fewer than len(p), without an error, only at the share's
	// end. ErrNotFound: no such share.
	Read(ctx context.Context, kind Kind, si caps.StorageIndex, n ShareNumber, offset int64, p []byte) (int, error)

	// AddLease adds a lease of 31 days to everything held under si, or
	// renews the one with the same renew secret. ErrNotFound: nothing is
	// held there.
	AddLease(ctx context.Context, si caps.StorageIndex, lease *LeaseSecrets) error

	// AdviseCorrupt tells the server that a share it holds is corrupt. The
	// reason has 1 to 32765 bytes of UTF-8, of which GBS carries up to 32757
	// (ErrTooLarge), and holds no secret. The server
	// notes it for its operator and does nothing else.
	AdviseCorrupt(ctx context.Context, kind Kind, si caps.StorageIndex, n ShareNumber, reason string) error
}
