package node_test

import (
	"os"
	"testing"

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
