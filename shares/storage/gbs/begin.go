package gbs

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// begin is allocate for one share, whose size stands in Content-Range, and
// write.
func (c *call) begin() error {
	_, total, _ := strings.Cut(c.Request.Header.Get("Content-Range"), "/")
	size, ok := parseOffset(total)
	if _, _, valid := parseContentRange(c.Request.Header.Get("Content-Range")); !valid || !ok {
		return refusal(http.StatusRequestedRangeNotSatisfiable)
	}
	a, err := c.server.Allocate(c.Context(), c.si, []storage.ShareNumber{c.n}, size, c.upload(), c.secrets.lease())
	switch {
	case err != nil:
		return err
	case slices.Contains(a.AlreadyHave, c.n):
		b, err := marshalRequired(nil)
		return sendCBOR(c, http.StatusCreated, b, err)
	case !slices.Contains(a.Allocated, c.n):
		return storage.ErrConflict
	}
	return c.write()
}

// Begin implements storage.Beginner.
func (c *Client) Begin(ctx context.Context, si caps.StorageIndex, n storage.ShareNumber, size int64, upload *storage.UploadSecret, lease *storage.LeaseSecrets, offset int64, data []byte) ([]storage.Range, error) {
	if offset < 0 || len(data) == 0 || size > math.MaxInt64-1 || offset > size-int64(len(data)) || lease == nil || !validUpload(upload) {
		return nil, storage.ErrBadRequest
	}
	if c.OnlyTahoe() {
		return nil, storage.ErrNotFound
	}
	h := http.Header{
		"Content-Range": {fmt.Sprintf("bytes %d-%d/%s", offset, offset+int64(len(data))-1, strconv.FormatInt(size, 10))},
		"Content-Type":  {"application/octet-stream"},
	}
	return c.written(c.call(ctx, beginShare, request{place: place{si: si, n: n}, secrets: secretsFor(upload, lease),
		header: h, body: data, bulk: len(data) >= bulk}, http.StatusOK, http.StatusCreated))
}
