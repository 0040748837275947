package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// A plain slot changes as Tahoe-LAFS clients change it: each step writes its
// number into three shares, every fifth removes them.
type plain struct {
	si caps.StorageIndex
	n  int
}

func newPlain(n uint64, steps int) *plain {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("plain"), n))
	return &plain{caps.StorageIndex(sum[:16]), steps}
}

func (x *plain) steps() int { return x.n }

func (x *plain) lease() *storage.LeaseSecrets {
	return &storage.LeaseSecrets{Renew: sha256.Sum256(x.si[:]), Cancel: [32]byte{2}}
}

var plainShares = []storage.ShareNumber{0, 1, 200}

const plainAt = 5000

func removed(step int) bool { return step%5 == 4 }

func (x *plain) step(ctx context.Context, s server, i int) error {
	w := storage.TestWrite{Patches: []storage.Patch{{Offset: plainAt, Data: fmt.Appendf(nil, "%10d", i+1)}}}
	if removed(i) {
		w = storage.TestWrite{NewLength: new(int64)}
	}
	writes := map[storage.ShareNumber]storage.TestWrite{}
	for _, n := range plainShares {
		writes[n] = w
	}
	ok, _, err := s.ReadTestWrite(ctx, x.si, &storage.WriteEnabler{2}, x.lease(), writes, nil)
	if err == nil && !ok {
		err = errors.New("a write without tests did not pass")
	}
	return err
}

func (x *plain) check(ctx context.Context, s server, done, begun int) error {
	ok, data, err := s.ReadTestWrite(ctx, x.si, &storage.WriteEnabler{2}, &storage.LeaseSecrets{}, nil, []storage.Span{{Size: 2 * plainAt}})
	if err != nil || !ok {
		return fmt.Errorf("read: %v, %w", ok, err)
	}
	var text string
	for i, n := range plainShares {
		got := ""
		if parts := data[n]; parts != nil {
			if len(parts[0]) != plainAt+10 || strings.Trim(string(parts[0][:plainAt]), "\x00") != "" {
				return fmt.Errorf("share %d has %d bytes", n, len(parts[0]))
			}
			got = strings.TrimSpace(string(parts[0][plainAt:]))
		}
		if i > 0 && got != text {
			return fmt.Errorf("share %d is %q, and another %q", n, got, text)
		}
		text = got
	}
	if len(data) != 0 && len(data) != len(plainShares) {
		return fmt.Errorf("%d shares", len(data))
	}
	for _, steps := range []int{done, begun} {
		want := strconv.Itoa(steps)
		if steps == 0 || removed(steps-1) {
			want = ""
		}
		if text == want {
			return x.checkLease(ctx, s, text)
		}
	}
	return fmt.Errorf("the shares are %q", text)
}

func (x *plain) checkLease(ctx context.Context, s server, text string) error {
	if text == "" {
		return nil
	}
	if ok, err := s.Leased(ctx, x.si, x.lease()); err != nil || !ok {
		return fmt.Errorf("the lease is gone, %v", err)
	}
	return nil
}
