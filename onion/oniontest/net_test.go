package oniontest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"lafs/onion"
	"lafs/onion/oniontest"
)

const second = time.Second

// pair publishes a service on host "server" and dials it from "client".
type pair struct {
	net            *oniontest.Net
	server, client *oniontest.Host
	addr           onion.Addr
	l              net.Listener
}

func newPair(t *testing.T, o oniontest.Options) *pair {
	t.Helper()
	n := oniontest.New(o)
	t.Cleanup(func() { n.Close() })
	k, err := onion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{net: n, server: n.Host("server"), client: n.Host("client")}
	ls, err := p.server.Listen(t.Context(), onion.Service{Key: k, Ports: []uint16{80}})
	if err != nil {
		t.Fatal(err)
	}
	p.l = ls[0]
	if p.addr, err = k.Addr(80); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *pair) connect(t *testing.T) (near, far net.Conn) {
	t.Helper()
	near, err := p.client.Dial(t.Context(), p.addr, onion.NewLane())
	if err != nil {
		t.Fatal(err)
	}
	far, err = p.l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

func TestLatencyIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, oniontest.Options{RTT: second})
		var near, far net.Conn
		if got := p.net.Trips(func() { near, far = p.connect(t) }); got != 1 {
			t.Errorf("Dial: got %d trips, want 1", got)
		}
		go io.Copy(far, far)
		buf := make([]byte, 5)
		if got := p.net.Trips(func() {
			near.Write([]byte("hello"))
			io.ReadFull(near, buf)
		}); got != 1 {
			t.Errorf("echo: got %d trips, want 1", got)
		}
		if got, want := p.client.Counters(), (oniontest.Counters{Dials: 1, In: 5, Out: 5, Open: 1}); got != want {
			t.Errorf("Counters: got %+v, want %+v", got, want)
		}
		near.Close()
	})
}

func TestBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, oniontest.Options{RTT: second, Bandwidth: 1 << 20})
		near, far := p.connect(t)
		start := time.Now()
		go func() { near.Write(make([]byte, 8<<20)); near.Close() }()
		n, err := io.Copy(io.Discard, far)
		if n != 8<<20 || err != nil {
			t.Errorf("Copy: got %d, %v", n, err)
		}
		if got, want := time.Since(start), 8500*time.Millisecond; got != want {
			t.Errorf("8 MiB at 1 MiB/s: got %v, want %v", got, want)
		}
	})
}

func TestDialErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, oniontest.Options{RTT: second})
		k, _ := onion.GenerateKey()
		unknown, _ := k.Addr(80)
		other, _ := onion.NewAddr(p.addr.PublicKey(), 81)
		dial := func(name string, a onion.Addr, want error) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := p.client.Dial(ctx, a, onion.Lane{}); !errors.Is(err, want) {
				t.Errorf("Dial, %s: got %v, want %v", name, err, want)
			}
		}
		dial("unpublished", unknown, onion.ErrNotFound)
		dial("another port", other, onion.ErrRefused)
		p.net.Block(p.addr, onion.ErrUnreachable)
		dial("blocked", p.addr, onion.ErrUnreachable)
		p.net.Block(p.addr, nil)
		p.server.Faults(oniontest.Faults{DialError: onion.ErrRefused})
		dial("refused", p.addr, onion.ErrRefused)
		p.server.Faults(oniontest.Faults{DialHangs: true})
		dial("hanging", p.addr, context.DeadlineExceeded)
		p.client.Faults(oniontest.Faults{TorDown: true})
		dial("tor down", p.addr, onion.ErrTorDown)
		p.client.Faults(oniontest.Faults{})
		p.server.Crash()
		dial("crashed", p.addr, onion.ErrNotFound)
		p.net.Close()
		dial("closed", p.addr, onion.ErrClosed)
	})
}

func TestEndIsSeenAfterTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, oniontest.Options{RTT: second})
		near, far := p.connect(t)
		near.Write([]byte("last words"))
		near.Close()
		start := time.Now()
		got, err := io.ReadAll(far)
		if string(got) != "last words" || err != nil || time.Since(start) != second/2 {
			t.Errorf("ReadAll: got %q, %v after %v", got, err, time.Since(start))
		}
		if _, err := far.Write([]byte("x")); err == nil {
			t.Error("Write to a closed end: got no error")
		}
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read of a closed conn: got %v, want ErrClosed", err)
		}
		far.Close()
	})
}

