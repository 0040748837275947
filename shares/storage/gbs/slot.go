package gbs

import (
	"context"
	"net/http"

	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

const (
	// slotBulk is from where on an answer that is asked for goes by the lanes
	// for bulk. Most shares are far smaller than what is asked for, since
	// nobody knows their length before.
	slotBulk = 256 << 10
	// maxSlotHead is what an answer has beside the bytes of shares.
	maxSlotHead = 128 << 10
)

// slot carries out one step.
func (c *call) slot() error {
	slots, ok := c.server.(storage.Slots)
	if !ok {
		return storage.ErrNotFound
	}
	// Parsing copies the shares.
	if !c.memory.take(int64(len(c.body))) {
		return storage.ErrBusy
	}
	req, err := parseSlotRequest(c.body)
	c.body = nil
	if err != nil {
		return storage.ErrBadRequest
	}
	var asked int64
	req.Room = func(n int64) bool {
		// The shares, and the same again in CBOR.
		ok := c.memory.take(2 * n)
		if ok {
			asked += n
		}
		return ok
	}
	a, err := slots.Slot(c.Context(), c.si, *req)
	if err != nil {
		return err
	}
	var size int64
	for _, set := range []map[storage.ShareNumber]storage.SlotShare{a.Current, a.Base, a.Older} {
		for _, s := range set {
			size += int64(len(s.Data))
		}
	}
	if more := size - asked; more > 0 && !c.memory.take(2*more) {
		return storage.ErrBusy
	}
	b, err := marshalSlotAnswer(&a)
	return sendCBOR(c, http.StatusOK, b, err)
}

// Slot implements storage.Slots. A server that does not know the request is
// one of Tahoe-LAFS's: what it cannot do is done here (storage/tail), and
// takes one trip more the first time.
func (c *Client) Slot(ctx context.Context, si caps.StorageIndex, req storage.SlotRequest) (storage.SlotAnswer, error) {
	none := storage.SlotAnswer{}
	if req.Fetch < 0 || req.From < 0 || len(req.Ancestors) > storage.MaxAncestors || len(req.Placement) > storage.MaxPlacement {
		return none, storage.ErrBadRequest
	}
	if c.OnlyTahoe() {
		return c.tail.Slot(ctx, si, req)
	}
	whole := req
	_, read := req.Message.(agree.Read)
	if read {
		req.Enabler, req.Lease = nil, nil
	} else if req.Enabler == nil {
		return none, storage.ErrBadRequest
	}
	if tooLarge(req.Shares, req.Base) {
		return none, storage.ErrTooLarge
	}
	body, err := marshalSlotRequest(&req)
	if err != nil {
		return none, storage.ErrBadRequest
	}
	// At most three sets of 256 shares.
	limit := min(768*min(req.Fetch, storage.MaxSlotFetch), storage.MaxSlotFetch) + maxSlotHead
	_, b, err := c.call(ctx, slotStep, request{place: place{si: si}, body: body, limit: limit, twice: read,
		bulk: len(body) >= bulk || req.Fetch > slotBulk}, http.StatusOK)
	if c.speaks.heard(err) {
		return c.tail.Slot(ctx, si, whole)
	}
	if err != nil {
		return none, err
	}
	a, err := parseSlotAnswer(b)
	if err != nil || !fits(&a, req.Fetch) {
		return none, storage.ErrPeer
	}
	return a, nil
}

func tooLarge(sets ...map[storage.ShareNumber][]byte) bool {
	total := 0
	for _, set := range sets {
		for _, data := range set {
			total += len(data)
		}
	}
	return total > storage.MaxSlotRequest
}

// fits says that no share has more bytes than were asked for.
func fits(a *storage.SlotAnswer, fetch int64) bool {
	for _, set := range []map[storage.ShareNumber]storage.SlotShare{a.Current, a.Base, a.Older} {
		for _, s := range set {
			if int64(len(s.Data)) > fetch {
				return false
			}
		}
	}
	return true
}
