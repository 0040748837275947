package nodetest_test

import (
	"bytes"
	"os"
	"testing"

	"lafs/node/nodetest"
)

// The check at a test's end must see what is wrong.
func TestCheckDisks(t *testing.T) {
	g := nodetest.New(t, nodetest.Options{Servers: 3, Needed: 1, Happy: 3, Total: 3})
	data := bytes.Repeat([]byte("some bytes "), 1000)
	cap, err := g.Clients[0].Put(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	if errs := g.CheckDisks(); len(errs) != 0 {
		t.Fatalf("a good grid: %v", errs)
	}
	files := g.Servers[0].ShareFiles()
	if len(files) != 1 {
		t.Fatalf("%d share files, want 1", len(files))
	}
	good, err := os.ReadFile(files[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(good)
	bad[len(bad)/2] ^= 1
	for _, tt := range []struct {
		content []byte
		want    int
	}{{bad, 1}, {good[:len(good)-100], 1}, {good, 0}} {
		if err := os.WriteFile(files[0].Path, tt.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if errs := g.CheckDisks(); len(errs) != tt.want {
			t.Errorf("%d errors, want %d: %v", len(errs), tt.want, errs)
		}
	}
	if err := g.Servers[0].Corrupt(50); err != nil {
		t.Fatal(err)
	}
	if errs := g.CheckDisks(); len(errs) != 0 {
		t.Errorf("a share that was corrupted on purpose counts: %v", errs)
	}
	if got, err := g.Clients[0].Get(t.Context(), cap); err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

func TestKillAndStart(t *testing.T) {
	g := nodetest.New(t, nodetest.Options{Servers: 1, Needed: 1, Happy: 1, Total: 1})
	data := bytes.Repeat([]byte("kept "), 100)
	cap, err := g.Clients[0].Put(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	g.Servers[0].Kill()
	if err := g.Servers[0].Start(); err != nil {
		t.Fatal(err)
	}
	if got, err := g.Clients[0].Get(t.Context(), cap); err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}
