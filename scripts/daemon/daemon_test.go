package daemon_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"lafs/scripts/daemon"
)

func sh(script string) *exec.Cmd { return exec.Command("sh", "-c", script) }

func TestStart(t *testing.T) {
	var d daemon.Daemon
	d.Kill() // of nothing
	const serve = "echo starting; echo warning >&2; echo node running; exec sleep 600"
	for range 2 {
		if err := d.Start(t.Context(), sh(serve), " running"); err != nil {
			t.Fatal(err)
		}
		if err := d.Start(t.Context(), sh(serve), " running"); err == nil {
			t.Error("started twice")
		}
		pid := d.Pid()
		if !d.Running() || syscall.Kill(pid, 0) != nil {
			t.Error("it does not run")
		}
		d.Stop()
		if d.Running() || d.Pid() != 0 || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			t.Error("it runs on")
		}
	}
	for _, line := range []string{"starting\n", "warning\n", "node running\n"} {
		if log := d.Log(); strings.Count(log, line) != 2 {
			t.Errorf("log: got %q, want %q twice", log, line)
		}
	}
}

func TestEndsAtItsStart(t *testing.T) {
	var d daemon.Daemon
	err := d.Start(t.Context(), sh("echo no such option >&2; exit 1"), " running")
	if err == nil || !strings.Contains(err.Error(), "no such option") || d.Running() {
		t.Errorf("got %v, running %v", err, d.Running())
	}
}

func TestNeverReady(t *testing.T) {
	var d daemon.Daemon
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Start(ctx, sh("exec sleep 600"), " running"); !errors.Is(err, context.Canceled) || d.Running() {
		t.Errorf("got %v, running %v", err, d.Running())
	}
}
