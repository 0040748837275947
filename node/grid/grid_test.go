package grid_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"lafs/node/grid"
	"lafs/shares/caps"
	"lafs/shares/immutable"
	"lafs/shares/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bytesSource is a Source over memory.
type bytesSource []byte

func (b bytesSource) Size() int64 { return int64(len(b)) }
func (b bytesSource) Open() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b)), nil
}

func content(size int) []byte {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(size)})
	r.Read(b)
	return b
}

// A testGrid is a Grid over servers in memory.
type testGrid struct {
	*grid.Grid
	servers []*memServer
}

func newGrid(t *testing.T, servers, k, happy, n int) *testGrid {
	t.Helper()
	tg := &testGrid{}
	var list []grid.Server
	for i := range servers {
		m := newMemServer()
		tg.servers = append(tg.servers, m)
		list = append(list, grid.Server{ID: fmt.Sprintf("v0-%d", i), Nickname: fmt.Sprintf("server %d", i), Seed: []byte{byte(i)}, TubID: [20]byte{byte(i)}, Storage: m})
	}
	g, err := grid.New(grid.Config{
		Needed: k, Happy: happy, Total: n, MaxSegmentSize: 4096,
		Convergence: immutable.NewConvergenceSecret([]byte("0123456789abcdef")),
		LeaseSecret: grid.NewLeaseSecret([32]byte{1}),
		Servers:     func() []grid.Server { return list },
	})
	if err != nil {
		t.Fatal(err)
	}
	tg.Grid = g
	t.Cleanup(func() { g.Close() })
	return tg
}

func (tg *testGrid) put(t *testing.T, data []byte) *grid.UploadResult {
	t.Helper()
	res, err := tg.Upload(t.Context(), bytesSource(data), grid.UploadOptions{})
	if err != nil {
		t.Fatalf("Upload: %v", err)
	}
	return res
}

func (tg *testGrid) get(ctx context.Context, cap caps.Cap, offset, length int64) ([]byte, error) {
	f, err := tg.Open(ctx, cap)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out bytes.Buffer
	err = f.Copy(ctx, &out, offset, length, nil)
	return out.Bytes(), err
}

func (tg *testGrid) check(t *testing.T, cap caps.Cap, want []byte) {
	t.Helper()
	got, err := tg.get(t.Context(), cap, 0, -1)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("get: %d bytes, %v; want %d bytes", len(got), err, len(want))
	}
}

func (tg *testGrid) written() (n int64) {
	for _, m := range tg.servers {
		m.mu.Lock()
		n += m.written
		m.mu.Unlock()
	}
	return n
}

func TestPutGet(t *testing.T) {
	tg := newGrid(t, 5, 3, 5, 10)
	for _, size := range []int{0, 1, 55, 56, 4095, 4096, 4097, 4098, 4099, 8192, 50_000, 1_000_003} {
		data := content(size)
		res := tg.put(t, data)
		if _, lit := res.Cap.(*caps.LIT); lit != (size <= 55) {
			t.Errorf("%d bytes: the cap is a LIT: %v", size, lit)
		}
		if size > 55 && (res.Happiness != 5 || res.Pushed != 10 || res.Found != 0 || len(res.Sharemap) != 10) {
			t.Errorf("%d bytes: %+v", size, res)
		}
		tg.check(t, res.Cap, data)
	}
}

func TestRange(t *testing.T) {
	tg := newGrid(t, 4, 2, 4, 4)
	data := content(100_000)
	cap := tg.put(t, data).Cap
	for _, r := range [][2]int64{{0, 1}, {0, 0}, {4095, 2}, {50_000, 10_000}, {99_999, 1}, {100_000, 0}, {7, -1}} {
		got, err := tg.get(t.Context(), cap, r[0], r[1])
		end := r[0] + r[1]
		if r[1] < 0 {
			end = 100_000
		}
		if err != nil || !bytes.Equal(got, data[r[0]:end]) {
			t.Errorf("range %v: %d bytes, %v", r, len(got), err)
		}
	}
	for _, r := range [][2]int64{{-1, 1}, {100_001, 0}, {99_999, 2}} {
		if _, err := tg.get(t.Context(), cap, r[0], r[1]); !errors.Is(err, grid.ErrRange) {
			t.Errorf("range %v: %v, want ErrRange", r, err)
		}
	}
}

func TestConvergentAgainSendsNothing(t *testing.T) {
	tg := newGrid(t, 5, 3, 5, 10)
	data := content(200_000)
	first := tg.put(t, data)
	before := tg.written()
	again := tg.put(t, data)
	if again.Cap.Reveal() != first.Cap.Reveal() {
		t.Error("the caps differ")
	}
	if n := tg.written() - before; n != 0 || again.Pushed != 0 || again.Found != 10 {
		t.Errorf("the second upload sent %d bytes: %+v", n, again)
	}
}

