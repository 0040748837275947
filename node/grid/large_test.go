//go:build !race

package grid_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lafs/node/grid"
	"lafs/node/nodetest"
	"lafs/onion/oniontest"
)

const (
	largeSize  = 1 << 30
	memoryMax  = 128 << 20
	sampleEach = 20 * time.Millisecond
)

// noise is a source of size bytes that nothing stores: a key stream.
type noise int64

func (n noise) Size() int64 { return int64(n) }

func (n noise) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.LimitReader(noiseReader(), int64(n))), nil
}

func noiseReader() io.Reader {
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		panic(err)
	}
	return cipher.StreamReader{S: cipher.NewCTR(block, make([]byte, 16)), R: zeros{}}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// noiseChecker is a writer that compares with the same stream.
type noiseChecker struct {
	want io.Reader
	n    int64
	buf  []byte
}

var errOther = errors.New("other bytes came back")

func (c *noiseChecker) Write(p []byte) (int, error) {
	c.buf = append(c.buf[:0], p...)
	if _, err := io.ReadFull(c.want, c.buf); err != nil || !bytes.Equal(c.buf, p) {
		return 0, errOther
	}
	c.n += int64(len(p))
	return len(p), nil
}

// Put and get 1 GiB: the whole process, client, servers and network, stays
// within the memory that a node may take. Stores are on disk.
func TestMemoryOfLargeFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("puts and gets 1 GiB")
	}
	asANode(t)
	g := nodetest.New(t, nodetest.Options{Servers: 5, Clients: 2, Needed: 3, Happy: 5, Total: 5, Net: oniontest.Options{RTT: 50 * time.Millisecond}})
	began := time.Now()
	var res *grid.UploadResult
	heap, rss := peak(func() {
		var err error
		if res, err = g.Clients[0].PutSource(t.Context(), noise(largeSize)); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("put: %v, heap %d MiB, resident %d MiB", time.Since(began), heap>>20, rss>>20)
	checkPeak(t, heap, rss)
	began = time.Now()
	check := &noiseChecker{want: noiseReader()}
	heap, rss = peak(func() {
		if err := g.Clients[1].Copy(context.Background(), check, res.Cap); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("get: %v, heap %d MiB, resident %d MiB", time.Since(began), heap>>20, rss>>20)
	checkPeak(t, heap, rss)
	if check.n != largeSize {
		t.Errorf("got %d bytes", check.n)
	}
}

// Verification and repair stay within that memory too.
func TestMemoryOfRepair(t *testing.T) {
	if testing.Short() {
		t.Skip("puts and repairs 200 MiB")
	}
	asANode(t)
	const size = 200 << 20
	g := nodetest.New(t, nodetest.Options{Servers: 6, Needed: 3, Happy: 5, Total: 5, Net: oniontest.Options{RTT: 50 * time.Millisecond}})
	res, err := g.Clients[0].PutSource(t.Context(), noise(size))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range g.Servers {
		if len(s.ShareFiles()) > 0 {
			s.Kill()
			break
		}
	}
	began := time.Now()
	heap, rss := peak(func() {
		before, err := g.Clients[0].Check(t.Context(), res.Cap.Verifier(), grid.CheckOptions{Verify: true, Repair: true})
		if err != nil || before.Good != 4 || !before.Repair.Successful || before.Repair.After.Happiness != 5 {
			t.Fatalf("%+v, %v", before, err)
		}
	})
	t.Logf("verify and repair: %v, heap %d MiB, resident %d MiB", time.Since(began), heap>>20, rss>>20)
	checkPeak(t, heap, rss)
}

// asANode sets the limit that cmd/lafs sets for a node (memoryLimit), of which
// this process has several.
func asANode(t *testing.T) {
	before := debug.SetMemoryLimit(100 << 20)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
}

func checkPeak(t *testing.T, heap, rss int64) {
	t.Helper()
	if heap > memoryMax || rss > memoryMax {
		t.Errorf("heap %d MiB, resident %d MiB, want at most %d", heap>>20, rss>>20, memoryMax>>20)
	}
}

// peak runs f and returns the most heap and the most resident memory of the
// process meanwhile, in bytes; 0 where the system does not tell.
func peak(f func()) (heap, rss int64) {
	runtime.GC()
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		tick := time.NewTicker(sampleEach)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				heap, rss = max(heap, heapNow()), max(rss, residentNow())
			}
		}
	})
	func() {
		defer watch.Wait()
		defer close(done)
		f()
	}()
	return heap, rss
}

func heapNow() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64())
}

// residentNow is the anonymous memory of the process: mapped files, such as
// the test's own binary, are not counted.
func residentNow() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")), 10, 64)
			if err != nil {
				panic(fmt.Sprintf("RssAnon: %v", err))
			}
			return kib << 10
		}
	}
	return 0
}
