package tor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lafs/onion"
	"lafs/onion/tor"
)

// needTor skips, aloud, where the program tor is not to be run.
func needTor(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: real Tor is not tested with -short")
	}
	if _, err := exec.LookPath("tor"); err != nil {
		t.Skip("SKIPPED: no program tor on PATH; install it (Debian: apt install tor)")
	}
}

// offline is a torrc fragment for a tor that opens no connection.
func offline(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "fragment")
	if err := os.WriteFile(path, []byte("DisableNetwork 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mode(t *testing.T, s string) tor.Mode {
	t.Helper()
	m, err := tor.ParseMode(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// runDirs makes the private directories of this test's tors in a place of
// their own, and returns it.
func runDirs(t *testing.T) string {
	dir, err := os.MkdirTemp("/tmp", "lt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	return dir
}

func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		t.Errorf("left behind: %s", e.Name())
	}
}

// torsOn returns the pids of processes whose command line or whose torrc
// names dir. Our own tors get their torrc by standard input, so they are
// found by the files that they hold open.
func torsOn(t *testing.T, dir string) []int {
	t.Helper()
	procs, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[int]bool)
	for _, fd := range procs {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, dir+"/") {
			pid, _ := strconv.Atoi(strings.Split(fd, "/")[2])
			if pid != os.Getpid() {
				seen[pid] = true
			}
		}
	}
	var pids []int
	for pid := range seen {
		pids = append(pids, pid)
	}
	return pids
}

