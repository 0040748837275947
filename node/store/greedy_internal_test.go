package store

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// TestNobodyHasAllUploads: an authority that begins uploads without end
// leaves some for others, and gives all back in time.
func TestNobodyHasAllUploads(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s, err := Open(Config{Dir: t.TempDir(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.free = func(string) (int64, error) { return 1 << 40, nil }
	greedy, other := s.As(7), s.As(8)
	secret, lease := storage.NewUploadSecret([]byte("x")), &storage.LeaseSecrets{}
	var all []storage.ShareNumber
	for n := range 256 {
		all = append(all, storage.ShareNumber(n))
	}
	var si caps.StorageIndex
	began := 0
	for ; began <= maxUploads; began += len(all) {
		binary.BigEndian.PutUint32(si[:], uint32(began))
		if _, err = greedy.Allocate(t.Context(), si, all, 1, secret, lease); err != nil {
			break
		}
	}
	if !errors.Is(err, storage.ErrBusy) || began < maxUploads/2 || began > maxUploads*3/4 {
		t.Errorf("one authority began %d uploads, and then got %v, want ErrBusy at three quarters of %d", began, err, maxUploads)
	}
	si[15]++
	if a, err := other.Allocate(t.Context(), si, all, 1, secret, lease); err != nil || len(a.Allocated) != len(all) {
		t.Errorf("another authority: got %d uploads, %v", len(a.Allocated), err)
	}
	now = now.Add(uploadTimeout + time.Minute)
	if _, err := greedy.Allocate(t.Context(), si, all, 1, secret, lease); err != nil {
		t.Errorf("when all are abandoned: %v", err)
	}
	if len(s.uploads) != len(all) || s.pending != cost(1)*int64(len(all)) || s.account(8).Usage != (Usage{}) || s.account(8).uploads != 0 || s.account(7).uploads != len(all) {
		t.Errorf("%d uploads, %d bytes and of one authority %+v stand", len(s.uploads), s.pending, s.account(8))
	}
}

// TestScatteredParts: those of all uploads are counted, bounded, and given
// back; an upload in order needs none of them.
func TestScatteredParts(t *testing.T) {
	s, err := Open(Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	secret, lease := storage.NewUploadSecret([]byte("x")), &storage.LeaseSecrets{}
	begin := func(si caps.StorageIndex) {
		if _, err := s.As(7).Allocate(t.Context(), si, []storage.ShareNumber{0}, 100, secret, lease); err != nil {
			t.Fatal(err)
		}
	}
	write := func(si caps.StorageIndex, at, n int64) error {
		_, err := s.As(7).Write(t.Context(), si, 0, secret, at, make([]byte, n))
		return err
	}
	counted := func(want int) {
		t.Helper()
		if s.parts != want || s.account(7).parts != want {
			t.Errorf("%d parts are counted, %d of the authority, want %d", s.parts, s.account(7).parts, want)
		}
	}
	one, two := caps.StorageIndex{1}, caps.StorageIndex{2}
	begin(one)
	for _, at := range []int64{10, 20, 30} {
		if err := write(one, at, 5); err != nil {
			t.Fatal(err)
		}
	}
	counted(3)
	if err := write(one, 10, 20); err != nil {
		t.Fatal(err)
	}
	counted(1)

	const others = maxAllParts - 2
	s.scatterLocked(8, others)
	begin(two)
	if err := write(two, 0, 10); err != nil {
		t.Errorf("in order: %v", err)
	}
	if err := write(two, 50, 10); !errors.Is(err, storage.ErrBusy) {
		t.Errorf("scattered, when there are too many: got %v, want ErrBusy", err)
	}
	if err := write(two, 10, 90); err != nil {
		t.Errorf("its end: %v", err)
	}
	s.scatterLocked(8, -others)
	counted(1)
	if err := s.Abort(t.Context(), one, 0, secret); err != nil {
		t.Fatal(err)
	}
	counted(0)
}

// dying is a context that ends when it was asked so many times.
type dying struct {
	context.Context
	left int
}

func (d *dying) Err() error {
	if d.left--; d.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestPatchesThatCostMuch: nobody makes a long share of nothing, to have it
// copied again and again, and who is gone has nothing copied.
func TestPatchesThatCostMuch(t *testing.T) {
	s, err := Open(Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	si, enabler, lease := caps.StorageIndex{1}, &storage.WriteEnabler{}, &storage.LeaseSecrets{}
	patch := func(ctx context.Context, at int64, text string) error {
		_, _, err := s.ReadTestWrite(ctx, si, enabler, lease, map[storage.ShareNumber]storage.TestWrite{
			0: {Patches: []storage.Patch{{Offset: at, Data: []byte(text)}}}}, nil)
		return err
	}
	for _, tt := range []struct {
		at   int64
		want error
	}{{maxGap + 1, storage.ErrNoSpace}, {maxGap, nil}, {3 * maxGap, storage.ErrNoSpace}, {1 << 40, storage.ErrNoSpace}, {2 * maxGap, nil}} {
		if err := patch(t.Context(), tt.at, "x"); !errors.Is(err, tt.want) {
			t.Errorf("a byte at %d: got %v, want %v", tt.at, err, tt.want)
		}
	}
	if err := patch(&dying{t.Context(), 5}, 0, "lost"); !errors.Is(err, context.Canceled) {
		t.Errorf("who is gone: got %v, want the context's error", err)
	}
	if err := patch(t.Context(), 1, "y"); err != nil {
		t.Fatal(err)
	}
	_, data, err := s.ReadTestWrite(t.Context(), si, enabler, lease, nil, []storage.Span{{Size: 3}, {Offset: 2 * maxGap, Size: 9}})
	if err != nil || string(data[0][0]) != "\x00y\x00" || string(data[0][1]) != "x" {
		t.Errorf("afterwards: got %q, %v", data, err)
	}
	if st, err := s.Stats(); err != nil || s.pending != 0 || st.Shares != 1 {
		t.Errorf("Stats: got %+v, %v, and %d bytes are promised", st, err, s.pending)
	}
}
