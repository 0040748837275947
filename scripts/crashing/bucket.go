package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// A bucket gets share 0 at once, then share 1 in two steps, then a lease of
// somebody else.
type bucket struct {
	si caps.StorageIndex
	// killed says that crashes are those of the process alone: of an upload
	// nothing that was acknowledged is missing then.
	killed bool
}

const (
	bucketWhole = iota + 1
	bucketPart
	bucketRest
	bucketLease
)

func newBucket(n uint64, killed bool) *bucket {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("bucket"), n))
	return &bucket{caps.StorageIndex(sum[:16]), killed}
}

func (b *bucket) steps() int { return bucketLease }

// content is what a share holds.
func (b *bucket) content(n storage.ShareNumber) []byte {
	seed := sha256.Sum256(append(b.si[:], byte(n)))
	size := 1 + int(binary.BigEndian.Uint16(seed[:]))/4
	if n == 1 {
		size += 60_000 // Some are noted when they are allocated.
	}
	data := make([]byte, size)
	rand.NewChaCha8(seed).Read(data)
	return data
}

func (b *bucket) secrets(who string) (*storage.UploadSecret, *storage.LeaseSecrets) {
	hash := func(what string) [32]byte { return sha256.Sum256(append([]byte(who+what), b.si[:]...)) }
	up := hash("upload")
	return storage.NewUploadSecret(up[:]), &storage.LeaseSecrets{Renew: hash("renew"), Cancel: hash("cancel")}
}

// cut is where the first part of share 1 ends that is sent, and the second
// begins.
func cut(data []byte) (end, begin int) { return len(data) / 3, len(data) / 2 }

func (b *bucket) step(ctx context.Context, s server, i int) error {
	switch i + 1 {
	case bucketWhole:
		return b.send(ctx, s, 0, nil)
	case bucketPart:
		end, begin := cut(b.content(1))
		return b.send(ctx, s, 1, []storage.Range{{Begin: int64(begin), End: int64(len(b.content(1)) - 1)}, {Begin: 0, End: int64(end)}})
	case bucketRest:
		return b.send(ctx, s, 1, nil)
	}
	_, l := b.secrets("somebody")
	return s.AddLease(ctx, b.si, l)
}

// send sends parts of a share; nil: all that the server says is missing.
func (b *bucket) send(ctx context.Context, s server, n storage.ShareNumber, parts []storage.Range) error {
	data := b.content(n)
	up, l := b.secrets("owner")
	a, err := s.Allocate(ctx, b.si, []storage.ShareNumber{n}, int64(len(data)), up, l)
	if err != nil {
		return err
	}
	if slices.Contains(a.AlreadyHave, n) {
		return nil
	}
	if !slices.Contains(a.Allocated, n) {
		return fmt.Errorf("share %d was not allocated", n)
	}
	all := parts == nil
	if all {
		if parts = a.Missing[n]; parts == nil {
			parts = []storage.Range{{Begin: 0, End: int64(len(data))}}
		}
	}
	missing := []storage.Range{}
	for _, r := range parts {
		if missing, err = s.Write(ctx, b.si, n, up, r.Begin, data[r.Begin:r.End]); err != nil {
			return err
		}
	}
	if all && len(missing) > 0 {
		return fmt.Errorf("%v is missing though all was sent that was", missing)
	}
	return nil
}

func (b *bucket) check(ctx context.Context, s server, done, begun int) error {
	held, err := s.Shares(ctx, storage.Immutable, b.si)
	if err != nil {
		return err
	}
	for n, at := range []int{bucketWhole, bucketRest} {
		there := slices.Contains(held, storage.ShareNumber(n))
		switch {
		case done >= at && !there:
			return fmt.Errorf("share %d is gone", n)
		case begun < at && there:
			return fmt.Errorf("share %d shows as whole", n)
		case there:
			if err := b.read(ctx, s, storage.ShareNumber(n)); err != nil {
				return err
			}
		}
	}
	for who, at := range map[string]int{"owner": bucketWhole, "somebody": bucketLease} {
		_, l := b.secrets(who)
		if ok, err := s.Leased(ctx, b.si, l); err != nil || !ok && done >= at {
			return fmt.Errorf("the lease of the %s is gone, %v", who, err)
		}
	}
	if done < bucketPart || begun > bucketPart {
		return nil
	}
	return b.checkPart(ctx, s)
}

// checkPart asks what of an upload is missing.
func (b *bucket) checkPart(ctx context.Context, s server) error {
	data := b.content(1)
	up, l := b.secrets("owner")
	a, err := s.Allocate(ctx, b.si, []storage.ShareNumber{1}, int64(len(data)), up, l)
	if err != nil {
		return err
	}
	missing := a.Missing[1]
	end, begin := cut(data)
	want := []storage.Range{{Begin: int64(end), End: int64(begin)}, {Begin: int64(len(data) - 1), End: int64(len(data))}}
	switch {
	case b.killed && !slices.Equal(missing, want):
		return fmt.Errorf("of an upload %v is missing, not %v", missing, want)
	case missing == nil:
		return nil
	}
	for _, w := range want {
		if !slices.ContainsFunc(missing, func(m storage.Range) bool { return m.Begin <= w.Begin && m.End >= w.End }) {
			return fmt.Errorf("of an upload %v is missing, and %v was never sent", missing, w)
		}
	}
	return nil
}

func (b *bucket) read(ctx context.Context, s server, n storage.ShareNumber) error {
	want := b.content(n)
	got := make([]byte, len(want)+1)
	c, err := s.Read(ctx, storage.Immutable, b.si, n, 0, got)
	if err != nil || !bytes.Equal(got[:c], want) {
		return fmt.Errorf("share %d has %d bytes, %v, and should have %d", n, c, err, len(want))
	}
	return nil
}
