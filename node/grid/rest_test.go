package grid_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/grid"
	"lafs/node/nodetest"
	"lafs/onion/oniontest"
)

// An upload that wants to hear of the rest waits for no server beyond
// happiness; the rest is placed, or not, in the background, and told once.
func TestRest(t *testing.T) {
	for _, size := range []int{1 << 10, 2 << 20} {
		for _, back := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				g := nodetest.New(t, nodetest.Options{Servers: 5, Needed: 2, Happy: 3, Total: 5, Net: oniontest.Options{RTT: time.Second}})
				c := g.Clients[0]
				if _, err := c.Put(t.Context(), content(size+1)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				g.Servers[4].Host.Faults(oniontest.Faults{Delay: 6 * time.Second})
				type end struct {
					res *grid.UploadResult
					err error
				}
				rest := make(chan end, 2)
				var late bool
				returned := false
				ctx, cancel := context.WithCancel(t.Context())
				began := time.Now()
				res, err := c.Upload(ctx, nodetest.Bytes(content(size)), grid.UploadOptions{
					Rest:     func(res *grid.UploadResult, err error) { rest <- end{res, err} },
					Progress: func(grid.Progress) { late = late || returned },
				})
				if err != nil {
					t.Fatal(err)
				}
				took := time.Since(began)
				returned = true
				cancel()
				if want := map[int]time.Duration{1 << 10: time.Second, 2 << 20: 6 * time.Second}[size]; took > want+100*time.Millisecond {
					t.Errorf("%d bytes: it took %v, want at most %v", size, took, want)
				}
				if res.Happiness < 3 || res.Happiness > 4 {
					t.Errorf("happiness %d at first, want some", res.Happiness)
				}
				if !back {
					g.Servers[4].Kill()
				}
				e := <-rest
				if e.err != nil || len(e.res.Sharemap) < 4 || back && size < 1<<20 && len(e.res.Sharemap) != 5 {
					t.Errorf("%d bytes, back %v: the rest: %+v, %v", size, back, e.res, e.err)
				}
				if e.res != nil && e.res.Cap.Reveal() != res.Cap.Reveal() {
					t.Error("two caps")
				}
				time.Sleep(time.Minute)
				if len(rest) > 0 || late {
					t.Errorf("told again, or of progress (%v) after the end", late)
				}
				if got, err := c.Get(t.Context(), res.Cap); err != nil || !bytes.Equal(got, content(size)) {
					t.Errorf("got %d bytes, %v", len(got), err)
				}
			})
		}
	}
}
