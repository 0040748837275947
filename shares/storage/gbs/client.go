package gbs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"unicode/utf8"

	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/tail"
)

const (
	// maxAnswer bounds what is read of a CBOR answer without shares.
	maxAnswer = 64 << 10
	// bulk is from where on data goes by the lanes for bulk.
	bulk = 64 << 10
	// mayGoTwice marks a request for onion/mux and does not travel: it may
	// leave before a circuit stands, and again where one broke.
	mayGoTwice = "Idempotency-Key"
)

// A Client is a storage server at the far end of a wire. Each method costs
// one round trip, and its time is bounded by the context alone. Whatever the
// server answers, the client keeps little of it in memory; what is not the
// protocol is storage.ErrPeer.
type Client struct {
	swissnum    *storage.Swissnum
	small, bulk http.RoundTripper
	line        line // nil if nothing is known of the way
	speaks      speech
	// tail does what Slot does on a server that does not know it.
	tail *tail.Slots
}

var (
	_ storage.Server = (*Client)(nil)
	_ storage.Slots  = (*Client)(nil)
	_ storage.Whole  = (*Client)(nil)
	_ storage.Line   = (*Client)(nil)

	_ storage.Beginner = (*Client)(nil)

	_ storage.AnyReader = (*Client)(nil)
)

// A request is what a route needs to become one of HTTP.
type request struct {
	place
	secrets *secrets
	header  http.Header
	body    []byte
	bulk    bool
	// twice says of a step of a slot that a server may get it twice.
	twice bool
	// limit bounds the bytes of a CBOR answer; 0: maxAnswer.
	limit int64
}

// do sends a request. The answer's body must be closed.
func (c *Client) do(ctx context.Context, rt *route, r request) (*http.Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.header == nil {
		r.header = http.Header{}
	}
	setSwissnum(r.header, c.swissnum)
	if r.secrets != nil {
		r.secrets.set(r.header, rt.secrets)
	}
	if rt.cbor {
		r.header.Set("Accept", typeCBOR)
	}
	if rt.maxBody > 0 {
		r.header.Set("Content-Type", typeCBOR)
	}
	req := (&http.Request{
		Method: rt.method, URL: &url.URL{Scheme: "http", Host: "lafs", Path: rt.url(r.place)}, Host: "lafs",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: r.header,
	}).WithContext(ctx)
	if len(r.body) > 0 {
		req.ContentLength = int64(len(r.body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.body)), nil }
		req.Body, _ = req.GetBody()
	}
	if rt.twice || r.twice {
		req.Header[mayGoTwice] = nil
	}
	lane := c.small
	if r.bulk {
		lane = c.bulk
	}
	resp, err := lane.RoundTrip(req)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	return resp, nil
}

// unreachable is for an answer that did not come, or not all of it.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", storage.ErrUnreachable, err)
}

// call sends a request and returns the body of an answer with the status
// want. Other statuses are errors.
func (c *Client) call(ctx context.Context, rt *route, r request, want ...int) (int, []byte, error) {
	resp, err := c.do(ctx, rt, r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	if !slices.Contains(want, resp.StatusCode) {
		return 0, nil, statusError(rt, resp.StatusCode)
	}
	if !rt.cbor {
		return resp.StatusCode, nil, nil
	}
	if kinds := resp.Header.Values("Content-Type"); len(kinds) != 1 || kinds[0] == "" || !isCBOR(kinds[0]) {
		return 0, nil, storage.ErrPeer
	}
	limit := cmp.Or(r.limit, maxAnswer)
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return 0, nil, unreachable(ctx, err)
	}
	if int64(len(b)) > limit {
		return 0, nil, storage.ErrPeer
	}
	return resp.StatusCode, b, nil
}

// statusError: only an abort can come too late.
func statusError(rt *route, status int) error {
	err := errorOf(status)
	if err == storage.ErrComplete && rt != abortShare {
		return storage.ErrBadRequest
	}
	return err
}

// Version implements storage.Server.
func (c *Client) Version(ctx context.Context) (storage.Version, error) {
	_, b, err := c.call(ctx, getVersion, request{}, http.StatusOK)
	if err != nil {
		return storage.Version{}, err
	}
	v, err := parseVersion(b)
	if err != nil {
		return storage.Version{}, storage.ErrPeer
	}
	return v, nil
}

