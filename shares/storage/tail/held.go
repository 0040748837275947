package tail

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"

	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// A Held is what a server of Tahoe-LAFS's holds of one object whose shares
// have records behind them, for who puts another server in its place.
type Held struct {
	State agree.State
	// Foreign and Lost are those of storage.SlotAnswer. Seen: an answer to a
	// Prepare said that the slot is foreign.
	Foreign, Seen, Lost bool
	Ancestors           []agree.VersionID
	Placement           []byte
	Shares              map[storage.ShareNumber]HeldShare
}

// A HeldShare says what the bytes of one share number are. Sizes are in
// bytes.
type HeldShare struct {
	// Size is how long the share is that the bytes begin with, 0 if they
	// begin with none that is of use.
	Size    int64
	Version agree.VersionID
	// Base is, from byte BaseAt on, the share that it replaced, if the slot
	// still needs that. Its bytes were compared with their hash.
	BaseAt, BaseSize int64
}

// Current: the share is one of the version that State calls current.
func (h *Held) Current(n storage.ShareNumber) bool {
	sh := h.Shares[n]
	return sh.Size > 0 && sh.Version == h.State.Current
}

// Base is the version that the slot keeps beside the current one, zero if it
// needs none.
func (h *Held) Base() agree.VersionID { return h.State.Kept() }

// Look reads what server, which nobody writes to meanwhile, holds of an
// object: nil if no record is behind any of the shares.
// storage.ErrStateLost: there is one, and beside it a share of a kind that
// this program does not know.
func Look(ctx context.Context, server Server, si caps.StorageIndex) (*Held, error) {
	r := &reader{s: New(server), si: si}
	got, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	if got.top == nil {
		return nil, nil
	}
	if got.unknown() {
		return nil, storage.ErrStateLost
	}
	h := &Held{State: got.state, Foreign: got.foreign, Seen: got.seen, Lost: got.lost,
		Ancestors: got.top.ancestors, Placement: got.top.placement, Shares: map[storage.ShareNumber]HeldShare{}}
	for n, sh := range got.shares {
		var held HeldShare
		// What a step left that was cut off is of use only as base.
		if sh.header != nil && (got.foreign || sh.version == got.state.Current || sh.version == got.state.Kept()) {
			held.Size, held.Version = sh.length(), sh.version
		}
		if got.hasBase(sh) {
			ok, err := baseIsWhole(ctx, server, si, sh)
			if err != nil {
				return nil, err
			}
			if ok {
				held.BaseAt, held.BaseSize = sh.baseAt(), sh.rec.baseSize
			}
		}
		h.Shares[n] = held
	}
	return h, nil
}

// Writes reports whether a read-test-write writes a record: it is a step that
// Slots carries out.
func Writes(writes map[storage.ShareNumber]storage.TestWrite) bool {
	for _, w := range writes {
		for _, p := range w.Patches {
			if bytes.HasPrefix(p.Data, []byte(magic)) {
				return true
			}
		}
	}
	return false
}

// baseIsWhole compares a base share with its hash, and looks whether it is
// of the version that its record names.
func baseIsWhole(ctx context.Context, server Server, si caps.StorageIndex, sh *share) (bool, error) {
	sum, first := sha256.New(), []byte(nil)
	buf := make([]byte, 64<<10)
	for at := int64(0); at < sh.rec.baseSize; {
		p := buf[:min(int64(len(buf)), sh.rec.baseSize-at)]
		n, err := server.Read(ctx, storage.Mutable, si, sh.number, sh.baseAt()+at, p)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return false, err
		}
		if n < len(p) {
			return false, nil
		}
		if at == 0 {
			first = append(first, p[:min(n, mutable.HeaderSize)]...)
		}
		sum.Write(p)
		at += int64(n)
	}
	header, err := mutable.ParseHeader(first)
	return err == nil && [32]byte(sum.Sum(nil)) == sh.rec.baseHash && storage.VersionOf(header) == sh.rec.state.Kept() &&
		header.ShareSize() == sh.rec.baseSize && int(sh.number) < header.Total, nil
}
