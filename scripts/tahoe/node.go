package tahoe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTimeout is how long a node may take until it says that it runs: some
// seconds of Python, and with an onion service, Tor's publishing.
const startTimeout = 90 * time.Second

// A Node is a Tahoe-LAFS node: a directory, and a process or none. Its
// methods are for one goroutine at a time, but for Log.
type Node struct {
	// Dir is the node's directory.
	Dir string

	program string
	mu      sync.Mutex
	log     bytes.Buffer // guarded by mu
	cmd     *exec.Cmd
	done    chan struct{}
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
	if n.cmd != nil {
		return errors.New("the node runs already")
	}
	cmd := exec.Command(n.program, "run", "--allow-stdin-close", n.Dir)
	// A test that is killed must not leave nodes behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = io.MultiWriter(w, logWriter{n}), logWriter{n}
	if err := cmd.Start(); err != nil {
		return err
	}
	n.cmd, n.done = cmd, make(chan struct{})
	ready := make(chan struct{})
	go func() {
		s := bufio.NewScanner(out)
		for s.Scan() {
			if strings.HasSuffix(s.Text(), "client running") {
				close(ready)
				break
			}
		}
		io.Copy(io.Discard, out)
	}()
	go func() {
		cmd.Wait()
		w.Close()
		close(n.done)
	}()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case <-ready:
		return nil
	case <-n.done:
		n.cmd = nil
		return fmt.Errorf("the Tahoe-LAFS node ended at its start:\n%s", n.Log())
	case <-ctx.Done():
		n.Kill()
		return fmt.Errorf("the Tahoe-LAFS node did not say that it runs: %w\n%s", ctx.Err(), n.Log())
	}
}

// Kill ends the node and waits for it.
func (n *Node) Kill() {
	if n.cmd == nil {
		return
	}
	n.cmd.Process.Kill()
	<-n.done
	n.cmd = nil
}

// Pid is the running node's process id, 0 when it does not run.
func (n *Node) Pid() int {
	if n.cmd == nil {
		return 0
	}
	return n.cmd.Process.Pid
}

// Log is what the node has printed, and the end of its own log.
func (n *Node) Log() string {
	n.mu.Lock()
	printed := n.log.String()
	n.mu.Unlock()
	own, err := os.ReadFile(filepath.Join(n.Dir, "logs", "twistd.log"))
	if err != nil {
		return printed
	}
	return printed + "\n" + tail(own)
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

type logWriter struct{ n *Node }

func (w logWriter) Write(b []byte) (int, error) {
	w.n.mu.Lock()
	defer w.n.mu.Unlock()
	return w.n.log.Write(b)
}
