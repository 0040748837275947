package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// A crowd is a bucket of so many tiny shares that the server syncs the disk
// once for all of them, and not each by itself. Each step stores one.
type crowd struct{ si caps.StorageIndex }

const crowdShares = 24

func newCrowd() *crowd {
	sum := sha256.Sum256([]byte("crowd"))
	return &crowd{caps.StorageIndex(sum[:16])}
}

func (c *crowd) steps() int { return crowdShares }

func (c *crowd) content(n int) []byte { return bytes.Repeat([]byte{byte(n + 1)}, 100+37*n) }

func (c *crowd) step(ctx context.Context, s server, i int) error {
	n, data := storage.ShareNumber(i), c.content(i)
	up, l := storage.GenerateUploadSecret(), &storage.LeaseSecrets{Renew: [32]byte{1}}
	a, err := s.Allocate(ctx, c.si, []storage.ShareNumber{n}, int64(len(data)), up, l)
	if err != nil {
		return err
	}
	if slices.Contains(a.AlreadyHave, n) {
		return nil
	}
	_, err = s.Write(ctx, c.si, n, up, 0, data)
	return err
}

func (c *crowd) check(ctx context.Context, s server, done, begun int) error {
	held, err := s.Shares(ctx, storage.Immutable, c.si)
	if err != nil {
		return err
	}
	for i := range crowdShares {
		n := storage.ShareNumber(i)
		there := slices.Contains(held, n)
		switch {
		case i < done && !there:
			return fmt.Errorf("share %d is gone", n)
		case i >= begun && there:
			return fmt.Errorf("share %d shows as whole", n)
		case !there:
			continue
		}
		want := c.content(i)
		got := make([]byte, len(want)+1)
		if k, err := s.Read(ctx, storage.Immutable, c.si, n, 0, got); err != nil || !bytes.Equal(got[:k], want) {
			return fmt.Errorf("share %d has %d bytes, %v, and should have %d", n, k, err, len(want))
		}
	}
	return nil
}
