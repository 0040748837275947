package gbs

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// Read implements storage.Server. A range is always asked for, so that the
// server can not answer more than p holds; of nothing, one byte is.
func (c *Client) Read(ctx context.Context, kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber, offset int64, p []byte) (int, error) {
	if !validKind(kind) {
		return 0, storage.ErrNotFound
	}
	got, _, err := c.readRange(ctx, readShare, place{kind, si, n}, offset, p)
	return got, err
}

// readRange asks for a range and reads it into p. It returns the answer's
// header too.
func (c *Client) readRange(ctx context.Context, rt *route, at place, offset int64, p []byte) (int, http.Header, error) {
	if offset < 0 || offset == math.MaxInt64 {
		return 0, nil, storage.ErrBadRequest
	}
	if len(p) == 0 {
		_, h, err := c.readRange(ctx, rt, at, offset, make([]byte, 1))
		return 0, h, err
	}
	// No share reaches so far; the last offset that can be said is 2^63-2.
	p = p[:min(int64(len(p)), math.MaxInt64-offset)]
	end := offset + int64(len(p))
	resp, err := c.do(ctx, rt, request{place: at, header: http.Header{"Range": {formatRange(offset, end)}}, bulk: len(p) >= bulk})
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNoContent:
		return 0, resp.Header, nil
	case http.StatusPartialContent:
		n, err := readPart(ctx, resp, offset, p)
		return n, resp.Header, err
	}
	return 0, nil, statusError(rt, resp.StatusCode)
}

// readPart reads an answer that begins at offset into p. It may be shorter,
// where the share ends, but must be as long as it says.
func readPart(ctx context.Context, resp *http.Response, offset int64, p []byte) (int, error) {
	values := resp.Header.Values("Content-Range")
	if len(values) != 1 {
		return 0, storage.ErrPeer
	}
	begin, end, ok := parseContentRange(values[0])
	if !ok || begin != offset || end > offset+int64(len(p)) || (resp.ContentLength >= 0 && resp.ContentLength != end-begin) {
		return 0, storage.ErrPeer
	}
	p = p[:end-begin]
	n, err := io.ReadFull(resp.Body, p)
	switch {
	case err == nil && !ended(resp.Body):
		return 0, storage.ErrPeer
	case err == nil:
		return len(p), nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF) && resp.ContentLength < 0 && n > 0:
		// It ended in order, but too early.
		return 0, storage.ErrPeer
	}
	return 0, unreachable(ctx, err)
}
