package gbs

import (
	"context"
	"maps"
	"math"
	"net/http"
	"slices"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// An allocationMoreBody is Tahoe's answer and what of unfinished shares is
// missing.
type allocationMoreBody struct {
	AlreadyHave *set          `cbor:"already-have"`
	Allocated   *set          `cbor:"allocated"`
	Missing     []missingBody `cbor:"missing,omitempty"`
}

// A missingBody is one range of one share.
type missingBody struct {
	Number uint64 `cbor:"number"`
	Begin  uint64 `cbor:"begin"`
	End    uint64 `cbor:"end"`
}

// maxMissing bounds the ranges of one answer. Those of a share are all there
// or none is: a client that hears of none sends everything.
const maxMissing = 1024

// space is Allocate with an answer that tells what of an upload under way has
// not arrived, so that it can go on.
func (c *call) space(body storeWholeBody) error {
	if len(body.Shares) > 0 || body.Size > math.MaxInt64 {
		return storage.ErrBadRequest
	}
	numbers, err := shareNumbers(body.Numbers)
	if err != nil {
		return storage.ErrBadRequest
	}
	a, err := c.server.Allocate(c.Context(), c.si, numbers, int64(body.Size), c.upload(), c.secrets.lease())
	if err != nil {
		return err
	}
	b, err := marshalAllocationMore(a)
	return sendCBOR(c, http.StatusOK, b, err)
}

func marshalAllocationMore(a storage.Allocation) ([]byte, error) {
	have, allocated := set(a.AlreadyHave), set(a.Allocated)
	answer := allocationMoreBody{AlreadyHave: &have, Allocated: &allocated}
	for _, n := range slices.Sorted(maps.Keys(a.Missing)) {
		if len(answer.Missing)+len(a.Missing[n]) > maxMissing {
			break
		}
		for _, r := range a.Missing[n] {
			answer.Missing = append(answer.Missing, missingBody{uint64(n), uint64(r.Begin), uint64(r.End)})
		}
	}
	return encode.Marshal(answer)
}

// shareNumbers refuses numbers above 255, and repeated ones.
func shareNumbers(in []uint64) ([]storage.ShareNumber, error) {
	var out []storage.ShareNumber
	for _, n := range in {
		if n > 255 || slices.Contains(out, storage.ShareNumber(n)) {
			return nil, errBody
		}
		out = append(out, storage.ShareNumber(n))
	}
	return out, nil
}

// allocateMore asks a server of ours; storage.ErrNotFound where it is none.
func (c *Client) allocateMore(ctx context.Context, si caps.StorageIndex, numbers []storage.ShareNumber, size int64, upload *storage.UploadSecret, lease *storage.LeaseSecrets) (storage.Allocation, error) {
	body := storeWholeBody{Size: uint64(size)}
	for _, n := range numbers {
		body.Numbers = append(body.Numbers, uint64(n))
	}
	raw, err := encodeSorted.Marshal(body)
	if err != nil {
		return storage.Allocation{}, storage.ErrBadRequest
	}
	_, b, err := c.call(ctx, storeWhole, request{place: place{si: si}, secrets: secretsFor(upload, lease), body: raw}, http.StatusOK)
	c.speaks.heard(err)
	if err != nil {
		return storage.Allocation{}, err
	}
	return parseAllocationMore(b, size)
}

func parseAllocationMore(b []byte, size int64) (storage.Allocation, error) {
	var body allocationMoreBody
	if err := decodeAnswer.Unmarshal(b, &body); err != nil || body.AlreadyHave == nil || body.Allocated == nil || len(body.Missing) > maxMissing {
		return storage.Allocation{}, storage.ErrPeer
	}
	a := storage.Allocation{AlreadyHave: *body.AlreadyHave, Allocated: *body.Allocated}
	for _, m := range body.Missing {
		n := storage.ShareNumber(m.Number)
		if m.Number > 255 || !slices.Contains(a.Allocated, n) || m.End > uint64(size) || m.Begin >= m.End {
			return storage.Allocation{}, storage.ErrPeer
		}
		if a.Missing == nil {
			a.Missing = map[storage.ShareNumber][]storage.Range{}
		}
		before := a.Missing[n]
		if len(before) > 0 && int64(m.Begin) < before[len(before)-1].End {
			return storage.Allocation{}, storage.ErrPeer
		}
		a.Missing[n] = append(before, storage.Range{Begin: int64(m.Begin), End: int64(m.End)})
	}
	return a, nil
}
