package gbs

import (
	"context"
	"math"
	"net/http"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// wholeHead is what a body of ours has beside the bytes of its shares: 256
// of them at the most.
const wholeHead = 8 << 10

// A storeWholeBody brings shares, or, where it has a size, asks for space for
// those of the numbers.
type storeWholeBody struct {
	Shares  map[uint64][]byte `cbor:"shares,omitempty"`
	Numbers []uint64          `cbor:"numbers,omitempty"`
	Size    uint64            `cbor:"size,omitempty"`
}

type readWholeBody struct {
	Limit uint64      `cbor:"limit"`
	Spans [][2]uint64 `cbor:"spans,omitempty"` // begin and end
}

type wholeSharesBody struct {
	Shares map[uint64]slotShareBody `cbor:"shares"`
	Spans  map[uint64][][]byte      `cbor:"spans,omitempty"`
}

// ranges are the spans asked for.
func (b *readWholeBody) ranges() ([]storage.Range, bool) {
	var out []storage.Range
	for _, s := range b.Spans {
		if s[0] > math.MaxInt64 || s[1] > math.MaxInt64 {
			return nil, false
		}
		out = append(out, storage.Range{Begin: int64(s[0]), End: int64(s[1])})
	}
	return out, storage.ValidSpans(out)
}

// storeAtOnce is Allocate and Write in one request.
func (c *call) storeAtOnce() error {
	var body storeWholeBody
	if err := decodeSlot.Unmarshal(c.body, &body); err != nil {
		return storage.ErrBadRequest
	}
	if body.Size != 0 || body.Numbers != nil {
		return c.space(body)
	}
	shares, err := sharesOf(body.Shares)
	if err != nil {
		return storage.ErrBadRequest
	}
	for _, data := range shares {
		if len(data) > storage.MaxWholeShare {
			return storage.ErrTooLarge
		}
	}
	a, err := storage.StoreWhole(c.Context(), c.server, c.si, shares, c.upload(), c.secrets.lease())
	if err != nil {
		return err
	}
	b, err := marshalAllocation(a)
	return sendCBOR(c, http.StatusOK, b, err)
}

// readAtOnce lists the shares of a bucket, with the bytes of small ones.
func (c *call) readAtOnce() error {
	var body readWholeBody
	if err := decodeSlot.Unmarshal(c.body, &body); err != nil {
		return storage.ErrBadRequest
	}
	spans, ok := body.ranges()
	if !ok {
		return storage.ErrBadRequest
	}
	// What one read brings, what is kept of them, and the same in CBOR.
	if !c.memory.take(3 * storage.MaxWholeBody) {
		return storage.ErrBusy
	}
	shares, err := storage.ReadWhole(c.Context(), c.server, c.si, int64(min(body.Limit, storage.MaxWholeShare)), spans)
	if err != nil {
		return err
	}
	out := wholeSharesBody{Shares: make(map[uint64]slotShareBody, len(shares))}
	for n, s := range shares {
		out.Shares[uint64(n)] = slotShareBody{Size: uint64(len(s.Data)), Data: s.Data}
		if s.Spans != nil {
			if out.Spans == nil {
				out.Spans = make(map[uint64][][]byte)
			}
			out.Spans[uint64(n)] = s.Spans
		}
	}
	b, err := encodeSorted.Marshal(out)
	return sendCBOR(c, http.StatusOK, b, err)
}

// plain is the server without what only ours speak.
type plain struct{ storage.Server }

// StoreWhole implements storage.Whole; a server that does not speak it is
// asked as GBS asks, from then on.
func (c *Client) StoreWhole(ctx context.Context, si caps.StorageIndex, shares map[storage.ShareNumber][]byte, upload *storage.UploadSecret, lease *storage.LeaseSecrets) (storage.Allocation, error) {
	none := storage.Allocation{}
	if lease == nil || !validUpload(upload) || len(shares) == 0 || len(shares) > 256 {
		return none, storage.ErrBadRequest
	}
	total := 0
	for _, data := range shares {
		total += len(data)
		if len(data) == 0 || len(data) > storage.MaxWholeShare {
			return none, storage.ErrBadRequest
		}
	}
	if c.OnlyTahoe() || total > storage.MaxWholeBody {
		return storage.StoreWhole(ctx, plain{c}, si, shares, upload, lease)
	}
	body, err := encodeSorted.Marshal(storeWholeBody{Shares: sharesToBody(shares)})
	if err != nil {
		return none, storage.ErrBadRequest
	}
	_, b, err := c.call(ctx, storeWhole, request{place: place{si: si}, secrets: secretsFor(upload, lease), body: body,
		bulk: len(body) >= bulk}, http.StatusOK)
	if c.speaks.heard(err) {
		return storage.StoreWhole(ctx, plain{c}, si, shares, upload, lease)
	}
	if err != nil {
		return none, err
	}
	a, err := parseAllocation(b)
	if err != nil {
		return none, storage.ErrPeer
	}
	for _, n := range a.Allocated {
		if shares[n] == nil {
			return none, storage.ErrPeer
		}
	}
	return a, nil
}

// ReadWhole implements storage.Whole. A server that does not speak it sends
// no spans.
func (c *Client) ReadWhole(ctx context.Context, si caps.StorageIndex, limit int64, spans []storage.Range) (map[storage.ShareNumber]storage.HeldShare, error) {
	if !storage.ValidSpans(spans) {
		return nil, storage.ErrBadRequest
	}
	limit = min(max(limit, 0), storage.MaxWholeShare)
	if c.OnlyTahoe() {
		return storage.ReadWhole(ctx, plain{c}, si, limit, nil)
	}
	question := readWholeBody{Limit: uint64(limit)}
	for _, r := range spans {
		question.Spans = append(question.Spans, [2]uint64{uint64(r.Begin), uint64(r.End)})
	}
	body, err := encodeSorted.Marshal(question)
	if err != nil {
		return nil, storage.ErrBadRequest
	}
	_, b, err := c.call(ctx, readWhole, request{place: place{si: si}, body: body, limit: storage.MaxWholeBody + wholeHead}, http.StatusOK)
	if c.speaks.heard(err) {
		return storage.ReadWhole(ctx, plain{c}, si, limit, nil)
	}
	if err != nil {
		return nil, err
	}
	return parseWholeShares(b, limit, spans)
}

func parseWholeShares(b []byte, limit int64, spans []storage.Range) (map[storage.ShareNumber]storage.HeldShare, error) {
	var body wholeSharesBody
	if err := decodeSlot.Unmarshal(b, &body); err != nil {
		return nil, storage.ErrPeer
	}
	out := make(map[storage.ShareNumber]storage.HeldShare, len(body.Shares))
	for n, s := range body.Shares {
		if n > 255 || int64(len(s.Data)) > limit || len(s.Data) > 0 && uint64(len(s.Data)) != s.Size {
			return nil, storage.ErrPeer
		}
		out[storage.ShareNumber(n)] = storage.HeldShare{Data: s.Data}
	}
	for n, parts := range body.Spans {
		if _, ok := body.Shares[n]; !ok || len(parts) != len(spans) || len(body.Shares[n].Data) > 0 {
			return nil, storage.ErrPeer
		}
		for i, p := range parts {
			if int64(len(p)) > spans[i].End-spans[i].Begin {
				return nil, storage.ErrPeer
			}
		}
		out[storage.ShareNumber(n)] = storage.HeldShare{Spans: parts}
	}
	return out, nil
}
