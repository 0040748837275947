package tahoe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"lafs/scripts/daemon"
)

// A Node is a Tahoe-LAFS node: a directory, and a process or none. Its
// methods are for one goroutine at a time, but for Log.
type Node struct {
	daemon.Daemon
	// Dir is the node's directory.
	Dir string

	program string
}

// create makes a node directory with the configuration given. The names of
// its files are what tahoe looks at.
func create(program, dir, config string) (*Node, error) {
	for _, d := range []string{dir, filepath.Join(dir, "private")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string]string{"tahoe.cfg": config, "tahoe-client.tac": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return &Node{Dir: dir, program: program}, nil
}

// Start runs the node and returns when it has printed that it is running.
func (n *Node) Start(ctx context.Context) error {
	if err := n.Daemon.Start(ctx, exec.Command(n.program, "run", "--allow-stdin-close", n.Dir), "client running"); err != nil {
		return fmt.Errorf("start Tahoe-LAFS: %w\n%s", err, n.own())
	}
	return nil
}

// Log is what the node has printed, and the end of its own log.
func (n *Node) Log() string { return n.Daemon.Log() + "\n" + n.own() }

// own is the end of the log that the node keeps itself, if there is one.
func (n *Node) own() string {
	text, err := os.ReadFile(filepath.Join(n.Dir, "logs", "twistd.log"))
	if err != nil {
		return ""
	}
	return tail(text)
}

// Tahoe runs a tahoe command against the node and returns its output. An
// error holds what it printed as errors.
func (n *Node) Tahoe(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, n.program, append([]string{"-d", n.Dir}, args...)...)
	cmd.Stdin = stdin
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("tahoe %s: %w: %s", args[0], err, tail(stderr.Bytes()))
	}
	return out, nil
}
