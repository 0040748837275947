package grid_test

import (
	"context"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/nodetest"
	"lafs/shares/caps"
)

// counter is a writer that counts.
type counter struct{ n atomic.Int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// Two downloads by one node share the lanes: at any time after the first
// seconds, while both run, each has had 40 to 60 % of the bytes since, but for
// what is here and waits for what comes before it, also where one started
// later.
func TestDownloadsShareFairly(t *testing.T) {
	for _, lag := range []time.Duration{0, 4 * time.Second} {
		if underRace && lag == 0 {
			continue // the other one does more
		}
		synctest.Test(t, func(t *testing.T) {
			g := nodetest.New(t, nodetest.Options{Servers: 5, Needed: 3, Happy: 5, Total: 5, Net: torNet})
			c := g.Clients[0]
			var files [2]caps.Cap
			var err error
			const size = 60 << 20
			for i := range files {
				if files[i], err = c.Put(t.Context(), content(size+i)); err != nil {
					t.Fatal(err)
				}
			}
			var got [2]counter
			var all sync.WaitGroup
			for i, file := range files {
				all.Go(func() {
					time.Sleep(time.Duration(i) * lag)
					if err := c.Copy(t.Context(), &got[i], file); err != nil {
						t.Error(err)
					}
				})
			}
			time.Sleep(lag + 4*time.Second) // of cold lanes, or of the first spans
			first := [2]int64{got[0].n.Load(), got[1].n.Load()}
			looks := 0
			for range 100 {
				time.Sleep(500 * time.Millisecond)
				a, b := got[0].n.Load()-first[0], got[1].n.Load()-first[1]
				if looks++; first[0]+a >= size || first[1]+b >= size {
					break
				}
				const held = 4 << 20
				if d := max(a-b, b-a); a+b >= 16<<20 && d > (a+b)/5+held {
					t.Errorf("%v apart, after %d looks: %d and %d bytes", lag, looks, a, b)
				}
			}
			all.Wait()
			if looks < 5 {
				t.Errorf("only %d looks while both ran", looks)
			}
		})
	}
}

// Small files are put and got as fast beside bulk, both ways, as alone.
func TestSmallFilesNeverWaitBehindBulk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := nodetest.New(t, nodetest.Options{Servers: 5, Needed: 3, Happy: 5, Total: 5, Net: torNet})
		c := g.Clients[0]
		large, err := c.Put(t.Context(), content(100<<20))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		small := func() (took time.Duration) {
			n++
			began := time.Now()
			file, err := c.Put(t.Context(), content(2000+n))
			if err == nil {
				_, err = c.Get(t.Context(), file)
			}
			if err != nil {
				t.Error(err)
			}
			return time.Since(began)
		}
		var alone, beside []time.Duration
		for range 5 {
			alone = append(alone, small())
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var bulk sync.WaitGroup
		bulk.Go(func() {
			for ctx.Err() == nil {
				c.Copy(ctx, io.Discard, large)
			}
		})
		bulk.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				c.PutSource(ctx, nodetest.Bytes(content(30<<20+i)))
			}
		})
		time.Sleep(3 * time.Second)
		for range 10 {
			beside = append(beside, small())
		}
		cancel()
		bulk.Wait()
		if got, most := slices.Max(beside), slices.Max(alone)+torNet.RTT/4; got > most {
			t.Errorf("beside bulk: %v, want at most %v", beside, most)
		}
	})
}
