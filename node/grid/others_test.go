package grid_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/grid"
	"lafs/node/nodetest"
	"lafs/onion/oniontest"
)

// Several clients upload one file at the same moment, or nearly: each of them
// succeeds.
func TestManyClientsUploadOneFile(t *testing.T) {
	for _, size := range []int{1000, 200_000, 5_000_000} {
		for _, lag := range []time.Duration{0, 100 * time.Millisecond, time.Second} {
			synctest.Test(t, func(t *testing.T) {
				g := nodetest.New(t, nodetest.Options{Clients: 3, MaxSegmentSize: 128 << 10,
					Net: oniontest.Options{RTT: 500 * time.Millisecond, Jitter: 200 * time.Millisecond, Seed: int64(size)}})
				data := content(size)
				var wg sync.WaitGroup
				for i, c := range g.Clients {
					wg.Go(func() {
						time.Sleep(time.Duration(i) * lag)
						began := time.Now()
						res, err := c.PutSource(t.Context(), nodetest.Bytes(data))
						if err != nil || res.Happiness < 5 {
							t.Errorf("%d bytes, %v apart: client %d: %+v, %v", size, lag, i, res, err)
							return
						}
						if took := time.Since(began); took > 2*time.Minute {
							t.Errorf("%d bytes, %v apart: client %d took %v", size, lag, i, took)
						}
						mustGet(t, c, res.Cap, data)
					})
				}
				wg.Wait()
			})
		}
	}
}

// Where the other upload has stopped, patience ends; where there is no room,
// there is nothing to wait for.
func TestWaitingForOthersEnds(t *testing.T) {
	for _, tt := range []struct {
		space    uint64
		words    string
		from, to time.Duration
	}{
		{1 << 40, "another upload of the file is under way", time.Minute, 5 * time.Minute},
		{0, "takes no more", 0, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			tg := newGrid(t, 4, 2, 4, 4)
			for _, m := range tg.servers {
				m.space = tt.space
			}
			tg.servers[1].full = true
			began := time.Now()
			_, err := tg.Upload(t.Context(), bytesSource(content(10_000)), grid.UploadOptions{})
			var unhappy *grid.UnhappyError
			if !errors.As(err, &unhappy) || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("got %v, want %q", err, tt.words)
			}
			if took := time.Since(began); took < tt.from || took > tt.to {
				t.Errorf("%d bytes free: it took %v", tt.space, took)
			}
		})
	}
}
