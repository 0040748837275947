package tor

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A process is one run of the tor program.
type process struct {
	cmd    *exec.Cmd
	log    *torLog
	exited chan struct{} // closed when it has ended and was waited for
}

// startProcess runs tor with a configuration on its standard input, in a
// process group of its own, so that Ctrl-C on our terminal ends us first and
// lets us end tor in order. Its environment is bare.
func startProcess(program string, torrc []byte, log *slog.Logger) (*process, error) {
	cmd := exec.Command(program, "--defaults-torrc", os.DevNull, "-f", "-")
	cmd.Stdin = bytes.NewReader(torrc)
	cmd.Env = bareEnvironment()
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = stopTimeout
	p := &process{cmd: cmd, log: &torLog{log: log}, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start tor: %w", err)
	}
	go func() {
		defer close(p.exited)
		cmd.Wait()
	}()
	return p, nil
}

// stopTimeout is how long tor may take to end when asked; it needs
// milliseconds.
const stopTimeout = 5 * time.Second

// stop ends tor and waits for it.
func (p *process) stop() {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		select {
		case <-p.exited:
			return
		default:
		}
		syscall.Kill(-p.cmd.Process.Pid, sig)
		select {
		case <-p.exited:
			return
		case <-time.After(stopTimeout):
		}
	}
	<-p.exited
}

// failure says why tor ended by itself.
func (p *process) failure() error {
	why := p.log.last()
	if why == "" {
		return errors.New("tor ended at once and said nothing")
	}
	return fmt.Errorf("tor ended at once: %s", why)
}

// A torLog takes in what tor writes: into our log, and its last complaint
// for an error.
type torLog struct {
	log *slog.Logger

	mu        sync.Mutex
	rest      []byte // of a line; guarded by mu
	complaint string // guarded by mu
}

// maxLine bounds a line that does not end.
const maxLine = 4 << 10

func (l *torLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range p {
		switch {
		case c == '\n':
			l.line(string(l.rest))
			l.rest = l.rest[:0]
		case len(l.rest) < maxLine:
			l.rest = append(l.rest, c)
		}
	}
	return len(p), nil
}

// line takes in "Nov 23 23:13:18.000 [warn] text".
func (l *torLog) line(s string) {
	_, after, ok := strings.Cut(s, "[")
	severity, text, ok2 := strings.Cut(after, "] ")
	if !ok || !ok2 {
		return
	}
	text = scrub(text)
	switch severity {
	case "warn", "err":
		// The line after the reason says only that there was one.
		if !strings.Contains(text, "see warnings above") {
			l.complaint = text
		}
		l.log.Info("tor: " + text)
	default:
		l.log.Debug("tor: " + text)
	}
}

func (l *torLog) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.complaint
}
