package realgrid

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"lafs/scripts/daemon"
)

// A Process is one node of the grid: a directory, and a running lafs or
// none. Its methods are for one goroutine at a time.
type Process struct {
	daemon.Daemon
	// Dir is the node's directory.
	Dir string

	lafs string
}

// New returns the node in dir, which need not exist yet, run by the program
// lafs.
func New(lafs, dir string) *Process { return &Process{Dir: dir, lafs: lafs} }

// Start runs the node and returns when it has printed that it is running.
func (p *Process) Start(ctx context.Context) error {
	return p.Daemon.Start(ctx, exec.Command(p.lafs, "-d", p.Dir, "run", "--allow-stdin-close"), " running")
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
