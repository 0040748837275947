package realgrid_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lafs/onion/tornet"
	"lafs/scripts/realgrid"
)

// world is one private Tor network and one grid for all tests of this
// package: three tors (servers, clients, one to spare), an introducer, five
// storage servers and four clients at 3-of-10, happy 4.
type world struct {
	net  *tornet.Net
	grid *realgrid.Grid
	lafs string
	dir  string
}

var shared *world

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv("LAFS_REALGRID_OFF") == "" && !shortRun() {
		if _, err := exec.LookPath("tor"); err == nil {
			w, stop, err := start()
			defer stop()
			if err != nil {
				fmt.Fprintln(os.Stderr, "start a grid over a private Tor network:", err)
				return 1
			}
			shared = w
		}
	}
	return m.Run()
}

// shortRun looks for -short itself: the network starts before flags are
// parsed.
func shortRun() bool {
	for _, a := range os.Args {
		if strings.HasPrefix(a, "-test.short") || strings.HasPrefix(a, "-test.list") {
			return true
		}
	}
	return false
}

func start() (w *world, stop func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	w = &world{}
	stop = func() {
		if w.grid != nil {
			w.grid.Close()
		}
		if w.net != nil {
			w.net.Close()
		}
		os.RemoveAll(w.dir)
	}
	if w.dir, err = os.MkdirTemp("", "lafs-grid-"); err != nil {
		return w, stop, err
	}
	if w.net, err = tornet.Start(ctx, tornet.Config{Dir: filepath.Join(w.dir, "net"), Clients: 2}); err != nil {
		return w, stop, err
	}
	if w.lafs, err = realgrid.Build(ctx, w.dir); err != nil {
		return w, stop, err
	}
	tors := w.net.Clients()
	w.grid, err = realgrid.Start(ctx, realgrid.Options{Dir: w.dir, Lafs: w.lafs, Servers: 5, Clients: 4,
		ServiceTors: []string{"control=" + tors[0].Control}, ClientTor: "control=" + tors[1].Control,
		Needed: 3, Happy: 4, Total: 10})
	return w, stop, err
}

// real returns the shared grid, or skips aloud.
func real(t *testing.T) *world {
	t.Helper()
	if shared == nil {
		t.Skip("no grid over real Tor: -short, or tor is not on PATH")
	}
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		for _, p := range append([]*realgrid.Process{shared.grid.Introducer}, shared.grid.Clients...) {
			t.Logf("%s printed:\n%s", filepath.Base(p.Dir), p.Log())
		}
	})
	return shared
}

func (w *world) put(t *testing.T, client int, data []byte) string {
	t.Helper()
	out, err := w.grid.Clients[client].Lafs(t.Context(), bytes.NewReader(data), "put")
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// get reads a cap through standard input, as a careful person would.
func (w *world) get(ctx context.Context, client int, cap string) ([]byte, error) {
	return w.grid.Clients[client].Lafs(ctx, strings.NewReader(cap+"\n"), "get", "-")
}

func (w *world) wantSame(t *testing.T, client int, cap string, data []byte) {
	t.Helper()
	got, err := w.get(t.Context(), client, cap)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	if !bytes.Equal(got, data) {
		t.Fatalf("get: %d bytes that are not the %d put", len(got), len(data))
	}
}

// eventually repeats f until it succeeds: for what must come back by itself
// after something was killed.
func eventually(t *testing.T, what string, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var last error
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%s: %v", what, errors.Join(last, err))
		}
		last = err
	}
}

func content(size int) []byte {
	b := make([]byte, size)
	rand.Read(b)
	return b
}

func TestSizes(t *testing.T) {
	w := real(t)
	for _, size := range []int{0, 1, 55, 56, 1 << 10, 1<<20 - 1, 1 << 20, 1<<20 + 1} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			data := content(size)
			w.wantSame(t, 1, w.put(t, 0, data), data)
		})
	}
}

// TestStatusTellsDefences: an operator sees what a real Tor does against
// floods of his server.
func TestStatusTellsDefences(t *testing.T) {
	w := real(t)
	out, err := w.grid.Servers[0].Lafs(t.Context(), nil, "status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "against floods") && strings.Contains(line, "64 streams a circuit") {
			return
		}
	}
	t.Errorf("status says nothing of floods:\n%s", out)
}

// Two servers die and a third holds a corrupt share: the file is still
// there, from the other client. Then the two come back, and go on.
func TestServersDie(t *testing.T) {
	w := real(t)
	data := content(300_000)
	cap := w.put(t, 0, data)
	for _, p := range w.grid.Servers[:2] {
		p.Kill()
	}
	if err := corruptOne(filepath.Join(w.grid.Servers[2].Dir, "storage", "shares")); err != nil {
		t.Fatal(err)
	}
	w.wantSame(t, 1, cap, data)
	for _, p := range w.grid.Servers[:2] {
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "put after the servers came back", func(ctx context.Context) error {
		_, err := w.grid.Clients[0].Lafs(ctx, bytes.NewReader(content(2000)), "put")
		return err
	})
}

// corruptOne flips a byte in the middle of the newest share file.
func corruptOne(shares string) error {
	var newest string
	var age time.Time
	err := filepath.WalkDir(shares, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil && (newest == "" || info.ModTime().After(age) || info.Size() > 50_000) {
			newest, age = path, info.ModTime()
		}
		return err
	})
	if err != nil {
		return err
	}
	if newest == "" {
		return errors.New("the server holds no share")
	}
	b, err := os.ReadFile(newest)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 0x10
	return os.WriteFile(newest, b, 0o600)
}

func TestIntroducerDies(t *testing.T) {
	w := real(t)
	w.grid.Introducer.Kill()
	data := content(5000)
	cap := w.put(t, 0, data) // The servers are known: nobody needs it now.
	client := w.grid.Clients[1]
	client.Kill()
	if err := client.Start(t.Context()); err != nil {
		t.Fatalf("start a client while the introducer is down: %v", err)
	}
	eventually(t, "get with servers from the cache", func(ctx context.Context) error {
		got, err := w.get(ctx, 1, cap)
		if err == nil && !bytes.Equal(got, data) {
			t.Fatal("wrong bytes")
		}
		return err
	})
	if err := w.grid.Introducer.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A client killed in the middle of a put leaves nothing that harms the next
// put of the same file.
func TestClientDiesInPut(t *testing.T) {
	w := real(t)
	data := content(6 << 20)
	done := make(chan error, 1)
	go func() {
		_, err := w.grid.Clients[0].Lafs(context.Background(), bytes.NewReader(data), "put")
		done <- err
	}()
	incoming := filepath.Join(w.grid.Servers[0].Dir, "storage", "incoming")
	eventually(t, "the upload begins", func(context.Context) error {
		entries, err := filepath.Glob(filepath.Join(incoming, "*"))
		if err == nil && len(entries) == 0 {
			err = errors.New("nothing has come in")
		}
		return err
	})
	w.grid.Clients[0].Kill()
	if err := <-done; err == nil {
		t.Log("the put was done before the kill; the rest of the test still holds")
	}
	if err := w.grid.Clients[0].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var cap string
	eventually(t, "put again", func(ctx context.Context) error {
		out, err := w.grid.Clients[0].Lafs(ctx, bytes.NewReader(data), "put")
		cap = strings.TrimSpace(string(out))
		return err
	})
	w.wantSame(t, 1, cap, data)
}

// Tor itself dies, first the servers', then the clients', and comes back:
// the nodes go on by themselves.
func TestTorDies(t *testing.T) {
	w := real(t)
	data := content(200_000)
	cap := w.put(t, 0, data)
	for i, tor := range w.net.Clients()[:2] {
		if err := w.net.KillClient(tor); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if _, err := w.get(ctx, 1, cap); err == nil {
			t.Errorf("tor %d is dead, and yet the file came", i)
		} else if i == 1 {
			// Of its own Tor a client knows at once, and says what to do.
			if ctx.Err() != nil {
				t.Errorf("the get waited for a Tor that is dead: %v", err)
			}
			for _, words := range []string{"Tor is not running", "Try again when it is back", "lafs status"} {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("get while Tor is dead: got %v, want %q in it", err, words)
				}
			}
		}
		cancel()
		if err := w.net.RestartClient(t.Context(), tor); err != nil {
			t.Fatal(err)
		}
		eventually(t, "get after tor came back", func(ctx context.Context) error {
			got, err := w.get(ctx, 1, cap)
			if err == nil && !bytes.Equal(got, data) {
				t.Fatal("wrong bytes")
			}
			return err
		})
	}
}

// 100 MiB go in and come out, and no node ever holds more than 128 MiB.
func TestMemory(t *testing.T) {
	w := real(t)
	const limit = 128 << 20
	nodes := append(append([]*realgrid.Process(nil), w.grid.Servers...), w.grid.Clients...)
	for _, p := range nodes {
		if err := p.ResetPeakMemory(); err != nil {
			t.Skipf("this kernel does not reset the peak of memory: %v", err)
		}
	}
	data := content(100 << 20)
	w.wantSame(t, 1, w.put(t, 0, data), data)
	for _, p := range nodes {
		peak, err := p.PeakMemory()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: peak %d MiB", filepath.Base(p.Dir), peak>>20)
		if peak > limit {
			t.Errorf("%s held %d MiB, more than %d", filepath.Base(p.Dir), peak>>20, int64(limit)>>20)
		}
	}
}

// Stopping is quick and clean.
func TestStop(t *testing.T) {
	w := real(t)
	p := w.grid.Clients[1]
	if took := p.Stop(); took > 10*time.Second {
		t.Errorf("a client took %v to stop", took)
	}
	for _, left := range []string{"running.process", "private/gateway.sock"} {
		if _, err := os.Lstat(filepath.Join(p.Dir, left)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left behind (%v)", left, err)
		}
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// So it is under load: in the middle of an upload, with sessions that are
// idle and others that are busy.
func TestStopUnderLoad(t *testing.T) {
	w := real(t)
	client, server := w.grid.Clients[2], w.grid.Servers[1]
	data := make([]byte, 96<<20)
	rand.Read(data)
	ended := make(chan error, 1)
	go func() {
		_, err := client.Lafs(t.Context(), bytes.NewReader(data), "put")
		ended <- err
	}()
	eventually(t, "an upload reaches a server", func(context.Context) error {
		entries, err := os.ReadDir(filepath.Join(server.Dir, "storage", "incoming"))
		if err == nil && len(entries) == 0 {
			err = errors.New("nothing has come in")
		}
		return err
	})
	if took := server.Stop(); took > 10*time.Second {
		t.Errorf("a server took %v to stop", took)
	}
	if took := client.Stop(); took > 10*time.Second {
		t.Errorf("a client took %v to stop", took)
	}
	if err := <-ended; err == nil {
		t.Error("an upload succeeded whose node stopped")
	}
	for _, p := range []*realgrid.Process{server, client} {
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