func TestWritesBlockAtTheBufferAndObeyDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, oniontest.Options{RTT: second, Buffer: 64 << 10})
		near, _ := p.connect(t)
		near.SetWriteDeadline(time.Now().Add(3 * second))
		n, err := near.Write(make([]byte, 1<<20))
		if n != 64<<10 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write: got %d, %v, want 64 KiB and a deadline", n, err)
		}
		near.SetReadDeadline(time.Now().Add(second))
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read: got %v, want a deadline", err)
		}
	})
}

func TestStallLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, oniontest.Options{RTT: second})
		near, far := p.connect(t)
		p.server.Faults(oniontest.Faults{StallIn: true})
		near.Write([]byte("held back"))
		far.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read in a stall: got %v, want a deadline", err)
		}
		far.SetReadDeadline(time.Time{})
		p.server.Faults(oniontest.Faults{})
		near.Close()
		if got, err := io.ReadAll(far); string(got) != "held back" || err != nil {
			t.Errorf("ReadAll after the stall: got %q, %v", got, err)
		}
	})
}

func TestLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, oniontest.Options{RTT: second})
		near, far := p.connect(t)
		p.server.Faults(oniontest.Faults{LoseOut: true})
		if n, err := far.Write([]byte("answer")); n != 6 || err != nil {
			t.Errorf("Write: got %d, %v, want success", n, err)
		}
		near.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read: got %v, want a deadline", err)
		}
		// A stream has no holes.
		p.server.Faults(oniontest.Faults{})
		far.Write([]byte("more"))
		near.SetReadDeadline(time.Now().Add(time.Hour))
		if n, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read of what follows: got %d bytes, %v, want a deadline", n, err)
		}
	})
}

func TestCutInTheMiddleHappensOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, oniontest.Options{RTT: second})
		near, far := p.connect(t)
		p.server.Faults(oniontest.Faults{CutOutAfter: 100_000})
		n, err := far.Write(make([]byte, 1<<20))
		if n != 100_000 || err == nil {
			t.Errorf("Write: got %d, %v, want 100000 and a reset", n, err)
		}
		got, err := io.ReadAll(near)
		if len(got) != 100_000 || err == nil {
			t.Errorf("ReadAll: got %d bytes, %v, want 100000 and a reset", len(got), err)
		}
		near, far = p.connect(t)
		data := bytes.Repeat([]byte("again"), 100_000)
		go func() { far.Write(data); far.Close() }()
		if got, err := io.ReadAll(near); !bytes.Equal(got, data) || err != nil {
			t.Errorf("the next connection: got %d bytes, %v", len(got), err)
		}
	})
}

func TestCrashResetsTheOtherEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, oniontest.Options{RTT: second})
		near, far := p.connect(t)
		start := time.Now()
		p.server.Crash()
		if _, err := near.Read(make([]byte, 1)); err == nil || time.Since(start) != second/2 {
			t.Errorf("Read: got %v after %v, want a reset after half a trip", err, time.Since(start))
		}
		if _, err := far.Read(make([]byte, 1)); err == nil {
			t.Error("Read on the crashed host: got no error")
		}
		if _, err := p.l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: got %v, want ErrClosed", err)
		}
		if open := p.client.Counters().Open + p.server.Counters().Open; open != 0 {
			t.Errorf("open ends: got %d, want 0", open)
		}
	})
}

func TestJitterKeepsTheOrderAndComesFromTheSeed(t *testing.T) {
	run := func() (took time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			p := newPair(t, oniontest.Options{RTT: second, Jitter: second, Seed: 7})
			near, far := p.connect(t)
			start := time.Now()
			for i := range 100 {
				near.Write([]byte{byte(i)})
			}
			near.Close()
			got, err := io.ReadAll(far)
			if err != nil {
				t.Error(err)
			}
			for i, b := range got {
				if int(b) != i {
					t.Fatalf("byte %d: got %d", i, b)
				}
			}
			took = time.Since(start)
		})
		return took
	}
	if a, b := run(), run(); a != b || a <= second/2 {
		t.Errorf("two runs of one seed: got %v and %v", a, b)
	}
}
