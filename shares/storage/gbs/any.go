package gbs

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// shareHeader has the number of the share that an answer is from, where the
// question did not name one.
const shareHeader = "Content-Location"

// readAny is read of the share with the lowest number.
func (c *call) readAny() error {
	if len(c.Request.Header.Values("Range")) == 0 {
		return refusal(http.StatusRequestedRangeNotSatisfiable)
	}
	held, err := c.server.Shares(c.Context(), storage.Immutable, c.si)
	switch {
	case err != nil:
		return err
	case len(held) == 0:
		return storage.ErrNotFound
	}
	c.kind, c.n = storage.Immutable, slices.Min(held)
	c.ResponseWriter.Header().Set(shareHeader, strconv.Itoa(int(c.n)))
	return c.read()
}

// ReadAny implements storage.AnyReader.
func (c *Client) ReadAny(ctx context.Context, si caps.StorageIndex, offset int64, p []byte) (storage.ShareNumber, int, error) {
	if c.OnlyTahoe() {
		return 0, 0, storage.ErrNotFound
	}
	got, h, err := c.readRange(ctx, readAny, place{si: si}, offset, p)
	if err != nil {
		return 0, 0, err
	}
	value := h.Get(shareHeader)
	n, err := strconv.ParseUint(value, 10, 8)
	if err != nil || strconv.FormatUint(n, 10) != value || len(h.Values(shareHeader)) != 1 {
		return 0, 0, storage.ErrPeer
	}
	return storage.ShareNumber(n), got, nil
}
