package grid_test

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/nodetest"
	"lafs/onion/oniontest"
)

var slowNet = oniontest.Options{RTT: 500 * time.Millisecond, Bandwidth: 1 << 20}

// A server of 5 kB/s among servers of 1 MB/s neither holds an upload back
// for long, when it is happy without it, nor a download.
func TestSlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := nodetest.New(t, nodetest.Options{Needed: 2, Happy: 4, Total: 5, Net: slowNet})
		data := content(12_000_000)
		g.Servers[0].Host.Faults(oniontest.Faults{Bandwidth: 5 << 10})
		began := time.Now()
		res, err := g.Clients[0].PutSource(t.Context(), nodetest.Bytes(data))
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); res.Happiness != 4 || took > 2*time.Minute {
			t.Errorf("put: happiness %d after %v", res.Happiness, took)
		}

		g.Servers[0].Host.Faults(oniontest.Faults{})
		res, err = g.Clients[0].PutSource(t.Context(), nodetest.Bytes(data))
		if err != nil || res.Happiness != 5 {
			t.Fatalf("second put: %+v, %v", res, err)
		}
		g.Servers[0].Host.Faults(oniontest.Faults{Bandwidth: 5 << 10})
		g.Servers[1].Host.Faults(oniontest.Faults{StallOut: true})
		began = time.Now()
		got, err := g.Clients[0].Get(t.Context(), res.Cap)
		if took := time.Since(began); err != nil || !bytes.Equal(got, data) || took > 3*time.Minute {
			t.Errorf("get: %d bytes, %v, after %v", len(got), err, took)
		}
		t.Log("get", time.Since(began))
		g.Servers[1].Host.Faults(oniontest.Faults{})
	})
}

// When all servers are slow, our own link is: nobody is dropped.
func TestSlowLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := nodetest.New(t, nodetest.Options{Needed: 2, Happy: 2, Total: 5, Net: oniontest.Options{RTT: time.Second, Bandwidth: 20 << 10}})
		data := content(5_000_000)
		res, err := g.Clients[0].PutSource(t.Context(), nodetest.Bytes(data))
		if err != nil || res.Happiness != 5 {
			t.Fatalf("%+v, %v", res, err)
		}
		if got, err := g.Clients[0].Get(t.Context(), res.Cap); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("get: %d bytes, %v", len(got), err)
		}
	})
}

// Reading a small range of a large file brings only its segments.
func TestRangeBringsOnlyItsSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := nodetest.New(t, nodetest.Options{Clients: 2, Needed: 2, Happy: 5, Total: 5, Net: oniontest.Options{RTT: 500 * time.Millisecond}})
		data := content(20_000_000)
		cap, err := g.Clients[0].Put(t.Context(), data)
		if err != nil {
			t.Fatal(err)
		}
		f, err := g.Clients[1].Open(t.Context(), cap)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var out bytes.Buffer
		if err := f.Copy(t.Context(), &out, 10_000_000, 1000, nil); err != nil || !bytes.Equal(out.Bytes(), data[10_000_000:10_001_000]) {
			t.Fatalf("got %d bytes, %v", out.Len(), err)
		}
		if in := g.Clients[1].Host.Counters().In; in > 2<<20 {
			t.Errorf("1000 bytes cost %d", in)
		}
		if err := f.Copy(t.Context(), failing{}, 0, -1, nil); !errors.Is(err, errFull) {
			t.Errorf("a writer that fails: %v", err)
		}
	})
}

// What a download asks for ahead is a guess at how the file is cut. Where it
// is cut as older files are, the bytes are of use all the same.
func TestWrongGuessesWasteLittle(t *testing.T) {
	for _, segment := range []int64{0, 128 << 10} {
		synctest.Test(t, func(t *testing.T) {
			g := nodetest.New(t, nodetest.Options{Clients: 2, Servers: 5, Needed: 3, Happy: 5, Total: 5, MaxSegmentSize: segment, Net: oniontest.Options{RTT: 500 * time.Millisecond}})
			for _, size := range []int{1_000_000, 12_000_000} {
				data := content(size)
				cap, err := g.Clients[0].Put(t.Context(), data)
				if err != nil {
					t.Fatal(err)
				}
				before := g.Clients[1].Host.Counters().In
				got, err := g.Clients[1].Get(t.Context(), cap)
				if err != nil || !bytes.Equal(got, data) {
					t.Fatalf("segments of %d: got %d bytes, %v", segment, len(got), err)
				}
				if in := g.Clients[1].Host.Counters().In - before; float64(in) > 1.1*float64(size)+100_000 {
					t.Errorf("segments of %d: %d bytes came for %d", segment, in, size)
				}
			}
		})
	}
}

var errFull = errors.New("disk full")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }
