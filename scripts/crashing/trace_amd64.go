package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// record runs a command and returns every system call that changes files
// below dir, or writes to its standard output, in the order in which they
// ended.
func record(cmd *exec.Cmd, dir string) ([]event, error) {
	// ptrace wants all its calls from one thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &unix.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t := &tracer{pid: cmd.Process.Pid, dir: dir, calls: map[int]*unix.PtraceRegs{}, seen: map[uint64]int{}, known: map[int]bool{}}
	var ws unix.WaitStatus
	if _, err := unix.Wait4(t.pid, &ws, 0, nil); err != nil {
		return nil, err
	}
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(t.pid, options); err != nil {
		return nil, fmt.Errorf("trace the server: %w", err)
	}
	t.known[t.pid] = true
	if err := unix.PtraceSyscall(t.pid, 0); err != nil {
		return nil, err
	}
	code, err := t.follow()
	if err == nil && code != 0 {
		err = fmt.Errorf("the recorded run ended with status %d", code)
	}
	return t.events, err
}

// A tracer follows all threads of one process.
type tracer struct {
	pid    int
	dir    string
	events []event
	// calls has the registers at the entry of the call that a thread is in.
	calls map[int]*unix.PtraceRegs
	known map[int]bool
	// seen numbers the files, by inode.
	seen map[uint64]int
	next int
}

// follow returns the exit status.
func (t *tracer) follow() (int, error) {
	for {
		var ws unix.WaitStatus
		tid, err := unix.Wait4(-1, &ws, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if ws.Exited() || ws.Signaled() {
			delete(t.calls, tid)
			if tid != t.pid {
				continue
			}
			if ws.Signaled() {
				return 0, fmt.Errorf("the recorded run was ended by %v", ws.Signal())
			}
			return ws.ExitStatus(), nil
		}
		signal := 0
		switch {
		case ws.StopSignal() == unix.SIGTRAP|0x80:
			if err := t.stopped(tid); err != nil {
				unix.Kill(t.pid, unix.SIGKILL)
				return 0, err
			}
		case ws.StopSignal() == unix.SIGTRAP:
			// A thread was made, or the program was loaded.
		case ws.StopSignal() == unix.SIGSTOP && !t.known[tid]:
			// A new thread begins so.
		default:
			signal = int(ws.StopSignal())
		}
		t.known[tid] = true
		if err := unix.PtraceSyscall(tid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
			return 0, err
		}
	}
}

// stopped is called at the entry and at the end of each call.
func (t *tracer) stopped(tid int) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	entry, inside := t.calls[tid]
	if !inside {
		// So the kernel marks the entry.
		if int64(regs.Rax) == -int64(unix.ENOSYS) {
			t.calls[tid] = &regs
		}
		return nil
	}
	delete(t.calls, tid)
	if int64(regs.Rax) < 0 {
		return nil
	}
	return t.ended(entry, int64(regs.Rax))
}

// ended makes an event of a call that succeeded.
func (t *tracer) ended(r *unix.PtraceRegs, result int64) error {
	switch r.Orig_rax {
	case unix.SYS_OPENAT:
		return t.opened(r, int(result))
	case unix.SYS_MKDIRAT:
		return t.named(evMkdir, r.Rdi, r.Rsi, 0, 0)
	case unix.SYS_UNLINKAT:
		return t.named(evUnlink, r.Rdi, r.Rsi, 0, 0)
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		return t.named(evRename, r.Rdi, r.Rsi, r.Rdx, r.R10)
	case unix.SYS_LINKAT:
		return t.named(evLink, r.Rdi, r.Rsi, r.Rdx, r.R10)
	case unix.SYS_WRITE:
		return t.wrote(r, -1, result)
	case unix.SYS_PWRITE64:
		return t.wrote(r, int64(r.R10), result)
	case unix.SYS_FTRUNCATE:
		return t.onFile(evTruncate, int(r.Rdi), event{offset: int64(r.Rsi)})
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		return t.onFile(evSync, int(r.Rdi), event{})
	case unix.SYS_SYNC, unix.SYS_SYNCFS:
		t.events = append(t.events, event{what: evSyncAll})
	case unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_PWRITEV2, unix.SYS_COPY_FILE_RANGE, unix.SYS_FALLOCATE, unix.SYS_SENDFILE, unix.SYS_SPLICE:
		if _, ours := t.relative(t.fdPath(int(r.Rdi))); ours || r.Orig_rax != unix.SYS_WRITEV {
			return fmt.Errorf("the run made a system call (%d) that the recorder does not know", r.Orig_rax)
		}
	case unix.SYS_RENAME, unix.SYS_UNLINK, unix.SYS_MKDIR, unix.SYS_RMDIR, unix.SYS_LINK, unix.SYS_OPEN, unix.SYS_CREAT, unix.SYS_TRUNCATE:
		return fmt.Errorf("the run made a system call (%d) that the recorder does not know", r.Orig_rax)
	}
	return nil
}

