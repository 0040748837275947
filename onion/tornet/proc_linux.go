package tornet

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// childAttr has the kernel kill a tor when the thread that started it ends.
// A process group of its own keeps the terminal's Ctrl-C from it.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// detachedAttr gives the supervisor a session of its own, so that it outlives
// the command and the terminal that started it.
func detachedAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// startTime returns when process pid was started, in ticks since a boot that
// is named with it: two processes with one pid differ in it. It fails when
// there is no such process, or only its unreaped rest.
func startTime(pid int) (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The second field is a name in brackets and may hold anything.
	_, rest, ok := bytes.Cut(b[max(0, bytes.LastIndexByte(b, ')')):], []byte(") "))
	fields := strings.Fields(string(rest))
	if !ok || len(fields) < 20 {
		return "", errors.New("unknown form of /proc/PID/stat")
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return "", errors.New("process has ended")
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return fields[19] + "@" + strings.TrimSpace(string(boot)), nil
}
