package gbs_test

import (
	"bytes"
	"errors"
	"net/http"
	"testing"
	"time"

	"lafs/onion/oniontest"
	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// A share that is not named is the one with the lowest number of those that
// are whole, and reads as it does by its number.
func TestReadAny(t *testing.T) {
	h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, time.Now))})
	c := gbs.NewClient(serve(t, h, oniontest.Options{}), storage.NewSwissnum(swissnum))
	ctx, si, lease, up := t.Context(), caps.StorageIndex{9}, &storage.LeaseSecrets{}, storage.GenerateUploadSecret()
	if _, _, err := c.ReadAny(ctx, si, 0, make([]byte, 10)); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("where none is: got %v, want ErrNotFound", err)
	}
	shares := map[storage.ShareNumber][]byte{7: []byte("the seventh share"), 4: []byte("the fourth  share")}
	if _, err := c.StoreWhole(ctx, si, shares, up, lease); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Allocate(ctx, si, []storage.ShareNumber{2}, 100, storage.GenerateUploadSecret(), lease); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		offset int64
		length int
		want   string
	}{{0, 10, "the fourth"}, {4, 100, "fourth  share"}, {17, 5, ""}, {100, 5, ""}, {3, 0, ""}} {
		p := make([]byte, tt.length)
		n, got, err := c.ReadAny(ctx, si, tt.offset, p)
		if err != nil || n != 4 || string(p[:got]) != tt.want {
			t.Errorf("%d bytes at %d: got %q of share %d, %v, want %q of share 4", tt.length, tt.offset, p[:got], n, err, tt.want)
		}
	}
	if _, _, err := c.ReadAny(ctx, si, -1, make([]byte, 1)); !errors.Is(err, storage.ErrBadRequest) {
		t.Errorf("before the share: got %v, want ErrBadRequest", err)
	}
}

// What a server says of the share that it reads from is looked at.
func TestReadAnyOfAnyServer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		number []string
		want   error
	}{
		{"good", []string{"255"}, nil},
		{"missing", nil, storage.ErrPeer},
		{"too large", []string{"256"}, storage.ErrPeer},
		{"negative", []string{"-1"}, storage.ErrPeer},
		{"padded", []string{"007"}, storage.ErrPeer},
		{"twice", []string{"1", "2"}, storage.ErrPeer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Location"] = tt.number
				w.Header().Set("Content-Range", "bytes 0-2/*")
				w.Header().Set("Content-Length", "3")
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write([]byte("abc"))
			})
			c := gbs.NewClient(serve(t, h, oniontest.Options{}), storage.NewSwissnum(swissnum))
			p := make([]byte, 3)
			n, got, err := c.ReadAny(t.Context(), caps.StorageIndex{1}, 0, p)
			if !errors.Is(err, tt.want) || err == nil && (n != 255 || !bytes.Equal(p[:got], []byte("abc"))) {
				t.Errorf("got %d bytes of share %d, %v, want %v", got, n, err, tt.want)
			}
		})
	}
}

// Nobody gets a whole share without saying which.
func TestReadAnyWantsARange(t *testing.T) {
	h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, time.Now))})
	c := gbs.NewClient(serve(t, h, oniontest.Options{}), storage.NewSwissnum(swissnum))
	si := caps.StorageIndex{9}
	if _, err := c.StoreWhole(t.Context(), si, map[storage.ShareNumber][]byte{1: []byte("share")}, storage.GenerateUploadSecret(), &storage.LeaseSecrets{}); err != nil {
		t.Fatal(err)
	}
	resp, _ := send(t, h, wire{method: http.MethodGet, path: "/lafs/v1/any/" + si.String(), headers: secretLines()})
	if resp.StatusCode != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("got status %d", resp.StatusCode)
	}
}
