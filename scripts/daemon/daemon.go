// Package daemon runs the nodes of private grids, lafs's and Tahoe-LAFS's, as
// child processes that do not outlive their parent.
package daemon

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// StartTimeout is how long a node may take until it says that it runs: some
	// seconds of Python, or Tor's publishing of a descriptor, which takes about
	// 3 s at 40 ms a link and once in many starts over 10.
	StartTimeout = 90 * time.Second
	// stopTimeout is how long one may take that was asked to end.
	stopTimeout = 30 * time.Second
)

// A Daemon is a process that runs, or none. Its methods are for one goroutine
// at a time, but for Log. The zero value runs nothing.
type Daemon struct {
	cmd  *exec.Cmd
	done chan struct{}
	log  output
}

// Start runs cmd and returns when it has printed a line that ends with ready.
// An error holds what it printed.
func (d *Daemon) Start(ctx context.Context, cmd *exec.Cmd, ready string) error {
	if d.cmd != nil {
		return errors.New("the node runs already")
	}
	// A test that is killed must not leave a grid behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = io.MultiWriter(w, &d.log), &d.log
	if err := cmd.Start(); err != nil {
		return err
	}
	d.cmd, d.done = cmd, make(chan struct{})
	said := make(chan struct{})
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			if strings.HasSuffix(s.Text(), ready) {
				close(said)
				break
			}
		}
		io.Copy(io.Discard, out)
	}()
	go func() {
		cmd.Wait()
		w.Close()
		close(d.done)
	}()
	ctx, cancel := context.WithTimeout(ctx, StartTimeout)
	defer cancel()
	select {
	case <-said:
		return nil
	case <-d.done:
		d.cmd = nil
		return fmt.Errorf("the node ended at its start:\n%s", d.Log())
	case <-ctx.Done():
		d.Kill()
		return fmt.Errorf("the node did not say that it runs: %w\n%s", ctx.Err(), d.Log())
	}
}

// Kill ends the process as a power cut would, and waits for it.
func (d *Daemon) Kill() { d.end(syscall.SIGKILL) }

// Stop asks the process to end, waits for it, and returns how long that took.
func (d *Daemon) Stop() time.Duration {
	start := time.Now()
	d.end(syscall.SIGTERM)
	return time.Since(start)
}

func (d *Daemon) end(sig syscall.Signal) {
	if d.cmd == nil {
		return
	}
	d.cmd.Process.Signal(sig)
	select {
	case <-d.done:
	case <-time.After(stopTimeout):
		d.cmd.Process.Kill()
		<-d.done
	}
	d.cmd = nil
}

// Running reports whether the process has been started and not ended by us.
func (d *Daemon) Running() bool { return d.cmd != nil }

// Pid is the process's id, 0 when none runs.
func (d *Daemon) Pid() int {
	if d.cmd == nil {
		return 0
	}
	return d.cmd.Process.Pid
}

// Log is everything that the processes have printed.
func (d *Daemon) Log() string { return d.log.String() }

// output is what a process printed.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
