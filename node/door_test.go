package node_test

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lafs/introducer"
	"lafs/node"
	"lafs/onion/door"
	"lafs/onion/mux"
	"lafs/onion/oniontest"
	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// tahoeEntry reads what a server prints for Tahoe-LAFS clients, as our own
// clients do.
func tahoeEntry(t *testing.T, cfg *node.Config) (text string, nurl *introducer.NURL) {
	t.Helper()
	raw, err := cfg.TahoeServersYAML()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if _, n, ok := strings.Cut(line, "- "); ok {
			if nurl, err = introducer.ParseNURL(strings.TrimSpace(n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if nurl == nil {
		t.Fatalf("no NURL in:\n%s", raw)
	}
	return string(raw), nurl
}

// TestSecondDoor: what a server prints for Tahoe-LAFS's clients leads to the
// same shares as its own port, by the key that it names.
func TestSecondDoor(t *testing.T) {
	cfg := create(t, node.CreateOptions{Storage: true})
	text, nurl := tahoeEntry(t, cfg)
	if !strings.Contains(text, "anonymous-storage-FURL: pb://"+read(t, string(cfg.Dir), "my_nodeid")+"@tor:") ||
		!strings.Contains(text, "permutation-seed-base32: "+read(t, string(cfg.Dir), "permutation-seed")) {
		t.Errorf("the entry lacks the tub id or the seed:\n%s", text)
	}
	if nurl.Door().Address.Port() != node.DefaultTahoePort {
		t.Errorf("the door is on port %d", nurl.Door().Address.Port())
	}
	nw := oniontest.New(oniontest.Options{})
	t.Cleanup(func() { nw.Close() })
	start(t, cfg, nw.Host("server"))
	pool, err := door.NewPool(nw.Host("client"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	peer := pool.Peer(nurl.Door().Address, nurl.Door().Pin)
	c := gbs.NewClient(peer, storage.NewSwissnum(nurl.Swissnum().Reveal()))
	if v, err := c.Version(t.Context()); err != nil || v.MaxImmutableShareSize == 0 {
		t.Fatalf("Version: %+v, %v", v, err)
	}
	si, upload, data := caps.StorageIndex{7}, storage.GenerateUploadSecret(), []byte("a share")
	if _, err := c.Allocate(t.Context(), si, []storage.ShareNumber{3}, int64(len(data)), upload, &storage.LeaseSecrets{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(t.Context(), si, 3, upload, 0, data); err != nil {
		t.Fatal(err)
	}
	mine, err := mux.NewPool(nw.Host("client"), mux.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mine.Close() })
	at, err := introducer.Static(introducerID(t, cfg), map[string]any{
		"address":                strings.Replace(nurl.Door().Address.String(), ":3458", ":3457", 1),
		"anonymous-storage-FURL": read(t, string(cfg.Dir), "private/storage.furl"),
	})
	if err != nil {
		t.Fatal(err)
	}
	own := gbs.NewClient(mine.Peer(at.Address, "storage"), storage.NewSwissnum(at.Swissnum.Reveal()))
	p := make([]byte, 20)
	if n, err := own.Read(t.Context(), storage.Immutable, si, 3, 0, p); err != nil || string(p[:n]) != string(data) {
		t.Errorf("Read through the first door: got %q, %v", p[:n], err)
	}
	// Who knows the place but not the right learns nothing.
	resp, err := peer.RoundTripper(mux.Small).RoundTrip(&http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: "lafs", Path: "/storage/v1/version"}, Header: http.Header{}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusUnauthorized || len(resp.Header) > 2 {
		t.Errorf("without a swissnum: got %d %q with %v", resp.StatusCode, body, resp.Header)
	}
}

func introducerID(t *testing.T, cfg *node.Config) string {
	t.Helper()
	return strings.TrimPrefix(read(t, string(cfg.Dir), "node.pubkey"), "pub-")
}

func TestDoorKeyLasts(t *testing.T) {
	cfg := create(t, node.CreateOptions{Storage: true})
	first, _ := tahoeEntry(t, cfg)
	checkModes(t, string(cfg.Dir))
	again, err := node.Load(string(cfg.Dir))
	if err != nil {
		t.Fatal(err)
	}
	if second, _ := tahoeEntry(t, again); second != first {
		t.Error("the second start has another key or address")
	}
	path := filepath.Join(string(cfg.Dir), "private", "storage-tls.pem")
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := node.Load(string(cfg.Dir)); err == nil || !strings.Contains(err.Error(), "private/storage-tls.pem") {
		t.Errorf("Load with a damaged key: got %v, want an error that names the file", err)
	}
	if got := read(t, path); got != "damaged" {
		t.Error("a damaged key was replaced: clients that pinned it would be lost")
	}
}

func TestOnlyServersHaveADoor(t *testing.T) {
	cfg := create(t, node.CreateOptions{})
	if _, err := cfg.TahoeServersYAML(); err != node.ErrNoStorage {
		t.Errorf("TahoeServersYAML of a client: got %v, want ErrNoStorage", err)
	}
	if _, err := os.Stat(filepath.Join(string(cfg.Dir), "private", "storage-tls.pem")); err == nil {
		t.Error("a client has a TLS key")
	}
}

func TestTahoePort(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       uint16
		says       string
	}{
		{"default", "", 3458, ""},
		{"chosen", "[tor]\nonion.tahoe_port = 443\n", 443, ""},
		{"beside another first port", "[tor]\nonion.external_port = 3458\n", 3457, ""},
		{"the same", "[tor]\nonion.external_port = 80\nonion.tahoe_port = 80\n", 0, "onion.tahoe_port"},
		{"no number", "[tor]\nonion.tahoe_port = https\n", 0, "onion.tahoe_port"},
	} {
		c, err := node.ParseConfig(node.Dir("/x"), []byte(tt.text))
		if tt.says != "" {
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: got %v, want an error with %q", tt.name, err, tt.says)
			}
		} else if err != nil || c.TahoePort != tt.want {
			t.Errorf("%s: got port %v, %v, want %d", tt.name, c, err, tt.want)
		}
	}
}

// TestTwinTubIDs: of two servers of servers.yaml with one tub id only the
// first is used.
func TestTwinTubIDs(t *testing.T) {
	cfg := create(t, node.CreateOptions{})
	var b strings.Builder
	b.WriteString("storage:\n")
	for range 2 {
		text, _ := tahoeEntry(t, create(t, node.CreateOptions{Storage: true}))
		for line := range strings.Lines(strings.TrimPrefix(text, "storage:\n")) {
			if before, _, ok := strings.Cut(line, "pb://"); ok {
				line = before + "pb://" + strings.Repeat("b", 32) + "@tor:x/y\n"
			}
			b.WriteString(line)
		}
	}
	if err := os.WriteFile(filepath.Join(string(cfg.Dir), "private", "servers.yaml"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := node.Load(string(cfg.Dir))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Servers) != 1 || len(c.Refused) != 1 || !strings.Contains(c.Refused[0].Reason, "tub id") {
		t.Errorf("Load: got %d servers and refused %v, want 1 and 1", len(c.Servers), c.Refused)
	}
}
