package gateway_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lafs/node/gateway"
	"lafs/node/grid"
	"lafs/node/store"
)

// onStores is a grid of three stores on disk, any one of which will do.
func onStores(t *testing.T, servers *[]grid.Server) *grid.Grid {
	t.Helper()
	for i := range 3 {
		s, err := store.Open(store.Config{Dir: filepath.Join(t.TempDir(), "storage")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		*servers = append(*servers, grid.Server{ID: fmt.Sprintf("v0-%d", i), Seed: []byte{byte(i)}, TubID: [20]byte{byte(i)}, Storage: s})
	}
	g, err := grid.New(grid.Config{Needed: 2, Happy: 3, Total: 3, LeaseSecret: grid.NewLeaseSecret([32]byte{1}),
		Servers: func() []grid.Server { return *servers }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

func TestOnGrid(t *testing.T) {
	var servers []grid.Server
	g := onStores(t, &servers)
	dir := t.TempDir()
	n := start(t, func(c *gateway.Config) { c.Grid = gateway.OnGrid(g, dir) })
	data := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{}).Read(data)

	// A length that is not known beforehand, as of a pipe.
	resp, cap := n.ask("PUT", "/uri", io.MultiReader(bytes.NewReader(data)))
	if resp.StatusCode != 200 || !strings.HasPrefix(cap, "URI:CHK:") {
		t.Fatalf("PUT: got %d %q, want a cap", resp.StatusCode, cap)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("the spool left %v, %v", left, err)
	}
	if _, got := n.ask("GET", "/uri/"+cap, nil); got != string(data) {
		t.Error("GET: other bytes than were put")
	}
	for _, r := range [][2]int{{0, 0}, {1<<20 - 1, 1 << 20}, {2 << 20, 3<<20 - 1}, {12345, 2345678}} {
		resp, got := n.ask("GET", "/uri/"+cap, nil, fmt.Sprintf("Range: bytes=%d-%d", r[0], r[1]))
		if resp.StatusCode != 206 || got != string(data[r[0]:r[1]+1]) {
			t.Errorf("GET of %v: got %d and %d bytes", r, resp.StatusCode, len(got))
		}
	}
	for _, size := range []int{0, 1, 55, 56} {
		_, cap := n.ask("PUT", "/uri", bytes.NewReader(data[:size]))
		if resp, got := n.ask("GET", "/uri/"+cap, nil); resp.StatusCode != 200 || got != string(data[:size]) {
			t.Errorf("%d bytes: got %d and %d bytes", size, resp.StatusCode, len(got))
		}
	}
	_, text := n.ask("PUT", "/uri", bytes.NewReader(data), "Accept: "+gateway.ProgressType)
	if !strings.Contains(text, `{"cap":"URI:CHK:`) {
		t.Errorf("with progress: got %q", text)
	}

	servers = servers[:1]
	if resp, text := n.ask("GET", "/uri/"+cap, nil); resp.StatusCode != 410 || strings.Contains(text, strings.Split(cap, ":")[2]) {
		t.Errorf("with one server of two: got %d %q, want 410 and no cap", resp.StatusCode, text)
	}
	if resp, text := n.ask("PUT", "/uri", bytes.NewReader(data)); resp.StatusCode != 500 || !strings.Contains(text, "shares.happy") {
		t.Errorf("unhappy: got %d %q, want 500 and the setting", resp.StatusCode, text)
	}
	if strings.Contains(n.log.String(), "URI:") {
		t.Errorf("a cap in the log: %s", n.log)
	}
}

// An input that fails in the middle is not stored.
func TestOnGridInputFails(t *testing.T) {
	var servers []grid.Server
	g := gateway.OnGrid(onStores(t, &servers), t.TempDir())
	broken := errors.New("broken")
	if _, err := g.Spool(io.MultiReader(strings.NewReader("half"), failing{broken})); !errors.Is(err, broken) {
		t.Errorf("Spool: got %v, want the input's error", err)
	}
}

type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }
