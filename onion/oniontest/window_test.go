package oniontest_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"lafs/onion"
	"lafs/onion/oniontest"
)

// What a fresh circuit brings by then, as measured on Tor.
func TestWindows(t *testing.T) {
	for _, tt := range []struct {
		kib         int64
		least, most float64 // trips
	}{{56, 0.5, 0.5}, {64, 1.4, 1.6}, {168, 1.5, 1.7}, {392, 2.4, 2.7}, {1 << 10, 4.5, 6}, {2 << 10, 7.5, 9}} {
		synctest.Test(t, func(t *testing.T) {
			n := oniontest.New(oniontest.Options{RTT: time.Second, Windows: true})
			defer n.Close()
			key, _ := onion.GenerateKey()
			addr, _ := key.Addr(80)
			ls, err := n.Host("server").Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80}})
			if err != nil {
				t.Fatal(err)
			}
			c, err := n.Host("client").Dial(t.Context(), addr, onion.NewLane())
			if err != nil {
				t.Fatal(err)
			}
			far, err := ls[0].Accept()
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			go c.Write(make([]byte, tt.kib<<10))
			if _, err := io.CopyN(io.Discard, far, tt.kib<<10); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(began).Seconds(); got < tt.least || got > tt.most {
				t.Errorf("%d KiB: got %.2f trips one way, want %.1f to %.1f", tt.kib, got, tt.least, tt.most)
			}
		})
	}
}
