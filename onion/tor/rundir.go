package tor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// A runDir is the private directory, mode 0700, for the sockets between us
// and our own tor. A locked file marks it as in use: the lock goes with the
// process, so what a killed process left is known for litter and removed by
// the next one.
type runDir struct {
	path string
	lock *os.File
}

const (
	runPrefix = "lafs-tor-"
	lockName  = "lock"
	// longestName is the longest name of a socket in a runDir.
	longestName = "/service-000000"
)

// newRunDir makes a runDir below base and removes abandoned ones.
func newRunDir(base string) (*runDir, error) {
	sweep(base)
	const attempts = 5 // a sweep by another process may take a new one
	for range attempts {
		path, err := os.MkdirTemp(base, runPrefix)
		if err != nil {
			return nil, fmt.Errorf("make a directory for Tor's sockets: %w", err)
		}
		lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_CREATE|os.O_RDWR|os.O_EXCL, 0o600)
		if err == nil && syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil && exists(lock.Name()) {
			return &runDir{path: path, lock: lock}, nil
		}
		if lock != nil {
			lock.Close()
		}
		os.RemoveAll(path)
	}
	return nil, errors.New("make a directory for Tor's sockets: somebody keeps removing it")
}

func (d *runDir) file(name string) string { return filepath.Join(d.path, name) }

func (d *runDir) remove() error {
	err := os.RemoveAll(d.path)
	return errors.Join(err, d.lock.Close())
}

// runBase is where runDirs are made: the user's own runtime directory, or
// the temporary one. Tor takes no space in a service's target, and a socket's
// path is short.
func runBase() string {
	for _, base := range []string{os.Getenv("XDG_RUNTIME_DIR"), os.TempDir()} {
		if info, err := os.Stat(base); err == nil && info.IsDir() && plainPath(base) &&
			len(base)+len("/"+runPrefix)+10+len(longestName) <= maxSocketPath && writable(base) {
			return base
		}
	}
	return "/tmp"
}

func writable(dir string) bool {
	const wantWrite = 2
	return syscall.Access(dir, wantWrite) == nil
}

func plainPath(p string) bool {
	return filepath.IsAbs(p) && strings.IndexFunc(p, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"\,`, r)
	}) < 0
}

// sweep removes the runDirs of processes that are no more.
func sweep(base string) {
	found, _ := filepath.Glob(filepath.Join(base, runPrefix+"*"))
	for _, path := range found {
		info, err := os.Lstat(path)
		if err != nil || !info.IsDir() || !ours(info) {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_RDWR|syscall.O_NOFOLLOW, 0)
		if err != nil {
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			os.RemoveAll(path)
		}
		lock.Close()
	}
}

func ours(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
