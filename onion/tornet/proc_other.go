//go:build unix && !linux

package tornet

import (
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// childAttr keeps the terminal's Ctrl-C from a tor. That it dies with its
// starter is left to tor itself, which looks every 15 seconds.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// detachedAttr gives the supervisor a session of its own, so that it outlives
// the command and the terminal that started it.
func detachedAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// startTime returns when process pid was started, to the second. It fails
// when there is no such process, or only its unreaped rest.
func startTime(pid int) (string, error) {
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return "", err
	}
	state, started, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if started == "" || strings.HasPrefix(state, "Z") {
		return "", errors.New("process has ended")
	}
	return strings.TrimSpace(started), nil
}