func TestFewServers(t *testing.T) {
	for _, servers := range []int{1, 2, 3} {
		tg := newGrid(t, servers, 1, 1, 7)
		data := content(10_000)
		res := tg.put(t, data)
		if len(res.Sharemap) != 7 || res.Happiness != servers {
			t.Errorf("%d servers: %+v", servers, res)
		}
		tg.check(t, res.Cap, data)
	}
}

func TestUnhappy(t *testing.T) {
	tg := newGrid(t, 3, 2, 4, 5)
	_, err := tg.Upload(t.Context(), bytesSource(content(1000)), grid.UploadOptions{})
	var unhappy *grid.UnhappyError
	if !errors.As(err, &unhappy) || unhappy.Happiness != 3 || unhappy.Happy != 4 {
		t.Fatalf("got %v", err)
	}
	for _, word := range []string{"happiness 3", "shares.happy asks for 4", "server 0", "server 1", "server 2"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q lacks %q", err, word)
		}
	}
	if tg.written() != 0 {
		t.Error("shares were sent though the upload could not be happy")
	}
	none := newGrid(t, 0, 1, 1, 1)
	_, err = none.Upload(t.Context(), bytesSource(content(1000)), grid.UploadOptions{})
	if !errors.As(err, &unhappy) || unhappy.Known != 0 || !strings.HasSuffix(err.Error(), "no storage server is known yet. Wait until an introducer was reached (lafs status shows how it is doing)") {
		t.Errorf("no servers: %v", err)
	}
	_, err = none.get(t.Context(), newGrid(t, 1, 1, 1, 1).put(t, content(1000)).Cap, 0, -1)
	if err == nil || !strings.HasSuffix(err.Error(), "no storage server is known yet. Wait until an introducer was reached (lafs status shows how it is doing)") {
		t.Errorf("get without servers: %v", err)
	}
}

func down(context.Context, string) error { return storage.ErrUnreachable }

func stall(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

// Downloads that meet dead, stalled and lying servers.
func TestGetWithFaults(t *testing.T) {
	for name, fault := range map[string]func(context.Context, string) error{
		"dead":    down,
		"stalled": stall,
		"garbage": func(context.Context, string) error { return storage.ErrPeer },
		"stalls on read": func(ctx context.Context, call string) error {
			if call == "read" {
				return stall(ctx, call)
			}
			return nil
		},
		"dies on read": func(ctx context.Context, call string) error {
			if call == "read" {
				return storage.ErrUnreachable
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tg := newGrid(t, 5, 2, 5, 5)
				data := content(300_000)
				cap := tg.put(t, data).Cap
				tg.servers[0].setFault(fault)
				tg.servers[1].setFault(fault)
				tg.servers[2].flip()
				began := time.Now()
				tg.check(t, cap, data)
				if took := time.Since(began); took > time.Minute {
					t.Errorf("it took %v", took)
				}
				synctest.Wait()
				if tg.servers[2].advised == 0 && tg.servers[2].calls["read"] > 0 {
					t.Error("the corrupt share was read and its server was not told")
				}
			})
		})
	}
}

func TestNotEnoughShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tg := newGrid(t, 5, 3, 5, 5)
		cap := tg.put(t, content(10_000)).Cap
		tg.servers[0].setFault(down)
		tg.servers[1].setFault(stall)
		tg.servers[2].flip()
		got, err := tg.get(t.Context(), cap, 0, -1)
		var few *grid.NotEnoughSharesError
		if !errors.As(err, &few) || few.Found != 2 || few.Needed != 3 || len(got) != 0 {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
		for _, word := range []string{"found 2 good shares", "needs 3 of its 5", "did not answer: server", "corrupt shares at: server 2"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q lacks %q", err, word)
			}
		}
	})
}

// after returns a fault that begins with the nth call of a kind.
func after(n int, call string, fault func(context.Context, string) error) func(context.Context, string) error {
	var mu sync.Mutex
	return func(ctx context.Context, c string) error {
		mu.Lock()
		if c == call {
			n--
		}
		on := n < 0
		mu.Unlock()
		if on {
			return fault(ctx, c)
		}
		return nil
	}
}

