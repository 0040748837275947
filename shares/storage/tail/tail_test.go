package tail_test

import (
	"context"
	"testing"

	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
	"lafs/shares/storage/storagetest"
	"lafs/shares/storage/tail"
)

// A readers is a server as Tahoe-LAFS's readers see it: they take a share to
// end where it says, and pass over what is none.
type readers struct {
	*tail.Slots
	*storagetest.Plain
	storage.Server
}

func (r readers) ReadTestWrite(ctx context.Context, si caps.StorageIndex, enabler *storage.WriteEnabler, lease *storage.LeaseSecrets,
	writes map[storage.ShareNumber]storage.TestWrite, spans []storage.Span) (bool, map[storage.ShareNumber][][]byte, error) {
	return r.Slots.ReadTestWrite(ctx, si, enabler, lease, writes, spans)
}

func (r readers) Shares(ctx context.Context, kind storage.Kind, si caps.StorageIndex) (out []storage.ShareNumber, err error) {
	all, err := r.Plain.Shares(ctx, kind, si)
	for _, n := range all {
		if b := r.Plain.Share(si, n); len(b) < 8 || string(b[:8]) != "lafstail" {
			out = append(out, n)
		}
	}
	return out, err
}

func (r readers) Read(ctx context.Context, kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber, offset int64, p []byte) (int, error) {
	if h, err := mutable.ParseHeader(r.Plain.Share(si, n)); err == nil {
		p = p[:max(0, min(int64(len(p)), h.ShareSize()-offset))]
	}
	return r.Plain.Read(ctx, kind, si, n, offset, p)
}

func (r readers) AddLease(ctx context.Context, si caps.StorageIndex, lease *storage.LeaseSecrets) error {
	return r.Plain.AddLease(ctx, si, lease)
}

func (r readers) AdviseCorrupt(ctx context.Context, kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber, _ string) error {
	_, err := r.Read(ctx, kind, si, n, 0, make([]byte, 1))
	return err
}

// TestContract: a server that knows only Tahoe-LAFS's protocol keeps mutable
// objects as one of ours does, but for what a Tahoe-LAFS client overwrites:
// that is gone. What read-test-write itself does is the server's business.
func TestContract(t *testing.T) {
	storagetest.Slots(t, func(t *testing.T) storage.Slots {
		p := &storagetest.Plain{}
		return readers{Slots: tail.New(p), Plain: p}
	}, "a foreign write over a slot", "a foreign write between promise and vote",
		"read-test-write", "tests", "patches", "deleting shares", "several shares at once", "bad read-test-writes", "racing read-test-writes")
}
