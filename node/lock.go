package node

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lafs/node/durable"
)

// ErrRunning is matched by the error of a Node whose directory another
// process is using.
var ErrRunning = errors.New("a node is already running in this directory")

// lockSecrets lets one process at a time make what is missing in private/:
// two that start at once would each go on with keys of its own, of which the
// disk keeps one's. The kernel drops the lock with the process.
func (d Dir) lockSecrets() (unlock func(), err error) {
	f, err := os.Open(d.path("private"))
	if err != nil {
		return nil, fmt.Errorf("lock private: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock private: %w", err)
	}
	return func() { f.Close() }, nil
}

// A Held is one process's hold on a node directory: an flock on
// running.process.lock, which the kernel drops with the process, and the
// line "PID CREATETIME" in running.process, which other programs read.
type Held struct {
	dir     Dir
	file    *os.File
	crashed bool
}

// dying is how long a process that was killed may still have the directory:
// who starts a node again at once need not do it twice.
const dying = time.Second

// Hold takes the directory for this process, before a Node runs and before a
// tor is launched in it. It matches ErrRunning when another has it and does
// not end within a second.
func Hold(d Dir) (*Held, error) {
	for began := time.Now(); ; time.Sleep(dying / 50) {
		h, err := hold(d)
		if !errors.Is(err, ErrRunning) || time.Since(began) >= dying {
			return h, err
		}
	}
}

func hold(d Dir) (*Held, error) {
	f, err := os.OpenFile(d.lockFile(), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, fmt.Errorf("lock node directory: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		// A node of Tahoe-LAFS holds the lock only while it starts, so its
		// line is looked at too.
		if pid := liveProcess(d); pid != 0 && pid != os.Getpid() {
			err = unix.EWOULDBLOCK
		}
	}
	if err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w%s", ErrRunning, runningPID(d))
		}
		return nil, fmt.Errorf("lock node directory: %w", err)
	}
	_, err = os.Lstat(d.pidFile())
	crashed := err == nil
	line := fmt.Sprintf("%d %s\n", os.Getpid(), createTime(os.Getpid()))
	if err := durable.WriteFile(d.pidFile(), []byte(line), fileMode); err != nil {
		f.Close()
		return nil, fmt.Errorf("write running.process: %w", err)
	}
	return &Held{d, f, crashed}, nil
}

// Crashed reports whether the process that held the directory before ended
// without giving it back.
func (h *Held) Crashed() bool { return h.crashed }

// Release gives the directory back. The lock's file stays: removing it would
// let two processes hold two files of one name.
func (h *Held) Release() error {
	return errors.Join(os.Remove(h.dir.pidFile()), h.file.Close())
}

func runningPID(d Dir) string {
	line, err := readLine(d.pidFile())
	pid, _, _ := strings.Cut(line, " ")
	if _, bad := strconv.Atoi(pid); err != nil || bad != nil {
		return ""
	}
	return " (process " + pid + ")"
}

// liveProcess returns the process that running.process names, 0 when it does
// not run any more: a number that was given to another process since has
// another time of creation.
func liveProcess(d Dir) int {
	line, err := readLine(d.pidFile())
	if err != nil {
		return 0
	}
	pidText, created, _ := strings.Cut(line, " ")
	pid, err := strconv.Atoi(pidText)
	if err != nil || pid <= 0 {
		return 0
	}
	then, err := strconv.ParseFloat(strings.TrimSpace(created), 64)
	if err != nil {
		return 0
	}
	now, err := strconv.ParseFloat(createTime(pid), 64)
	if err != nil || now == 0 || now-then > 1 || then-now > 1 {
		return 0
	}
	return pid
}

// ticksPerSecond is USER_HZ, the unit of times in /proc on every Linux.
const ticksPerSecond = 100

// createTime is when a process began, in seconds since 1970 with two
// decimals, as the psutil of Tahoe-LAFS counts them; "0.0" when it cannot be
// known or there is no such process.
func createTime(pid int) string {
	const unknown = "0.0"
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return unknown
	}
	// The second field is the program's name, which may hold anything: count
	// from the last parenthesis. The start is the 22nd field.
	_, rest, _ := strings.Cut(string(stat[max(0, strings.LastIndexByte(string(stat), ')')):]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return unknown // it has ended, and nobody has asked how
	}
	start, err := strconv.ParseFloat(fields[19], 64)
	if err != nil {
		return unknown
	}
	boot, ok := bootTime()
	if !ok {
		return unknown
	}
	return strconv.FormatFloat(boot+start/ticksPerSecond, 'f', 2, 64)
}

func bootTime() (float64, bool) {
	all, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(all)) {
		if text, ok := strings.CutPrefix(line, "btime "); ok {
			t, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			return t, err == nil
		}
	}
	return 0, false
}
