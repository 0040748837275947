package tornet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const pollInterval = 25 * time.Millisecond // tor offers no other sign that its control socket is there

// A process is one tor that this package started.
type process struct {
	name    string
	dir     string // its data directory
	pid     int
	started string        // see startTime
	done    chan struct{} // closed when it has ended and been waited for
	cmd     *exec.Cmd
}

// findTor returns the absolute path of the tor to run.
func findTor(named string) (string, error) {
	if named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return "", err
		}
		return filepath.Abs(path)
	}
	for _, name := range []string{"tor", "/usr/sbin/tor", "/usr/local/bin/tor"} {
		if path, err := exec.LookPath(name); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", errors.New("tor is not installed; on Debian: apt install tor")
}

// launch starts the tor whose torrc lies in its directory.
func (n *Net) launch(name string) (*process, error) {
	dir := n.path(name)
	cmd := exec.Command(n.exe,
		"--defaults-torrc", n.path(emptyFile),
		"-f", filepath.Join(dir, "torrc"),
		"--quiet",
		"__OwningControllerProcess", strconv.Itoa(os.Getpid()))
	cmd.Dir = dir
	cmd.SysProcAttr = childAttr()
	p := &process{name: name, dir: dir, cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel signals the child when the thread that started it ends,
		// not the process: this goroutine keeps the thread.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how a tor ended is in its log
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start tor %s: %w", name, err)
	}
	p.pid = cmd.Process.Pid
	var err error
	if p.started, err = startTime(p.pid); err != nil {
		p.kill()
		return nil, p.diedError()
	}
	return p, nil
}

// verify waits for p's control socket and checks that p answers on it.
func (p *process) verify(ctx context.Context) error {
	c, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	return nil
}

// connect waits until p answers on its control socket with its own pid.
func (p *process) connect(ctx context.Context) (*control, error) {
	for {
		c, err := dialControl(ctx, filepath.Join(p.dir, "control"))
		if err == nil {
			pid, err := c.pid()
			if err == nil && pid != p.pid {
				err = fmt.Errorf("tor %s: process %d answers on its control socket, want %d", p.name, pid, p.pid)
			}
			if err != nil {
				c.close()
				return nil, err
			}
			return c, nil
		}
		if err := p.pause(ctx); err != nil {
			return nil, err
		}
	}
}

// pause waits a moment, and fails when p has ended or ctx is done.
func (p *process) pause(ctx context.Context) error {
	t := time.NewTimer(pollInterval)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("wait for tor %s: %w%s", p.name, ctx.Err(), p.lastWords())
	case <-p.done:
		return p.diedError()
	case <-t.C:
		return nil
	}
}

// bootstrapped waits until p has built a circuit.
func (p *process) bootstrapped(ctx context.Context) error {
	c, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	for {
		percent, err := c.bootstrap()
		if err != nil {
			return fmt.Errorf("ask tor %s how far it is: %w", p.name, err)
		}
		if percent == 100 {
			return nil
		}
		if err := p.pause(ctx); err != nil {
			return err
		}
	}
}

// kill ends p and waits for it.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // an error says that it has ended
	<-p.done
}

func (p *process) diedError() error {
	return fmt.Errorf("tor %s ended%s", p.name, p.lastWords())
}

// lastWords returns the end of p's log, for an error.
func (p *process) lastWords() string {
	b, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if err != nil {
		return " before it wrote a log"
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return "; its log ends:\n" + strings.Join(lines[max(0, len(lines)-5):], "\n")
}
