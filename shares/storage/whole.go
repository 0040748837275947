package storage

import (
	"context"
	"errors"
	"maps"
	"slices"

	"lafs/shares/caps"
)

// Bounds on the requests of Whole, so that they stay small.
const (
	// MaxWholeShare is the longest share that is sent or fetched whole, in
	// bytes.
	MaxWholeShare = 64 << 10
	// MaxWholeBody bounds the shares of one request and of one answer, in
	// bytes.
	MaxWholeBody = 1 << 20
)

// Whole is what a server of ours adds for small immutable shares: one
// request where the others take two. Use StoreWhole and ReadWhole, which make
// do with a Server.
type Whole interface {
	// StoreWhole is Allocate and Write for shares of one length that are at
	// hand. AlreadyHave lists the shares held before, Allocated those of
	// the request that are now held whole and durable.
	StoreWhole(ctx context.Context, si caps.StorageIndex, shares map[ShareNumber][]byte, upload *UploadSecret, lease *LeaseSecrets) (Allocation, error)

	// ReadWhole returns all shares held, with their bytes where a share has
	// at most limit of them and the answer has room; the others come without
	// Data.
	ReadWhole(ctx context.Context, si caps.StorageIndex, limit int64) (map[ShareNumber]SlotShare, error)
}

// StoreWhole does on any server what Whole says.
func StoreWhole(ctx context.Context, s Server, si caps.StorageIndex, shares map[ShareNumber][]byte, upload *UploadSecret, lease *LeaseSecrets) (Allocation, error) {
	if w, ok := s.(Whole); ok {
		return w.StoreWhole(ctx, si, shares, upload, lease)
	}
	numbers := slices.Sorted(maps.Keys(shares))
	if len(numbers) == 0 {
		return Allocation{}, ErrBadRequest
	}
	size := len(shares[numbers[0]])
	for _, n := range numbers {
		if len(shares[n]) != size {
			return Allocation{}, ErrBadRequest
		}
	}
	a, err := s.Allocate(ctx, si, numbers, int64(size), upload, lease)
	if err != nil {
		return Allocation{}, err
	}
	done := Allocation{AlreadyHave: a.AlreadyHave}
	for _, n := range a.Allocated {
		missing, err := s.Write(ctx, si, n, upload, 0, shares[n])
		switch {
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrConflict):
			// Another request of the same uploader was quicker, or wrote
			// something else before.
		case err != nil:
			return Allocation{}, err
		case len(missing) == 0:
			done.Allocated = append(done.Allocated, n)
		}
	}
	return done, nil
}

// ReadWhole does on any server what Whole says.
func ReadWhole(ctx context.Context, s Server, si caps.StorageIndex, limit int64) (map[ShareNumber]SlotShare, error) {
	if w, ok := s.(Whole); ok {
		return w.ReadWhole(ctx, si, limit)
	}
	limit = min(limit, MaxWholeShare)
	numbers, err := s.Shares(ctx, Immutable, si)
	if err != nil {
		return nil, err
	}
	out := make(map[ShareNumber]SlotShare, len(numbers))
	room := int64(MaxWholeBody)
	for _, n := range numbers {
		if room <= limit {
			out[n] = SlotShare{}
			continue
		}
		buf := make([]byte, limit+1)
		got, err := s.Read(ctx, Immutable, si, n, 0, buf)
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case err != nil:
			return nil, err
		case int64(got) > limit:
			out[n] = SlotShare{}
		default:
			out[n] = SlotShare{Size: int64(got), Data: buf[:got]}
			room -= int64(got)
		}
	}
	return out, nil
}
