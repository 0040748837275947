package local

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Errors of ListenUnix that a caller may branch on.
var (
	// ErrInUse is a socket behind which somebody answers.
	ErrInUse = errors.New("another program listens on the socket")
	// ErrNotPrivate is a directory that others may enter.
	ErrNotPrivate = errors.New("the socket's directory must be ours alone (mode 0700)")
	// ErrForeign is something in the way that is not a socket of ours.
	ErrForeign = errors.New("something that is not a socket of ours is in the socket's place")
	// ErrTooLong is a path that the system has no room for.
	ErrTooLong = fmt.Errorf("the socket's path has more than %d bytes; use a node directory with a shorter path", maxPath)
)

// maxPath is what sun_path holds, without the final zero, on the system with
// the least room.
const maxPath = 103

// ListenUnix listens on a unix socket at path with mode 0600. The directory
// must be ours and closed to others, so that the socket is never reachable by
// anybody else, whatever the umask. A socket left behind by a program that is
// gone is removed; one that answers, or is not ours, or is no socket, stays
// and is an error. Closing the listener removes the socket.
//
// Two programs that call it for one path at one time may both succeed, and
// only one is reached: the caller holds the node directory's lock.
func ListenUnix(path string) (net.Listener, error) {
	if len(path) > maxPath {
		return nil, ErrTooLong
	}
	if err := checkDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on unix socket: %w", bare(err))
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("close unix socket to others: %w", cause(err))
	}
	return l, nil
}

func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the socket's directory: %w", cause(err))
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !ours(info) {
		return ErrNotPrivate
	}
	return nil
}

// dialTimeout bounds the question whether somebody answers: a program that
// is stopped with a full backlog would never say.
const dialTimeout = 5 * time.Second

// removeStale removes a socket of ours that refuses connections.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the socket's place: %w", cause(err))
	}
	if info.Mode().Type() != fs.ModeSocket || !ours(info) {
		return ErrForeign
	}
	c, err := net.DialTimeout("unix", path, dialTimeout)
	if err == nil {
		c.Close()
		return ErrInUse
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return ErrInUse
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove stale socket: %w", cause(err))
	}
	return nil
}

func ours(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// cause takes the path out of an error of package os.
func cause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