// Allocate implements storage.Server.
func (c *Client) Allocate(ctx context.Context, si caps.StorageIndex, numbers []storage.ShareNumber, size int64, upload *storage.UploadSecret, lease *storage.LeaseSecrets) (storage.Allocation, error) {
	none := storage.Allocation{}
	if size <= 0 || lease == nil || !validUpload(upload) {
		return none, storage.ErrBadRequest
	}
	asked := slices.Clone(numbers)
	slices.Sort(asked)
	asked = slices.Compact(asked)
	if len(asked) > 256 {
		return none, storage.ErrBadRequest
	}
	var a storage.Allocation
	err := storage.ErrNotFound
	if !c.OnlyTahoe() {
		a, err = c.allocateMore(ctx, si, asked, size, upload, lease)
	}
	if errors.Is(err, storage.ErrNotFound) {
		a, err = c.allocatePlain(ctx, si, asked, size, upload, lease)
	}
	if err != nil {
		return none, err
	}
	for _, n := range a.Allocated {
		if _, ok := slices.BinarySearch(asked, n); !ok || slices.Contains(a.AlreadyHave, n) {
			return none, storage.ErrPeer
		}
	}
	slices.Sort(a.AlreadyHave)
	slices.Sort(a.Allocated)
	return a, nil
}

// allocatePlain asks as GBS asks.
func (c *Client) allocatePlain(ctx context.Context, si caps.StorageIndex, numbers []storage.ShareNumber, size int64, upload *storage.UploadSecret, lease *storage.LeaseSecrets) (storage.Allocation, error) {
	body, err := marshalAllocate(numbers, size)
	if err != nil {
		return storage.Allocation{}, storage.ErrBadRequest
	}
	_, b, err := c.call(ctx, allocate, request{place: place{si: si}, secrets: secretsFor(upload, lease), body: body}, http.StatusOK)
	if err != nil {
		return storage.Allocation{}, err
	}
	a, err := parseAllocation(b)
	if err != nil {
		return storage.Allocation{}, storage.ErrPeer
	}
	return a, nil
}

// Write implements storage.Server.
func (c *Client) Write(ctx context.Context, si caps.StorageIndex, n storage.ShareNumber, upload *storage.UploadSecret, offset int64, data []byte) ([]storage.Range, error) {
	if offset < 0 || len(data) == 0 || offset >= math.MaxInt64-int64(len(data)) || !validUpload(upload) {
		return nil, storage.ErrBadRequest
	}
	h := http.Header{"Content-Range": {formatContentRange(offset, offset+int64(len(data)))}, "Content-Type": {"application/octet-stream"}}
	return c.written(c.call(ctx, writeShare, request{place: place{si: si, n: n}, secrets: secretsFor(upload, nil),
		header: h, body: data, bulk: len(data) >= bulk}, http.StatusOK, http.StatusCreated))
}

// written reads the answer to a write.
func (c *Client) written(status int, b []byte, err error) ([]storage.Range, error) {
	if err != nil {
		return nil, err
	}
	missing, err := parseRequired(b)
	if err != nil || (status == http.StatusCreated) != (len(missing) == 0) {
		return nil, storage.ErrPeer
	}
	return missing, nil
}

// Abort implements storage.Server.
func (c *Client) Abort(ctx context.Context, si caps.StorageIndex, n storage.ShareNumber, upload *storage.UploadSecret) error {
	if !validUpload(upload) {
		return storage.ErrBadRequest
	}
	_, _, err := c.call(ctx, abortShare, request{place: place{si: si, n: n}, secrets: secretsFor(upload, nil)}, http.StatusOK)
	return err
}

// Shares implements storage.Server.
func (c *Client) Shares(ctx context.Context, kind storage.Kind, si caps.StorageIndex) ([]storage.ShareNumber, error) {
	if !validKind(kind) {
		return nil, nil
	}
	_, b, err := c.call(ctx, listShares, request{place: place{kind: kind, si: si}}, http.StatusOK)
	if err != nil {
		return nil, err
	}
	numbers, err := parseShares(b)
	if err != nil {
		return nil, storage.ErrPeer
	}
	slices.Sort(numbers)
	return numbers, nil
}

// AddLease implements storage.Server.
func (c *Client) AddLease(ctx context.Context, si caps.StorageIndex, lease *storage.LeaseSecrets) error {
	if lease == nil {
		return storage.ErrBadRequest
	}
	_, _, err := c.call(ctx, addLease, request{place: place{si: si}, secrets: secretsFor(nil, lease)}, http.StatusNoContent)
	return err
}

// AdviseCorrupt implements storage.Server.
func (c *Client) AdviseCorrupt(ctx context.Context, kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber, reason string) error {
	if !validKind(kind) {
		return storage.ErrNotFound
	}
	if len(reason) < 1 || len(reason) > 32765 || !utf8.ValidString(reason) {
		return storage.ErrBadRequest
	}
	body, err := marshalCorrupt(reason)
	if err != nil {
		return storage.ErrBadRequest
	}
	_, _, err = c.call(ctx, corrupt, request{place: place{kind, si, n}, body: body}, http.StatusOK)
	return err
}

func validKind(k storage.Kind) bool { return k == storage.Immutable || k == storage.Mutable }

func validUpload(u *storage.UploadSecret) bool {
	return u != nil && len(u.Bytes()) >= 1 && len(u.Bytes()) <= 256
}
