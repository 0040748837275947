package gbs

import (
	"context"
	"errors"
	"math"
	"net/http"

	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/tail"
)

// readTestWrite answers for the slots of mutable files, as Tahoe-LAFS knows
// them.
func (c *call) readTestWrite() error {
	slots, ok := c.server.(storage.Slots)
	if !ok {
		return storage.ErrNotFound
	}
	// Parsing copies the bytes, and makes something of each element.
	if !c.memory.take(int64(len(c.body)) + headCost*heads(c.body)) {
		return storage.ErrBusy
	}
	r, err := parseRTW(c.body)
	c.body = nil
	if err != nil {
		return storage.ErrBadRequest
	}
	if keepsVotes(slots) && tail.Writes(r.writes) {
		// The writer takes this for a server of Tahoe-LAFS's, whose place it
		// took. Votes in two places would not be counted together.
		return storage.ErrStateLost
	}
	// How many shares there are, nobody knows before: Tahoe-LAFS's clients ask
	// for little here.
	asked, _ := askedFor(r.spans)
	asked = min(256*asked, storage.MaxSlotRead)
	if !c.memory.take(asked) {
		return storage.ErrBusy
	}
	var a rtwAnswer
	if a.success, a.data, err = slots.ReadTestWrite(c.Context(), c.si, c.secrets.enabler(), c.secrets.lease(), r.writes, r.spans); err != nil {
		return err
	}
	if !c.memory.take(max(0, 2*dataSize(a.data)-asked)) {
		return storage.ErrBusy
	}
	b, err := marshalRTWAnswer(a)
	return sendCBOR(c, http.StatusOK, b, err)
}

// keepsVotes: the server does so itself, and not its clients for it.
func keepsVotes(s storage.Slots) bool {
	v, ok := s.(interface{ OnlyTahoe() bool })
	return !ok || !v.OnlyTahoe()
}

func dataSize(data map[storage.ShareNumber][][]byte) (total int64) {
	for _, parts := range data {
		for _, p := range parts {
			total += int64(len(p))
		}
	}
	return total
}

// ReadTestWrite implements storage.Slots. An answer that did not come must
// not lead to a repeat: read first.
func (c *Client) ReadTestWrite(ctx context.Context, si caps.StorageIndex, enabler *storage.WriteEnabler, lease *storage.LeaseSecrets,
	writes map[storage.ShareNumber]storage.TestWrite, spans []storage.Span) (success bool, data map[storage.ShareNumber][][]byte, err error) {
	asked, ok := askedFor(spans)
	if enabler == nil || lease == nil || !ok || !validWrites(writes) {
		return false, nil, storage.ErrBadRequest
	}
	body, err := marshalRTW(rtw{writes, spans})
	if err != nil {
		return false, nil, storage.ErrBadRequest
	}
	if len(body) > storage.MaxSlotRequest {
		return false, nil, storage.ErrTooLarge
	}
	secrets := secretsFor(nil, lease)
	secrets.byKind[enablerSecret] = enabler[:]
	_, b, err := c.call(ctx, readTestWrite, request{place: place{si: si}, secrets: secrets, body: body,
		limit: min(256*asked, storage.MaxSlotRead) + maxAnswer, bulk: len(body) >= bulk || asked > slotBulk}, http.StatusOK)
	if errors.Is(err, storage.ErrStateLost) {
		c.speaks.tahoe.Store(0) // a server of Tahoe-LAFS's does not say that
	}
	if err != nil {
		return false, nil, err
	}
	a, err := parseRTWAnswer(b)
	if err != nil {
		return false, nil, storage.ErrPeer
	}
	for _, parts := range a.data {
		if len(parts) != len(spans) {
			return false, nil, storage.ErrPeer
		}
		for i, p := range parts {
			if int64(len(p)) > spans[i].Size {
				return false, nil, storage.ErrPeer
			}
		}
	}
	return a.success, a.data, nil
}

// askedFor adds up what the spans may bring of one share.
func askedFor(spans []storage.Span) (total int64, ok bool) {
	for _, s := range spans {
		if s.Offset < 0 || s.Size < 0 {
			return 0, false
		}
		total = min(total+min(s.Size, storage.MaxSlotRead), storage.MaxSlotRead)
	}
	return total, len(spans) <= maxVectors
}

func validWrites(writes map[storage.ShareNumber]storage.TestWrite) bool {
	for _, w := range writes {
		if len(w.Tests) > maxVectors || len(w.Patches) > maxPatches || w.NewLength != nil && *w.NewLength < 0 {
			return false
		}
		for _, t := range w.Tests {
			if t.Offset < 0 || t.Size < 0 {
				return false
			}
		}
		for _, p := range w.Patches {
			if p.Offset < 0 || p.Offset > math.MaxInt64-int64(len(p.Data)) {
				return false
			}
		}
	}
	return true
}
