package realgrid

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTimeout is how long a node may take until it says that it runs: Tor
// publishes a descriptor in about 3 s at 40 ms a link, and one start in many
// has taken over 10.
const startTimeout = 90 * time.Second

// A Process is one node of the grid: a directory, and a running lafs or
// none. Its methods are for one goroutine at a time.
type Process struct {
	// Dir is the node's directory.
	Dir string

	lafs string
	mu   sync.Mutex // guards log
	log  bytes.Buffer
	cmd  *exec.Cmd
	done chan struct{}
}

// New returns the node in dir, which need not exist yet, run by the program
// lafs.
func New(lafs, dir string) *Process { return &Process{Dir: dir, lafs: lafs} }

// Start runs the node and returns when it has printed that it is running.
func (p *Process) Start(ctx context.Context) error {
	if p.cmd != nil {
		return errors.New("the node runs already")
	}
	cmd := exec.Command(p.lafs, "-d", p.Dir, "run", "--allow-stdin-close")
	// A test that is killed must not leave a grid behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = io.MultiWriter(w, logWriter{p}), logWriter{p}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.done = cmd, make(chan struct{})
	ready := make(chan struct{})
	go func() {
		s := bufio.NewScanner(out)
		for s.Scan() {
			if strings.HasSuffix(s.Text(), " running") {
				close(ready)
				break
			}
		}
		io.Copy(io.Discard, out)
	}()
	go func() {
		cmd.Wait()
		w.Close()
		close(p.done)
	}()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case <-ready:
		return nil
	case <-p.done:
		p.cmd = nil
		return fmt.Errorf("the node ended at its start:\n%s", p.Log())
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("the node did not say that it runs: %w\n%s", ctx.Err(), p.Log())
	}
}

// Kill ends the node as a power cut would, and waits for it.
func (p *Process) Kill() { p.end(syscall.SIGKILL) }

// Stop asks the node to end, waits for it, and returns how long that took.
func (p *Process) Stop() time.Duration {
	start := time.Now()
	p.end(syscall.SIGTERM)
	return time.Since(start)
}

func (p *Process) end(sig syscall.Signal) {
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
	p.cmd = nil
}

// Running reports whether the node has been started and not ended by us.
func (p *Process) Running() bool { return p.cmd != nil }

// Pid is the running node's process id, 0 when it does not run.
func (p *Process) Pid() int {
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Log is everything that the node has printed.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// Lafs runs a lafs command against the node and returns its output. An
// error holds what it printed as errors.
func (p *Process) Lafs(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	return runLafs(ctx, p.lafs, p.Dir, stdin, args...)
}

// PeakMemory is the most resident memory that the running node has had, in
// bytes (VmHWM).
func (p *Process) PeakMemory() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, errors.New("the kernel tells no peak of resident memory")
}

// ResetPeakMemory makes PeakMemory count from now.
func (p *Process) ResetPeakMemory() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.Pid()), []byte("5"), 0o200)
}

type logWriter struct{ p *Process }

func (w logWriter) Write(b []byte) (int, error) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	return w.p.log.Write(b)
}

func runLafs(ctx context.Context, lafs, dir string, stdin io.Reader, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, lafs, append([]string{"-d", dir}, args...)...)
	cmd.Stdin = stdin
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("lafs %s: %w: %s", args[0], err, stderr.String())
	}
	return out, nil
}
