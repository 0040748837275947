package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// What the test of the contract is told.
const (
	nurlVariable = "LAFS_INTEROP_NURL" // of a Tahoe-LAFS server
	torVariable  = "LAFS_INTEROP_TOR"  // a --tor mode that reaches it
)

// contract runs the contract of storage servers, which ours passes in every
// test run, against a server of Tahoe-LAFS's.
func (w *world) contract(ctx context.Context) error {
	if !w.step(ctx, "Tahoe-LAFS servers run", w.startTheirs) {
		return errFailed
	}
	nurl, err := w.theirs[0].NURL()
	if err != nil {
		return err
	}
	w.step(ctx, "the contract holds on a Tahoe-LAFS server, but for what the test names", func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-run", "^TestContract", "-v", "./scripts/interoperation")
		cmd.Env = append(os.Environ(), nurlVariable+"="+nurl.Reveal(), torVariable+"=control="+w.client.Control)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		out, err := cmd.CombinedOutput()
		passed := strings.Count(string(out), "--- PASS")
		if err != nil || passed < 10 {
			return errors.Join(err, fmt.Errorf("%d tests passed:\n%s", passed, out))
		}
		return nil
	})
	return nil
}
