package grid_test

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/grid"
	"lafs/node/nodetest"
	"lafs/onion/oniontest"
)

// A server that agrees to take a share of a large file and then stalls, or is
// slow, does not keep the cap back: its share is made again afterwards, for it
// or for another, though the caller has closed the source by then.
func TestStalledServerGetsItsShareLater(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  oniontest.Faults
		lasts  time.Duration
		shares int
	}{
		{"stalls for a minute", oniontest.Faults{StallIn: true}, time.Minute, 5},
		{"stalls for ever", oniontest.Faults{StallIn: true}, 3 * time.Hour, 5},
		{"slow", oniontest.Faults{Bandwidth: 20_000}, 5 * time.Minute, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if underRace && tt.lasts != time.Minute {
				t.Skip("moves 180 MiB; another fault runs under the detector")
			}
			synctest.Test(t, func(t *testing.T) {
				g := nodetest.New(t, nodetest.Options{Servers: 5, Needed: 2, Happy: 4, Total: 5, Net: oniontest.Options{RTT: 500 * time.Millisecond, Bandwidth: 1 << 20}})
				c := g.Clients[0]
				const size = 30 << 20
				put := func(seed int, begun func()) (res, rest *grid.UploadResult, took time.Duration, err error) {
					src, err := grid.SpoolSource(bytes.NewReader(content(size+seed)), t.TempDir())
					if err != nil {
						t.Fatal(err)
					}
					type end struct {
						res *grid.UploadResult
						err error
					}
					ended := make(chan end, 1)
					began, once := time.Now(), false
					res, err = c.Upload(t.Context(), src, grid.UploadOptions{
						Rest: func(res *grid.UploadResult, err error) { ended <- end{res, err} },
						Progress: func(p grid.Progress) {
							if p.Phase == "sending" && !once && p.Done > p.Total/8 {
								once = true
								begun()
							}
						},
					})
					took = time.Since(began)
					src.Close()
					if err != nil || res.Pending == 0 {
						return res, res, took, err
					}
					e := <-ended
					return res, e.res, took, e.err
				}
				for i := range 2 {
					if _, _, _, err := put(i, func() {}); err != nil {
						t.Fatal(err)
					}
				}
				_, _, whole, err := put(2, func() {})
				if err != nil {
					t.Fatal(err)
				}
				bad := g.Servers[3].Host
				res, rest, took, err := put(3, func() {
					bad.Faults(tt.fault)
					time.AfterFunc(tt.lasts, func() { bad.Faults(oniontest.Faults{}) })
				})
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("undisturbed %v, with the fault %v", whole, took)
				if took > whole+4*time.Second {
					t.Errorf("the cap took %v, undisturbed %v", took, whole)
				}
				if res.Happiness != 4 || len(rest.Sharemap) != tt.shares {
					t.Errorf("happiness %d, %d shares in the end, want %d", res.Happiness, len(rest.Sharemap), tt.shares)
				}
				bad.Faults(oniontest.Faults{})
				if got, err := c.Get(t.Context(), res.Cap); err != nil || !bytes.Equal(got, content(size+3)) {
					t.Errorf("got %d bytes, %v", len(got), err)
				}
			})
		})
	}
}

// A reader of a spool lives as long as it is open, and the file no longer.
func TestSpoolOutlivesItsClose(t *testing.T) {
	data := content(1 << 20)
	s, err := grid.SpoolSource(bytes.NewReader(data), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
		t.Errorf("after Close: got %d bytes, %v", len(got), err)
	}
	if _, err := s.Open(); err == nil {
		t.Error("Open after Close: got no error")
	}
	r.Close()
	if n, err := r.Read(make([]byte, 1)); err == nil && n > 0 {
		t.Error("Read after both were closed: got a byte")
	}
}
