// Package tahoe runs real Tahoe-LAFS nodes over a private Tor network, the
// judges of our servers and our client. scripts/interop and the benchmark use
// it.
package tahoe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Version is the release of Tahoe-LAFS that we are measured by.
const Version = "1.20.0"

const (
	// programVariable names the program to use instead of one that is
	// installed.
	programVariable = "LAFS_TAHOE"
	// installTimeout bounds the installation: a minute, where PyPI is near.
	installTimeout = 6 * time.Minute
)

// ErrNone says that there is no Tahoe-LAFS and that none can be installed.
var ErrNone = errors.New("Tahoe-LAFS " + Version + " is not to be had here")

// Find returns the path of a tahoe program with Tor support that is there: the
// one that $LAFS_TAHOE names, or else the one that Install has installed.
// What stands in the way matches ErrNone.
func Find(ctx context.Context) (string, error) {
	if program := os.Getenv(programVariable); program != "" {
		return program, check(ctx, program)
	}
	dir, err := environment()
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "bin", "tahoe")
	return program, check(ctx, program)
}

// Install is Find, and installs from PyPI what is not there, in a virtual
// environment of its own in the user's cache directory.
func Install(ctx context.Context) (string, error) {
	program, err := Find(ctx)
	if err == nil || os.Getenv(programVariable) != "" {
		return program, err
	}
	dir, err := environment()
	if err != nil {
		return "", err
	}
	if err := install(ctx, dir); err != nil {
		return "", err
	}
	return Find(ctx)
}

// environment is the directory of the virtual environment.
func environment() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNone, err)
	}
	return filepath.Join(cache, "lafs", "tahoe-"+Version), nil
}

// check runs the program once.
func check(ctx context.Context, program string) error {
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return fmt.Errorf("%w: %s does not run: %w", ErrNone, program, err)
	}
	if !strings.Contains(string(out), Version) {
		return fmt.Errorf("%w: %s is another version", ErrNone, program)
	}
	return nil
}

// install makes the environment, one process at a time. One that was left
// half made is made again.
func install(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	python, err := exec.LookPath("python3")
	if err != nil {
		return fmt.Errorf("%w: python3 is not on PATH", ErrNone)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return fmt.Errorf("%w: %w", ErrNone, err)
	}
	lock, err := os.Create(dir + ".lock")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNone, err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("%w: %w", ErrNone, err)
	}
	if check(ctx, filepath.Join(dir, "bin", "tahoe")) == nil {
		return nil // Another process made it meanwhile.
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("%w: %w", ErrNone, err)
	}
	for _, args := range [][]string{
		{python, "-m", "venv", dir},
		{filepath.Join(dir, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check", "tahoe-lafs[tor]==" + Version},
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s: %w\n%s", ErrNone, strings.Join(args, " "), err, tail(out))
		}
	}
	return nil
}

// tail is the end of what a program printed.
func tail(out []byte) string {
	const most = 2000
	return strings.TrimSpace(string(out[max(0, len(out)-most):]))
}
