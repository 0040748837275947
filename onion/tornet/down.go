package tornet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// closeTime is what a supervisor gets to end its tors and remove its files.
const closeTime = 10 * time.Second

// Down ends the network that Up left in dir, or what a dead owner left of
// one, and removes its files. It kills only processes whose start times are
// those in net.json, and fails when the network belongs to a live program
// that is no supervisor.
func Down(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	r, err := ReadRecord(dir)
	if err != nil {
		return err
	}
	if r.Owner.alive() {
		if !r.Supervised {
			return fmt.Errorf("the tor network belongs to process %d, which will end it", r.Owner.PID)
		}
		r.Owner.signal(syscall.SIGTERM)
		if err := r.Owner.gone(ctx, closeTime); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.Owner.signal(syscall.SIGKILL)
			if err := r.Owner.gone(ctx, closeTime); err != nil {
				return err
			}
		}
	}
	for _, p := range r.Tors {
		p.signal(syscall.SIGKILL)
	}
	for _, p := range r.Tors {
		if err := p.gone(ctx, closeTime); err != nil {
			return err
		}
	}
	return removeFiles(dir, r.MadeDir)
}

// alive says whether exactly this process runs.
func (p ProcessRecord) alive() bool {
	started, err := startTime(p.PID)
	return err == nil && started == p.Started
}

// signal sends sig to exactly this process, or to none.
func (p ProcessRecord) signal(sig syscall.Signal) {
	proc, err := os.FindProcess(p.PID)
	if err != nil {
		return
	}
	defer proc.Release()
	// On Linux the handle taken above cannot pass to another process, so the
	// one looked at now is the one that is signalled.
	if p.alive() {
		_ = proc.Signal(sig) // an error says that it has ended
	}
}

// gone waits until the process has ended.
func (p ProcessRecord) gone(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for p.alive() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d (%s) does not end", p.PID, p.Name)
		case <-tick.C:
		}
	}
	return nil
}