// Servers that fail in mid-upload: their shares go elsewhere or are dropped,
// as long as the upload is happy.
func TestPutWithFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault func() func(context.Context, string) error
	}{
		{"dead", func() func(context.Context, string) error { return down }},
		{"stalled", func() func(context.Context, string) error { return stall }},
		{"dies after one write", func() func(context.Context, string) error { return after(1, "write", down) }},
		{"stalls after one write", func() func(context.Context, string) error { return after(1, "write", stall) }},
		{"forgets the upload", func() func(context.Context, string) error {
			return after(1, "write", func(_ context.Context, call string) error {
				if call == "write" {
					return storage.ErrNotFound
				}
				return nil
			})
		}},
		{"full", func() func(context.Context, string) error {
			return func(context.Context, string) error { return storage.ErrNoSpace }
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tg := newGrid(t, 5, 2, 3, 5)
				tg.servers[0].setFault(tt.fault())
				tg.servers[1].setFault(tt.fault())
				data := content(3_000_000)
				began := time.Now()
				res := tg.put(t, data)
				t.Log(res.Happiness, len(res.Sharemap), time.Since(began))
				if res.Happiness < 3 || len(res.Sharemap) != 5 {
					t.Errorf("happiness %d, %d shares", res.Happiness, len(res.Sharemap))
				}
				if took := time.Since(began); took > 15*time.Minute {
					t.Errorf("it took %v", took)
				}
				tg.servers[0].setFault(nil)
				tg.servers[1].setFault(nil)
				tg.check(t, res.Cap, data)
			})
		})
	}
}

// A write that was carried out and whose answer was lost is not a failure.
func TestAnswerLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tg := newGrid(t, 3, 2, 3, 3)
		for _, m := range tg.servers {
			m.loseWrites = 1
		}
		data := content(1_000_000)
		res := tg.put(t, data)
		if res.Happiness != 3 || res.Pushed != 3 {
			t.Errorf("%+v", res)
		}
		for i, m := range tg.servers {
			if m.calls["allocate"] != 1 {
				t.Errorf("server %d was asked %d times", i, m.calls["allocate"])
			}
		}
	})
}

// A server that refuses our swissnum, or has no space, is asked once.
func TestRefusalsAreFinal(t *testing.T) {
	for _, refusal := range []error{storage.ErrUnauthorized, storage.ErrNoSpace, storage.ErrTooLarge} {
		tg := newGrid(t, 4, 1, 3, 4)
		tg.servers[1].setFault(func(context.Context, string) error { return refusal })
		res := tg.put(t, content(1000))
		if res.Happiness != 3 || len(res.Sharemap) != 4 || tg.servers[1].calls["allocate"] != 1 {
			t.Errorf("%v: %+v, asked %d times", refusal, res, tg.servers[1].calls["allocate"])
		}
	}
}

// A client that was killed goes on where it stood.
func TestResume(t *testing.T) {
	tg := newGrid(t, 5, 2, 5, 5)
	data := content(3_000_000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, m := range tg.servers {
		m.setFault(after(3, "write", func(context.Context, string) error { cancel(); return context.Canceled }))
	}
	if _, err := tg.Upload(ctx, bytesSource(data), grid.UploadOptions{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("Upload: %v", err)
	}
	for _, m := range tg.servers {
		m.setFault(nil)
	}
	res := tg.put(t, data)
	if res.Happiness != 5 {
		t.Errorf("happiness %d", res.Happiness)
	}
	tg.check(t, res.Cap, data)
}

func TestConcurrentUploadsOfOneFile(t *testing.T) {
	tg := newGrid(t, 5, 2, 5, 5)
	data := content(100_000)
	var wg sync.WaitGroup
	pushed := make([]int, 4)
	for i := range pushed {
		wg.Go(func() {
			res, err := tg.Upload(t.Context(), bytesSource(data), grid.UploadOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			pushed[i] = res.Pushed
		})
	}
	wg.Wait()
	total := 0
	for _, n := range pushed {
		total += n
	}
	if total != 5 {
		t.Errorf("%d shares were sent, want 5", total)
	}
}

type changingSource struct {
	bytesSource
	size int64
}

func (c changingSource) Size() int64 { return c.size }

func TestSourceChanged(t *testing.T) {
	tg := newGrid(t, 3, 1, 3, 3)
	for _, size := range []int64{10, 99_999, 100_001, -1} {
		if _, err := tg.Upload(t.Context(), changingSource{content(100_000), size}, grid.UploadOptions{}); !errors.Is(err, grid.ErrSourceChanged) {
			t.Errorf("size %d: %v, want ErrSourceChanged", size, err)
		}
	}
	tg.put(t, content(5_000)) // no memory was lost on the way
}

func TestSpool(t *testing.T) {
	for _, size := range []int{0, 1, 256 << 10, 256<<10 + 1, 3_000_000} {
		data := content(size)
		s, err := grid.SpoolSource(bytes.NewReader(data), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			r, err := s.Open()
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, data) || s.Size() != int64(size) {
				t.Errorf("%d bytes: got %d, size %d, %v", size, len(got), s.Size(), err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
