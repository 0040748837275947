package gbs_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"lafs/onion/oniontest"
	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// A share is begun without an allocation, again without harm, goes on with
// Write, and is told of as whole by a server that has it.
func TestBegin(t *testing.T) {
	h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, time.Now))})
	c := gbs.NewClient(serve(t, h, oniontest.Options{}), storage.NewSwissnum(swissnum))
	ctx, si, lease, up := t.Context(), caps.StorageIndex{9}, &storage.LeaseSecrets{}, storage.GenerateUploadSecret()
	data := bytes.Repeat([]byte("block"), 40_000)
	size, half := int64(len(data)), int64(len(data)/2)
	for range 2 {
		missing, err := c.Begin(ctx, si, 4, size, up, lease, 0, data[:half])
		if err != nil || len(missing) != 1 || missing[0] != (storage.Range{Begin: half, End: size}) {
			t.Fatalf("Begin: got %v, %v", missing, err)
		}
	}
	if _, err := c.Begin(ctx, si, 4, size, storage.GenerateUploadSecret(), lease, 0, data[:half]); !errors.Is(err, storage.ErrConflict) {
		t.Errorf("Begin of somebody else: got %v, want ErrConflict", err)
	}
	if _, err := c.Begin(ctx, si, 4, size, up, lease, 0, []byte("other")); !errors.Is(err, storage.ErrConflict) {
		t.Errorf("Begin of other bytes: got %v, want ErrConflict", err)
	}
	if missing, err := c.Write(ctx, si, 4, up, half, data[half:]); err != nil || len(missing) > 0 {
		t.Errorf("Write of the rest: got %v, %v", missing, err)
	}
	if missing, err := c.Begin(ctx, si, 4, size, up, lease, 0, data[:half]); err != nil || len(missing) > 0 {
		t.Errorf("Begin of what is whole: got %v, %v", missing, err)
	}
	got := make([]byte, size)
	if n, err := c.Read(ctx, storage.Immutable, si, 4, 0, got); err != nil || n != len(got) || !bytes.Equal(got, data) {
		t.Errorf("Read: got %d bytes, %v", n, err)
	}
	if _, err := c.Begin(ctx, si, 5, 1<<60, up, lease, 0, data); err == nil {
		t.Error("Begin of more than there is room for: got no error")
	}
	for _, bad := range []struct{ size, offset int64 }{{size, -1}, {size, 1}, {size - 1, 0}, {0, 0}, {-1, 0}, {1<<63 - 1, 1<<63 - 2}} {
		if _, err := c.Begin(ctx, si, 5, bad.size, up, lease, bad.offset, data); !errors.Is(err, storage.ErrBadRequest) {
			t.Errorf("Begin of %+v: got %v, want ErrBadRequest", bad, err)
		}
	}
}

// Ranges that are none, or leave the size open, reserve nothing.
func TestBeginRefusesBadRanges(t *testing.T) {
	h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, time.Now))})
	c := gbs.NewClient(serve(t, h, oniontest.Options{}), storage.NewSwissnum(swissnum))
	si := caps.StorageIndex{10}
	for _, r := range []string{"", "bytes 0-4/*", "bytes 0-4/4", "bytes 0-4/", "bytes 0-4", "bytes 0-4/-9", "bytes 4-0/9", "bytes 0-4/9/9", "bytes 0-4/99999999999999999999"} {
		resp, _ := send(t, h, wire{name: r, method: http.MethodPatch, path: fmt.Sprintf("/lafs/v1/begin/%s/1", si),
			headers: append(secretLines(renew, cancel, upload), "Content-Range: "+r), body: "01234"})
		if resp.StatusCode != http.StatusRequestedRangeNotSatisfiable {
			t.Errorf("%q: got status %d, want %d", r, resp.StatusCode, http.StatusRequestedRangeNotSatisfiable)
		}
	}
	a, err := c.Allocate(t.Context(), si, []storage.ShareNumber{1}, 77, storage.GenerateUploadSecret(), &storage.LeaseSecrets{})
	if err != nil || len(a.Allocated) != 1 {
		t.Errorf("Allocate afterwards: got %+v, %v, want the share", a, err)
	}
}

// It costs one trip.
func TestBeginTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, time.Now))})
		c := gbs.NewClient(serve(t, h, oniontest.Options{RTT: time.Second}), storage.NewSwissnum(swissnum))
		if _, err := c.Version(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := c.Begin(t.Context(), caps.StorageIndex{11}, 0, 2000, storage.GenerateUploadSecret(), &storage.LeaseSecrets{}, 0, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Second+10*time.Millisecond {
			t.Errorf("it took %v, want 1 s", took)
		}
	})
}
