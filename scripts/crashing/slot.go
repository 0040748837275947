package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// A slot changes by /lafs/v1 slot messages: each step votes for one version
// more, every third after a promise.
type slot struct {
	si  caps.StorageIndex
	key *mutable.Key
	n   int
}

func newSlot(n uint64, key *mutable.Key, steps int) *slot {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("slot"), n))
	return &slot{caps.StorageIndex(sum[:16]), key, steps}
}

func (x *slot) steps() int { return x.n }

func (x *slot) lease() *storage.LeaseSecrets {
	return &storage.LeaseSecrets{Renew: sha256.Sum256(x.si[:]), Cancel: [32]byte{1}}
}

func (x *slot) step(ctx context.Context, s server, i int) error {
	req := storage.SlotRequest{Message: agree.Read{}}
	a, err := s.Slot(ctx, x.si, req)
	if err != nil {
		return err
	}
	if a.State.Current.Seq > uint64(i) {
		return nil // It was done before, unheard.
	}
	v, err := mutable.Encode(x.key, mutable.Params{Needed: 2, Total: 3}, uint64(i)+1, make([]byte, 100*(i%7)+10))
	if err != nil {
		return err
	}
	id := storage.VersionOf(v.Header)
	req = storage.SlotRequest{Enabler: &storage.WriteEnabler{1}, Lease: x.lease(),
		Shares: map[storage.ShareNumber][]byte{0: v.Shares[0], 1: v.Shares[1], 2: v.Shares[2]}}
	if i%3 == 2 {
		ballot := agree.Ballot{N: uint64(i) + 1}
		promise := storage.SlotRequest{Enabler: req.Enabler, Message: agree.Prepare{Ballot: ballot}}
		if a, err := s.Slot(ctx, x.si, promise); err != nil || !a.Done {
			return errors.Join(err, errors.New("a promise was refused"))
		}
		req.Message = agree.Accept{Ballot: ballot, Version: id, Base: agree.Base{Version: a.State.Current}}
	} else {
		req.Message = agree.Fast{Old: a.State.Current, Ballot: a.State.Accepted, New: id}
	}
	if a, err = s.Slot(ctx, x.si, req); err != nil || !a.Done {
		return errors.Join(err, fmt.Errorf("%T was refused", req.Message))
	}
	return nil
}

func (x *slot) check(ctx context.Context, s server, done, begun int) error {
	a, err := s.Slot(ctx, x.si, storage.SlotRequest{Message: agree.Read{}, Fetch: 1 << 20})
	if err != nil {
		return err
	}
	seq := int(a.State.Current.Seq)
	if seq < done || seq > begun {
		return fmt.Errorf("version %d is current", seq)
	}
	// Of the last step that was a promise, the promise lasts.
	if last := done - done%3; uint64(last) > a.State.Promised.N {
		return fmt.Errorf("ballot %d is promised, and was %d", a.State.Promised.N, last)
	}
	if err := x.whole(ctx, a.State.Current, a.Current); err != nil {
		return err
	}
	if base := a.State.Base.Version; !a.State.Committed && !base.IsZero() {
		if err := x.whole(ctx, base, a.Base); err != nil {
			return fmt.Errorf("base: %w", err)
		}
	}
	if ok, err := s.Leased(ctx, x.si, x.lease()); err != nil || !ok && done > 0 {
		return fmt.Errorf("the lease is gone, %v", err)
	}
	return nil
}

// whole verifies all shares of a version, down to their blocks.
func (x *slot) whole(ctx context.Context, v agree.VersionID, shares map[storage.ShareNumber]storage.SlotShare) error {
	if v.IsZero() {
		return nil
	}
	if len(shares) != 3 {
		return fmt.Errorf("version %d has %d shares", v.Seq, len(shares))
	}
	for n, sh := range shares {
		got, err := mutable.OpenShare(ctx, x.key.Fingerprint(), int(n), mutable.Bytes(sh.Data))
		if err != nil {
			return fmt.Errorf("share %d of version %d: %w", n, v.Seq, err)
		}
		if storage.VersionOf(got.Header) != v {
			return fmt.Errorf("share %d is of version %d, not %d", n, got.Seq, v.Seq)
		}
		if _, err := got.Blocks(ctx, 0, got.Segments()); err != nil {
			return fmt.Errorf("blocks of share %d of version %d: %w", n, v.Seq, err)
		}
	}
	return nil
}
