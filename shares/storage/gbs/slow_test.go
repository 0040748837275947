package gbs_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lafs/onion/mux"
	"lafs/onion/oniontest"
	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// A drip is a body that comes some bytes at a time, for ever.
type drip struct {
	ctx   context.Context
	every time.Duration
	size  int
}

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-time.After(d.every):
		return min(d.size, len(p)), nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

func (drip) Close() error { return nil }

// A sea is a share without end.
type sea struct{ storage.Server }

func (sea) Version(context.Context) (storage.Version, error) { return storage.Version{}, nil }

func (sea) Read(_ context.Context, _ storage.Kind, _ caps.StorageIndex, _ storage.ShareNumber, _ int64, p []byte) (int, error) {
	return len(p), nil
}

// TestSlowClients: those who send or read a byte now and then have all turns,
// and make room at once for one who works; fast ones do not.
func TestSlowClients(t *testing.T) {
	const turns = 8
	for _, tt := range []struct {
		name  string
		every time.Duration // between the pieces of a writer; 0: readers
		size  int           // of a piece
		busy  bool          // the others keep their turns
	}{
		{"writers", 5 * time.Second, 1, false},
		{"readers", 0, 0, false},
		{"writers of large pieces", 15 * time.Second, 10_000, false},
		{"fast writers", 100 * time.Millisecond, 1000, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := openStore(t, time.Now)
				var server storage.Server = st
				if tt.every == 0 {
					server = sea{}
				}
				h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(server), MaxRequests: turns})
				peer := serve(t, h, oniontest.Options{RTT: 100 * time.Millisecond})
				c := gbs.NewClient(peer, storage.NewSwissnum(swissnum))
				up, lease := storage.NewUploadSecret([]byte("upload")), &storage.LeaseSecrets{}
				var numbers []storage.ShareNumber
				for n := range storage.ShareNumber(turns) {
					numbers = append(numbers, n)
				}
				if tt.every > 0 {
					if a, err := c.Allocate(t.Context(), testIndex, numbers, 10_000_000, up, lease); err != nil || len(a.Allocated) != turns {
						t.Fatalf("Allocate: got %+v, %v", a, err)
					}
				}
				ctx, cancelAll := context.WithCancel(t.Context())
				ended := make(chan error, turns)
				for n := range turns {
					go func() { ended <- slowRequest(ctx, peer.RoundTripper(mux.Small), n, tt.every, tt.size) }()
				}
				time.Sleep(2 * turnGrace)
				for i := range 3 {
					_, err := c.Version(t.Context())
					if tt.busy && !errors.Is(err, storage.ErrBusy) || !tt.busy && err != nil {
						t.Errorf("Version %d: got %v", i, err)
					}
				}
				cancelAll()
				for range turns {
					<-ended
				}
			})
		})
	}
}

// turnGrace is at least the handler's.
const turnGrace = 30 * time.Second

// slowRequest writes to a share, a byte every so often, or reads none of an
// endless answer.
func slowRequest(ctx context.Context, peer http.RoundTripper, n int, every time.Duration, size int) error {
	method, path := "GET", prefix+"/"+string(rune('0'+n))
	headers := []string{authLine}
	if every > 0 {
		method = "PATCH"
		headers = append(secretLines(upload), "Content-Range: bytes 0-9999999/*")
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://lafs"+path, nil)
	if err != nil {
		return err
	}
	for _, l := range headers {
		k, v, _ := strings.Cut(l, ": ")
		req.Header.Add(k, v)
	}
	if every > 0 {
		req.Body, req.ContentLength = drip{ctx, every, size}, 10_000_000
	}
	resp, err := peer.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if every > 0 {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	<-ctx.Done()
	return nil
}
