package grid_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/nodetest"
	"lafs/onion"
	"lafs/onion/mux"
	"lafs/onion/oniontest"
)

// torNet behaves as the circuits that were measured.
var torNet = oniontest.Options{RTT: 570 * time.Millisecond, Windows: true, ConnectTrips: 5, Jitter: 30 * time.Millisecond}

// plainStreams measures what the same network carries without us: size bytes
// striped over so many streams, each way, on warm streams.
func plainStreams(t *testing.T, n *oniontest.Net, streams int, size int64) (up, down time.Duration) {
	t.Helper()
	key, _ := onion.GenerateKey()
	addr, _ := key.Addr(7)
	ls, err := n.Host("plain").Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{7}})
	if err != nil {
		t.Fatal(err)
	}
	defer ls[0].Close()
	var near, far []net.Conn
	for range streams {
		c, err := n.Host("asker").Dial(t.Context(), addr, onion.NewLane())
		if err != nil {
			t.Fatal(err)
		}
		f, err := ls[0].Accept()
		if err != nil {
			t.Fatal(err)
		}
		near, far = append(near, c), append(far, f)
	}
	each := size / int64(streams)
	move := func(from, to []net.Conn) time.Duration {
		began := time.Now()
		var all sync.WaitGroup
		for i := range from {
			all.Go(func() { from[i].Write(make([]byte, each)) })
			all.Go(func() { io.CopyN(io.Discard, to[i], each) })
		}
		all.Wait()
		return time.Since(began) + torNet.RTT/2 // the question, or the answer
	}
	for range 3 {
		up, down = move(near, far), move(far, near)
	}
	for i := range near {
		near[i].Close()
		far[i].Close()
	}
	return up, down
}

// Transfers on warm lanes take little longer than the same bytes on plain
// streams, as many as a download of k shares at the default number of lanes
// would have, or an upload of N: one trip for a download's question, and no
// more. An upload's first segments go with it.
func TestLimit(t *testing.T) {
	for _, tt := range []struct {
		mib      int
		put, get float64 // at most so many times as long
	}{{10, 1.1, 1.45}, {100, 1.1, 1.0}} {
		t.Run(fmt.Sprintf("%d MiB", tt.mib), func(t *testing.T) {
			if testing.Short() && tt.mib > 10 {
				t.Skip("moves 1 GiB in all")
			}
			synctest.Test(t, func(t *testing.T) {
				g := nodetest.New(t, nodetest.Options{Servers: 5, Needed: 3, Happy: 5, Total: 5, Net: torNet})
				size := tt.mib << 20
				up, _ := plainStreams(t, g.Net, 5*mux.DefaultBulkLanes, int64(size)*5/3)
				_, down := plainStreams(t, g.Net, 3*mux.DefaultBulkLanes, int64(size))
				// The windows of circuits grow with use: the first transfers show
				// them, the best of the others what lanes are worth. What is
				// answered at one instant has no order here, which costs a
				// transfer a trip more or less.
				put, get := math.Inf(1), math.Inf(1)
				for i := 0; i < 16 && (put > tt.put || get > tt.get); i++ {
					data := content(size + i)
					began := time.Now()
					cap, err := g.Clients[0].Put(t.Context(), data)
					if err != nil {
						t.Fatal(err)
					}
					thisPut := time.Since(began).Seconds() / up.Seconds()
					began = time.Now()
					if got, err := g.Clients[0].Get(t.Context(), cap); err != nil || !bytes.Equal(got, data) {
						t.Fatalf("got %d bytes, %v", len(got), err)
					}
					thisGet := time.Since(began).Seconds() / down.Seconds()
					t.Logf("put %.2f, get %.2f of the plain streams' time", thisPut, thisGet)
					if i >= 2 {
						put, get = min(put, thisPut), min(get, thisGet)
					}
				}
				if put > tt.put || get > tt.get {
					t.Errorf("put %.2f, get %.2f times the plain streams' time, want at most %.2f and %.2f", put, get, tt.put, tt.get)
				}
			})
		})
	}
}

// With one server stalled and one at a tenth of its speed, a download takes
// little longer: what they owe comes from the others.
func TestStalledAndSlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := nodetest.New(t, nodetest.Options{Servers: 5, Needed: 3, Happy: 5, Total: 5, Net: torNet})
		c := g.Clients[0]
		data := content(10 << 20)
		cap, err := c.Put(t.Context(), data)
		if err != nil {
			t.Fatal(err)
		}
		get := func() (took time.Duration, came int64) {
			before, began := c.Host.Counters().In, time.Now()
			if got, err := c.Get(t.Context(), cap); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("got %d bytes, %v", len(got), err)
			}
			took = time.Since(began)
			time.Sleep(3 * time.Second)
			return took, c.Host.Counters().In - before
		}
		for range 3 {
			get()
		}
		whole, _ := get()
		best := math.Inf(1)
		for i, pair := range [][2]int{{0, 1}, {2, 4}, {3, 2}} {
			if testing.Short() && i > 0 {
				break
			}
			stalled, slow := g.Servers[pair[0]].Host, g.Servers[pair[1]].Host
			stalled.Faults(oniontest.Faults{StallOut: true})
			slow.Faults(oniontest.Faults{Bandwidth: 80_000})
			took, came := get()
			t.Logf("%.2f s, undisturbed %.2f s, %.2f of its bytes", took.Seconds(), whole.Seconds(), float64(came)/float64(len(data)))
			if took > whole*5/2 {
				t.Errorf("it took %v, %.2f of %v", took, took.Seconds()/whole.Seconds(), whole)
			}
			best = min(best, took.Seconds()/whole.Seconds())
			if came > int64(len(data))*13/10 {
				t.Errorf("%d bytes came for a file of %d", came, len(data))
			}
			stalled.Faults(oniontest.Faults{})
			slow.Faults(oniontest.Faults{})
			time.Sleep(15 * time.Minute) // what was learned of them is forgotten
			for range 3 {
				get()
			}
		}
		// One pair of servers says little: which of the others has the most
		// to give differs from pair to pair.
		if !testing.Short() && best > 1.5 {
			t.Errorf("with no pair of bad servers it took less than %.2f of the undisturbed time, want 1.5", best)
		}
	})
}
