package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncDisk waits until all that was written to the file system of dir is on
// the disk. It reports what could not be written since dir was opened.
func syncDisk(dir *os.File) error { return unix.Syncfs(int(dir.Fd())) }
