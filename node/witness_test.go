package node_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"lafs/node"
	"lafs/onion/oniontest"
)

// A server whose storage directory was wiped under its old name says so: it
// has forgotten its votes.
func TestLostStorageIsNoticed(t *testing.T) {
	net := oniontest.New(oniontest.Options{})
	cfg := create(t, node.CreateOptions{Storage: true})
	n, stop := start(t, cfg, net.Host("server"))
	if s := n.Status(); s.Storage == nil || s.Storage.StateLost {
		t.Fatalf("Status of a new server: got %+v", s.Storage)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(cfg.StorageDir); err != nil {
		t.Fatal(err)
	}
	cfg, err := node.Load(string(cfg.Dir))
	if err != nil {
		t.Fatal(err)
	}
	n, _ = start(t, cfg, net.Host("server"))
	if s := n.Status(); s.Storage == nil || !s.Storage.StateLost {
		t.Errorf("Status of a server without its storage: got %+v, want StateLost", s.Storage)
	}
}

// A server that lost its storage becomes a new one, which takes part again,
// and what is left of the old one is kept.
func TestNewIdentity(t *testing.T) {
	net := oniontest.New(oniontest.Options{})
	cfg := create(t, node.CreateOptions{Storage: true})
	_, stop := start(t, cfg, net.Host("server"))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	old := cfg.ServerID()
	files := []string{"private/node.privkey", "private/tor_onion.privkey", "private/storage.furl", "node.pubkey", "my_nodeid"}
	before := map[string]string{}
	for _, f := range files {
		before[f] = read(t, string(cfg.Dir), f)
	}
	if err := os.RemoveAll(cfg.StorageDir); err != nil {
		t.Fatal(err)
	}
	// Whatever became of the witness.
	if err := os.WriteFile(filepath.Join(string(cfg.Dir), "private/storage.witness"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for i, want := range []string{"private/old-identity-2026-03-04", "private/old-identity-2026-03-04.2"} {
		kept, err := node.NewIdentity(cfg, now)
		if err != nil || kept != want {
			t.Fatalf("NewIdentity: got %q, %v, want %q", kept, err, want)
		}
		for _, f := range files {
			got := read(t, string(cfg.Dir), filepath.Join(kept, filepath.Base(f)))
			if i == 0 && got != before[f] {
				t.Errorf("%s of the old identity was not kept", f)
			}
		}
		if cfg, err = node.Load(string(cfg.Dir)); err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if read(t, string(cfg.Dir), f) == before[f] {
				t.Errorf("%s is still the old identity's", f)
			}
		}
		if cfg.ServerID() == old {
			t.Error("the server id is the old one")
		}
	}
	n, _ := start(t, cfg, net.Host("server"))
	if s := n.Status(); s.Storage == nil || s.Storage.StateLost {
		t.Errorf("Status of the new server: got %+v", s.Storage)
	}
	if _, err := node.NewIdentity(create(t, node.CreateOptions{}), now); err == nil {
		t.Error("NewIdentity of a client: got nil")
	}
}

// A backup of the node's directory, storage included and stopped meanwhile,
// is the same server elsewhere; one without the storage is the same server,
// that lost its votes.
func TestRestore(t *testing.T) {
	net := oniontest.New(oniontest.Options{})
	cfg := create(t, node.CreateOptions{Storage: true})
	_, stop := start(t, cfg, net.Host("server"))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for _, whole := range []bool{true, false} {
		to := filepath.Join(t.TempDir(), "restored")
		if err := os.CopyFS(to, os.DirFS(string(cfg.Dir))); err != nil {
			t.Fatal(err)
		}
		if !whole {
			if err := os.RemoveAll(filepath.Join(to, "storage")); err != nil {
				t.Fatal(err)
			}
		}
		restored, err := node.Load(to)
		if err != nil {
			t.Fatal(err)
		}
		if restored.ServerID() != cfg.ServerID() {
			t.Errorf("the restored server is %s, want %s", restored.ServerID(), cfg.ServerID())
		}
		for _, f := range []string{"private/tor_onion.privkey", "private/storage.furl", "my_nodeid", "permutation-seed"} {
			if read(t, to, f) != read(t, string(cfg.Dir), f) {
				t.Errorf("%s is another one", f)
			}
		}
		n, stop := start(t, restored, net.Host("elsewhere"))
		if s := n.Status(); s.Storage == nil || s.Storage.StateLost == whole {
			t.Errorf("Status, restored with the storage %v: got %+v", whole, s.Storage)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
}
