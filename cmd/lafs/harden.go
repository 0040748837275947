package main

import (
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// harden keeps secrets out of what a crash leaves behind: there is no core
// dump, and no traceback, which prints arguments. It returns the standard
// error to use from now on.
//
// The runtime writes its tracebacks to file descriptor 2 and lets no program
// turn them off by itself, so unless GOTRACEBACK=none was set from outside,
// descriptor 2 leads nowhere and our own messages go to a copy of it.
func harden() *os.File {
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	if level := os.Getenv("GOTRACEBACK"); level == "none" || level == "0" {
		return os.Stderr
	}
	copied, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return os.Stderr // It is closed: nothing can be written to it.
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return os.Stderr
	}
	defer null.Close()
	if err := unix.Dup3(int(null.Fd()), 2, 0); err != nil {
		return os.Stderr
	}
	return os.NewFile(uintptr(copied), "/dev/stderr")
}

// undumpable keeps other processes of the same user from reading this one's
// memory. Only for a running node: it also closes /proc/self/fd, which the
// shell's /dev/stdin needs.
func undumpable() { unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

// memoryLimit is what a node's memory is kept under, in bytes, where it can:
// the parts bound what they hold to about half of it.
const memoryLimit = 100 << 20

// boundMemory makes the collector work harder near the limit, unless
// GOMEMLIMIT says otherwise.
func boundMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
