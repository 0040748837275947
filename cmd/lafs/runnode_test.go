package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lafs/node"
	"lafs/onion"
	"lafs/onion/oniontest"
)

func introducerDir(t *testing.T) string {
	t.Helper()
	// A short path: a unix socket's is bounded.
	dir, err := os.MkdirTemp("", "lafs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if _, err := node.Create(dir, node.CreateOptions{Introducer: true}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The node ends when the pipe that is its standard input closes, and then
// only; --allow-stdin-close, /dev/null and files keep it running.
func TestStdin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		open func(t *testing.T) (stdin *os.File, closePeer func())
		args []string
		ends bool
	}{
		{"pipe", openPipe, nil, true},
		{"pipe allowed to close", openPipe, []string{"--allow-stdin-close"}, false},
		{"/dev/null", openPath(os.DevNull), nil, false},
		{"file", openPath(file), nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &testGrid{net: oniontest.New(oniontest.Options{}), nodes: map[string]*testNode{}}
			stdin, closePeer := tt.open(t)
			defer stdin.Close()
			n, err := g.launch(introducerDir(t), stdin, tt.args...)
			if err != nil {
				t.Fatal(err)
			}
			closePeer()
			if !tt.ends {
				select {
				case err := <-n.done:
					t.Fatalf("the node ended: %v", err)
				case <-time.After(200 * time.Millisecond):
				}
				n.cancel()
			}
			if err := <-n.done; err != nil {
				t.Error(err)
			}
		})
	}
}

func openPipe(t *testing.T) (*os.File, func()) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, func() { w.Close() }
}

func openPath(path string) func(*testing.T) (*os.File, func()) {
	return func(t *testing.T) (*os.File, func()) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		return f, func() {}
	}
}

// A signal ends a node and a network that is still starting, without error.
func TestStopWhileStarting(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan bool)
	e := env{
		stdin: nil, stdout: new(syncBuffer), stderr: new(syncBuffer),
		network: func(ctx context.Context, _ node.TorConfig, _ string, _ *slog.Logger, _ func(onion.Status)) (network, error) {
			close(started)
			<-ctx.Done()
			return nil, ctx.Err()
		},
		signals: func() (context.Context, context.CancelFunc) { return ctx, cancel },
	}
	go func() { <-started; cancel() }()
	dir := introducerDir(t)
	if status := run([]string{"-d", dir, "run"}, e); status != exitGood {
		t.Errorf("exit status: got %d, want 0; %s", status, e.stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "running.process")); err == nil {
		t.Error("running.process is left behind")
	}
}

// A panic tells where it was and nothing that was in hand.
func TestPanic(t *testing.T) {
	var out syncBuffer
	e := env{
		stdin: nil, stdout: &out, stderr: &out,
		network: func(context.Context, node.TorConfig, string, *slog.Logger, func(onion.Status)) (network, error) {
			panic("5ec2e7")
		},
		signals: func() (context.Context, context.CancelFunc) { return context.WithCancel(t.Context()) },
	}
	if status := run([]string{"-d", introducerDir(t), "run"}, e); status != exitFailure {
		t.Errorf("exit status: got %d, want 1", status)
	}
	got := out.String()
	if !strings.Contains(got, "internal error in lafs/cmd/lafs.TestPanic") || strings.Contains(got, "5ec2e7") {
		t.Errorf("printed %q", got)
	}
}

// --tor is for this run, and what is not a mode starts nothing.
func TestTorOverride(t *testing.T) {
	var got node.TorConfig
	var out syncBuffer
	e := env{
		stdin: nil, stdout: &out, stderr: &out,
		network: func(_ context.Context, cfg node.TorConfig, _ string, _ *slog.Logger, _ func(onion.Status)) (network, error) {
			got = cfg
			return nil, onion.ErrTorDown
		},
		signals: func() (context.Context, context.CancelFunc) { return context.WithCancel(t.Context()) },
	}
	dir := introducerDir(t)
	if status := run([]string{"-d", dir, "run", "--tor", "control=unix:/run/x"}, e); status != exitFailure || got.Mode != "control=unix:/run/x" {
		t.Errorf("run --tor: got status %d, mode %q", status, got.Mode)
	}
	got = node.TorConfig{}
	if status := run([]string{"-d", dir, "run", "--tor", "socks=127.0.0.1:9050"}, e); status != exitFailure || got.Mode != "" {
		t.Errorf("an introducer on SOCKS: got status %d, mode %q", status, got.Mode)
	}
	if status := run([]string{"-d", dir, "run"}, e); status != exitFailure || got.Mode != "launch" {
		t.Errorf("run: got status %d, mode %q", status, got.Mode)
	}
}
