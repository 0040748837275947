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
	// MaxSpans is how many spans one request may ask for.
	MaxSpans = 8
)

// A HeldShare is what ReadWhole tells of a share.
type HeldShare struct {
	// Data is the share, nil if it did not come along.
	Data []byte
	// Spans are the bytes of the spans asked for, each shorter where the
	// share ends; nil if they did not come along.
	Spans [][]byte
}

// Whole is what a server of ours adds for small immutable shares: one
// request where the others take two. Use StoreWhole and ReadWhole, which make
// do with a Server.
type Whole interface {
	// StoreWhole is Allocate and Write for shares of one length that are at
	// hand. AlreadyHave lists the shares held before, Allocated those of
	// the request that are now held whole and durable.
	StoreWhole(ctx context.Context, si caps.StorageIndex, shares map[ShareNumber][]byte, upload *UploadSecret, lease *LeaseSecrets) (Allocation, error)

	// ReadWhole returns all shares held, with their bytes where a share has
	// at most limit of them, and else with those of spans, at most MaxSpans;
	// and without either where the answer has no room.
	ReadWhole(ctx context.Context, si caps.StorageIndex, limit int64, spans []Range) (map[ShareNumber]HeldShare, error)
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
func ReadWhole(ctx context.Context, s Server, si caps.StorageIndex, limit int64, spans []Range) (map[ShareNumber]HeldShare, error) {
	if w, ok := s.(Whole); ok {
		return w.ReadWhole(ctx, si, limit, spans)
	}
	if !ValidSpans(spans) {
		return nil, ErrBadRequest
	}
	limit = min(limit, MaxWholeShare)
	numbers, err := s.Shares(ctx, Immutable, si)
	if err != nil {
		return nil, err
	}
	out := make(map[ShareNumber]HeldShare, len(numbers))
	room := int64(MaxWholeBody)
	longest := limit + 1
	for _, r := range spans {
		longest = max(longest, r.End-r.Begin)
	}
	// Of shares that are shorter than what is asked of them, no more is kept
	// than they have.
	buf := make([]byte, max(longest, 0))
	for _, n := range numbers {
		held, err := readHeld(ctx, s, si, n, min(limit, room), spans, &room, buf)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return nil, err
		default:
			out[n] = held
		}
	}
	return out, nil
}

// readHeld reads one share whole, or its spans, by way of buf, and takes what
// that has from room.
func readHeld(ctx context.Context, s Server, si caps.StorageIndex, n ShareNumber, limit int64, spans []Range, room *int64, buf []byte) (HeldShare, error) {
	if limit > 0 {
		got, err := s.Read(ctx, Immutable, si, n, 0, buf[:limit+1])
		if err != nil {
			return HeldShare{}, err
		}
		if int64(got) <= limit {
			*room -= int64(got)
			return HeldShare{Data: append([]byte{}, buf[:got]...)}, nil
		}
	}
	var total int64
	for _, r := range spans {
		total += r.End - r.Begin
	}
	if len(spans) == 0 || total > *room {
		return HeldShare{}, nil
	}
	var held HeldShare
	for _, r := range spans {
		got, err := s.Read(ctx, Immutable, si, n, r.Begin, buf[:r.End-r.Begin])
		if err != nil {
			return HeldShare{}, err
		}
		*room -= int64(got)
		held.Spans = append(held.Spans, append([]byte{}, buf[:got]...))
	}
	return held, nil
}

// ValidSpans reports whether spans may be asked for.
func ValidSpans(spans []Range) bool {
	room := int64(MaxWholeBody)
	for _, r := range spans {
		if r.Begin < 0 || r.End <= r.Begin || r.End-r.Begin > room {
			return false
		}
		room -= r.End - r.Begin
	}
	return len(spans) <= MaxSpans
}