// until polls for what another process does, which no channel tells.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func TestLaunchAndClose(t *testing.T) {
	needTor(t)
	run := runDirs(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	data := filepath.Join(t.TempDir(), "with a space", "tor")
	var mu sync.Mutex
	var seen []onion.Status
	n, err := tor.Start(t.Context(), tor.Config{
		DataDir: data, TorrcFragment: offline(t),
		Progress: func(s onion.Status) { mu.Lock(); seen = append(seen, s); mu.Unlock() },
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := n.Status(); s.Mode != "launch" || s.Version == "" || s.Bootstrap != 0 || s.Ready() {
		t.Errorf("Status: got %+v", s)
	}
	if info, err := os.Stat(data); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data directory: %v, %v, want mode 0700", info, err)
	}
	dirs, _ := filepath.Glob(run + "/lafs-tor-*")
	if len(dirs) != 1 {
		t.Fatalf("private directories: %v", dirs)
	}
	if info, err := os.Stat(dirs[0]); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("private directory: %v, %v, want mode 0700", info, err)
	}
	pids := torsOn(t, data)
	if len(pids) != 1 {
		t.Fatalf("tors running: %v, want one", pids)
	}
	if group, err := syscall.Getpgid(pids[0]); err != nil || group != pids[0] {
		t.Errorf("tor's process group: got %d, %v, want its own", group, err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if err := n.Close(); err != nil {
		t.Error("second Close:", err)
	}
	empty(t, run)
	if pids := torsOn(t, data); len(pids) != 0 {
		t.Errorf("tors left: %v", pids)
	}
	if _, err := n.Dial(t.Context(), newAddr(t), onion.Lane{}); !errors.Is(err, onion.ErrClosed) {
		t.Errorf("Dial after Close: got %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) == 0 {
		t.Error("Progress was never called")
	}
}

func TestDataDirInUse(t *testing.T) {
	needTor(t)
	runDirs(t)
	cfg := tor.Config{DataDir: t.TempDir(), TorrcFragment: offline(t)}
	n, err := tor.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = tor.Start(ctx, cfg)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "does this node run already") {
		t.Errorf("Start: got %v, want a word on the other node", err)
	}
}

// Where no Tor runs, auto launches ours.
func TestAutoLaunches(t *testing.T) {
	needTor(t)
	run := runDirs(t)
	for _, name := range []string{"TOR_CONTROL_IPC_PATH", "TOR_CONTROL_PORT", "TOR_SOCKS_IPC_PATH", "TOR_SOCKS_PORT"} {
		t.Setenv(name, "")
	}
	n, err := tor.Start(t.Context(), tor.Config{Mode: mode(t, "auto"), TorrcFragment: offline(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer empty(t, run)
	defer n.Close()
	if s := n.Status(); s.Mode == "system" {
		t.Skip("SKIPPED: this machine has a Tor, which auto took")
	} else if s.Mode != "launch" {
		t.Errorf("Status: got %+v, want launch", s)
	}
}

func newAddr(t *testing.T) onion.Addr {
	t.Helper()
	k, err := onion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	a, err := k.Addr(80)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A dial while Tor is offline ends with its context and says why.
func TestOfflineDialAndListenEndWithContext(t *testing.T) {
	needTor(t)
	runDirs(t)
	n, err := tor.Start(t.Context(), tor.Config{TorrcFragment: offline(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := n.Dial(ctx, newAddr(t), onion.NewLane()); !errors.Is(err, onion.ErrTorDown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Dial: got %v, want ErrTorDown and DeadlineExceeded", err)
	}
	key, _ := onion.GenerateKey()
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := n.Listen(ctx, onion.Service{Key: key, Ports: []uint16{1}}); !errors.Is(err, onion.ErrTorDown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Listen: got %v, want ErrTorDown and DeadlineExceeded", err)
	}
}

func TestLaunchFails(t *testing.T) {
	needTor(t)
	run := runDirs(t)
	bad := filepath.Join(t.TempDir(), "bad")
	os.WriteFile(bad, []byte("NoSuchOption 1\n"), 0o600)
	for _, tt := range []struct {
		name, want string
		cfg        tor.Config
	}{
		{"no program", "cannot be run", tor.Config{Executable: "/nonexistent/tor"}},
		{"not tor", "tor ended at once", tor.Config{Executable: "/bin/false"}},
		{"bad torrc", "NoSuchOption", tor.Config{TorrcFragment: bad}},
		{"no fragment", "additions to torrc", tor.Config{TorrcFragment: "/nonexistent"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tor.Start(t.Context(), tt.cfg)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Start: got %v, want %q", err, tt.want)
			}
			empty(t, run)
		})
	}
}

const crashEnv = "LAFS_TEST_TOR_CRASH"

// TestMain is also the process that TestKilled kills.
func TestMain(m *testing.M) {
	if data := os.Getenv(crashEnv); data != "" {
		crash(data)
	}
	code := m.Run()
	if private.net != nil {
		private.net.Close()
		os.RemoveAll(private.dir)
	}
	os.Exit(code)
}

func crash(data string) {
	m, err := tor.ParseMode("launch")
	if err == nil {
		_, err = tor.Start(context.Background(), tor.Config{Mode: m, DataDir: data, TorrcFragment: filepath.Join(filepath.Dir(data), "fragment")})
	}
	fmt.Println("started:", err)
	select {}
}

// Our tor dies with us even when we are killed, and the next start finds
// nothing in its way and removes what we left.
func TestKilled(t *testing.T) {
	needTor(t)
	run := runDirs(t)
	fragment := offline(t)
	data := filepath.Join(filepath.Dir(fragment), "tor")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), crashEnv+"="+data)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 64)
	k, err := out.Read(line)
	if err != nil || string(line[:k]) != "started: <nil>\n" {
		cmd.Process.Kill()
		t.Fatalf("child: %q, %v", line[:k], err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	until(t, "no tor left", func() bool { return len(torsOn(t, data)) == 0 })
	if sockets, _ := filepath.Glob(run + "/*/[cs]*"); len(sockets) != 0 {
		t.Errorf("left by tor: %v", sockets)
	}
	n, err := tor.Start(t.Context(), tor.Config{DataDir: data, TorrcFragment: fragment})
	if err != nil {
		t.Fatal("Start after a kill:", err)
	}
	if dirs, _ := filepath.Glob(run + "/*"); len(dirs) != 1 {
		t.Errorf("directories: %v, want only the new one", dirs)
	}
	n.Close()
	until(t, "no tor left", func() bool { return len(torsOn(t, data)) == 0 })
	empty(t, run)
}

// A logBook is a logger whose text a test reads.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *logBook) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }
func (l *logBook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// echo serves each stream by sending back what comes.
func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() { defer c.Close(); io.Copy(c, c) }()
	}
}

// ask sends a word through c and wants it back.
func ask(c net.Conn, word string) error {
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, word); err != nil {
		return err
	}
	got := make([]byte, len(word))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != word {
		return fmt.Errorf("got %q back, want %q", got, word)
	}
	return nil
}