// text reads a string of the process.
func (t *tracer) text(at uint64) (string, error) {
	var out []byte
	buf := make([]byte, 256)
	for len(out) < 4096 {
		b, err := t.memory(at+uint64(len(out)), buf)
		if i := bytes.IndexByte(b, 0); i >= 0 {
			return string(append(out, b[:i]...)), nil
		}
		if err != nil {
			return "", err
		}
		out = append(out, b...)
	}
	return "", errors.New("a path has no end")
}

func (t *tracer) memory(at uint64, buf []byte) ([]byte, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", t.pid))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	n, err := f.ReadAt(buf, int64(at))
	return buf[:n], err
}

func (t *tracer) fdPath(fd int) string {
	p, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", t.pid, fd))
	if err != nil {
		return ""
	}
	return p
}

// relative says where in the recorded directory a path is, if it is.
func (t *tracer) relative(p string) (string, bool) {
	rel, err := filepath.Rel(t.dir, p)
	return rel, err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

func (t *tracer) path(dirfd, at uint64) (string, bool, error) {
	p, err := t.text(at)
	if err != nil {
		return "", false, err
	}
	if !filepath.IsAbs(p) {
		if int32(dirfd) == unix.AT_FDCWD {
			return "", false, nil // The run works nowhere else.
		}
		p = filepath.Join(t.fdPath(int(dirfd)), p)
	}
	rel, ours := t.relative(p)
	return rel, ours, nil
}

func (t *tracer) named(what eventKind, dirfd, at, dirfd2, at2 uint64) error {
	from, ours, err := t.path(dirfd, at)
	if err != nil {
		return err
	}
	ev := event{what: what, path: from}
	if at2 != 0 {
		to, also, err := t.path(dirfd2, at2)
		if err != nil {
			return err
		}
		if ours != also {
			return errors.New("a file was moved out of the recorded directory, or into it")
		}
		ev.to = to
	}
	if ours {
		t.events = append(t.events, ev)
	}
	return nil
}

// inode returns that of an open file.
func (t *tracer) inode(fd int) (ino uint64, dir bool, err error) {
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/fd/%d", t.pid, fd), &st); err != nil {
		return 0, false, err
	}
	return st.Ino, st.Mode&unix.S_IFMT == unix.S_IFDIR, nil
}

// opened notes a file that was made.
func (t *tracer) opened(r *unix.PtraceRegs, fd int) error {
	if r.Rdx&unix.O_CREAT == 0 {
		return nil
	}
	rel, ours, err := t.path(r.Rdi, r.Rsi)
	if err != nil || !ours {
		return err
	}
	ino, _, err := t.inode(fd)
	if err != nil {
		return err
	}
	if r.Rdx&unix.O_EXCL == 0 && t.holds(rel) {
		if r.Rdx&unix.O_TRUNC != 0 {
			return t.onFile(evTruncate, fd, event{})
		}
		return nil
	}
	t.next++
	t.seen[ino] = t.next
	t.events = append(t.events, event{what: evCreate, path: rel, file: t.next})
	return nil
}

// holds says whether a path was made and is there: an opening with O_CREAT
// does not tell.
func (t *tracer) holds(rel string) bool {
	there := false
	for _, ev := range t.events {
		switch {
		case ev.what == evCreate && ev.path == rel, (ev.what == evRename || ev.what == evLink) && ev.to == rel:
			there = true
		case (ev.what == evUnlink || ev.what == evRename) && ev.path == rel:
			there = false
		}
	}
	return there
}

func (t *tracer) onFile(what eventKind, fd int, ev event) error {
	rel, ours := t.relative(t.fdPath(fd))
	if !ours {
		return nil
	}
	ino, dir, err := t.inode(fd)
	if err != nil {
		return err
	}
	ev.what, ev.path, ev.file = what, rel, t.seen[ino]
	if dir {
		ev.what = evSyncDir
	} else if ev.file == 0 {
		return errors.New("the run writes to a file that it did not make")
	}
	t.events = append(t.events, ev)
	return nil
}

func (t *tracer) wrote(r *unix.PtraceRegs, offset, n int64) error {
	fd := int(r.Rdi)
	_, ours := t.relative(t.fdPath(fd))
	if !ours && fd != 1 {
		return nil
	}
	data, err := t.memory(r.Rsi, make([]byte, n))
	if err != nil {
		return err
	}
	if !ours {
		t.events = append(t.events, event{what: evSay, data: data})
		return nil
	}
	if offset < 0 {
		if offset, err = t.position(fd); err != nil {
			return err
		}
		offset -= n
	}
	return t.onFile(evWrite, fd, event{offset: offset, data: data})
}

// position is where the next write to an open file goes.
func (t *tracer) position(fd int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", t.pid, fd))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "pos:"); ok {
			return strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		}
	}
	return 0, errors.New("an open file has no position")
}
