package store

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// openNoFollow opens a file of ours for reading. Where a symbolic link stands
// in its place, it is not followed: whatever else the process may read is not
// for clients: errHeader. A pipe in its place makes nobody wait.
func openNoFollow(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		err = errHeader
	}
	return f, err
}

// openFile opens or makes a file of an upload.
func openFile(path string) (file, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
}
