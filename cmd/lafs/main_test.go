package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"lafs/node"
	"lafs/onion"
	"lafs/onion/oniontest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"lafs":  main,
		"crash": crash,
	})
}

// crash panics in a goroutine with a secret among its arguments.
func crash() {
	stderr := harden()
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
		fmt.Fprintln(stderr, err)
	}
	fmt.Fprintf(stderr, "before the crash, with core files of %d bytes\n", core.Cur)
	done := make(chan bool)
	go func() { explode([4]uint64{0x5ec2e75ec2e75ec2, 2, 3, 4}) }()
	<-done
}

//go:noinline
func explode(secret [4]uint64) {
	if secret[0] != 0 {
		panic("crashing as told")
	}
}

// TestScripts runs the command as a process of its own against nodes that
// run in this process, on a network in memory.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			net := oniontest.New(oniontest.Options{Seed: 1})
			g := &testGrid{net: net, nodes: map[string]*testNode{}}
			e.Defer(g.stopAll)
			e.Values[gridKey{}] = g
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"node":     cmdNode,
			"modes":    cmdModes,
			"damage":   cmdDamage,
			"random":   cmdRandom,
			"nosecret": cmdNoSecret,
			"absent":   cmdAbsent,
			"flip":     cmdFlip,
			"mkgrid":   cmdMkgrid,
			"servers":  cmdServers,
			"slow":     cmdSlow,
			"stall":    cmdStall,
			"waitfor":  cmdWaitFor,
			"fake":     cmdFake,
			"changes":  cmdChanges,
			"plant":    cmdPlant,
			"hold":     cmdHold,
			"held":     cmdHeld,
			"files":    cmdFiles,
			"rsakey":   cmdRSAKey,
		},
	})
}

type gridKey struct{}

// A testGrid is the nodes of one script.
type testGrid struct {
	net   *oniontest.Net
	mu    sync.Mutex
	nodes map[string]*testNode // guarded by mu; by directory
	log   syncBuffer           // of all nodes, at debug level
	fake  *fakeGrid            // in place of a node, where the script wants one
}

type testNode struct {
	cancel context.CancelFunc
	done   chan error
}

// cmdNode is `node start DIR...` and `node stop DIR...`.
func cmdNode(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: node start|stop DIR...")
	}
	g := ts.Value(gridKey{}).(*testGrid)
	for _, dir := range args[1:] {
		var err error
		switch args[0] {
		case "start":
			err = g.start(ts.MkAbs(dir))
		case "stop":
			err = g.stop(ts.MkAbs(dir))
		}
		if (err != nil) != neg {
			ts.Fatalf("node %s %s: %v", args[0], dir, err)
		}
	}
}

// start runs `lafs run` on the network in memory, and returns when it says
// that it is running.
func (g *testGrid) start(dir string, args ...string) error {
	n, err := g.launch(dir, strings.NewReader(""), args...)
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.nodes[dir] = n
	g.mu.Unlock()
	return nil
}

func (g *testGrid) launch(dir string, stdin io.Reader, args ...string) (*testNode, error) {
	ctx, cancel := context.WithCancel(context.Background())
	out, stdout := io.Pipe()
	n := &testNode{cancel: cancel, done: make(chan error, 1)}
	e := env{
		stdin:  stdin,
		stdout: stdout,
		stderr: &g.log,
		network: func(context.Context, node.TorConfig, string, *slog.Logger, func(onion.Status)) (network, error) {
			return memory{g.net.Host(filepath.Base(dir))}, nil
		},
		signals: func() (context.Context, context.CancelFunc) { return ctx, cancel },
	}
	go func() {
		var err error
		if status := run(append([]string{"-d", dir, "run", "--log-level", "debug"}, args...), e); status != exitGood {
			err = fmt.Errorf("exit status %d", status)
		}
		stdout.Close()
		n.done <- err
	}()
	line := make([]byte, 64)
	got, err := out.Read(line)
	if err != nil || !strings.HasSuffix(string(line[:got]), " running\n") {
		cancel()
		return nil, errors.Join(<-n.done, fmt.Errorf("it printed %q: %w; the log:\n%s", line[:got], err, g.log.String()))
	}
	return n, nil
}

func (g *testGrid) stop(dir string) error {
	g.mu.Lock()
	n := g.nodes[dir]
	delete(g.nodes, dir)
	g.mu.Unlock()
	if n == nil {
		return errors.New("it is not running")
	}
	n.cancel()
	return <-n.done
}

func (g *testGrid) stopAll() {
	for dir := range g.nodes {
		g.stop(dir)
	}
}

// memory is a host of the network in memory as a network of the command.
type memory struct{ *oniontest.Host }

func (memory) Close() error { return nil }

// cmdModes is `modes DIR`: every directory has mode 0700, every file and
// socket 0600.
func cmdModes(ts *testscript.TestScript, _ bool, args []string) {
	err := filepath.WalkDir(ts.MkAbs(args[0]), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := e.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		if st.Mode().Perm() != want {
			ts.Fatalf("%s has mode %o, want %o", path, st.Mode().Perm(), want)
		}
		return nil
	})
	ts.Check(err)
}

// cmdRandom is `random FILE BYTES SEED`: it writes a file that does not
// compress and is the same every time.
func cmdRandom(ts *testscript.TestScript, _ bool, args []string) {
	var n, seed uint64
	fmt.Sscan(args[1], &n)
	fmt.Sscan(args[2], &seed)
	b := make([]byte, n)
	x := seed*2862933555777941757 + 3037000493
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x >> 32)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}

// cmdDamage is `damage DIR`: it flips a byte in the middle of every share.
func cmdDamage(ts *testscript.TestScript, _ bool, args []string) {
	count := 0
	err := filepath.WalkDir(filepath.Join(ts.MkAbs(args[0]), "storage", "shares"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b[len(b)/2] ^= 0x40
		count++
		return os.WriteFile(path, b, 0o600)
	})
	ts.Check(err)
	if count == 0 {
		ts.Fatalf("%s holds no share", args[0])
	}
}

// cmdFlip is `flip FILE`: one bit in the middle of it.
func cmdFlip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	b[len(b)/2] ^= 1
	ts.Check(os.WriteFile(path, b, 0o600))
}

// cmdSlow is `slow BYTES HOST...`: what these hosts carry from now on, in
// bytes a second.
func cmdSlow(ts *testscript.TestScript, _ bool, args []string) {
	var f oniontest.Faults
	if _, err := fmt.Sscan(args[0], &f.Bandwidth); err != nil {
		ts.Fatalf("%v", err)
	}
	for _, host := range args[1:] {
		ts.Value(gridKey{}).(*testGrid).net.Host(host).Faults(f)
	}
}

// cmdStall is `stall HOST...`: these hosts send nothing until the next slow.
func cmdStall(ts *testscript.TestScript, _ bool, args []string) {
	for _, host := range args {
		ts.Value(gridKey{}).(*testGrid).net.Host(host).Faults(oniontest.Faults{StallOut: true})
	}
}

// cmdWaitFor is `waitfor GLOB [BYTES]`: it waits for a file that matches and
// has at least so many bytes on the disk; else, one that is not empty.
func cmdWaitFor(ts *testscript.TestScript, _ bool, args []string) {
	var want int64
	if len(args) > 1 {
		_, err := fmt.Sscan(args[1], &want)
		ts.Check(err)
	}
	for range 400 {
		found, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		for _, path := range found {
			st, err := os.Stat(path)
			if err != nil || st.Size() == 0 {
				continue
			}
			// What an upload has not written yet takes nothing of the disk.
			if disk, ok := st.Sys().(*syscall.Stat_t); ok && disk.Blocks*512 >= want {
				return
			}
		}
		time.Sleep(25 * time.Millisecond)
	}
	ts.Fatalf("no %s came", args[0])
}

// cmdAbsent is `absent GLOB`: no file matches.
func cmdAbsent(ts *testscript.TestScript, _ bool, args []string) {
	found, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(found) > 0 {
		ts.Fatalf("there is %s", found[0])
	}
}

// cmdMkgrid is `mkgrid DIR...`: it makes a storage server of each directory
// that begins with s and a client of the others, all 2 of 3 on three servers
// and with the introducer in intro.
func cmdMkgrid(ts *testscript.TestScript, _ bool, args []string) {
	for _, dir := range args {
		kind, furl := "create-client", "subscriber.furl"
		if strings.HasPrefix(dir, "s") {
			kind, furl = "create-node", "introducer.furl"
		}
		furl = strings.TrimSpace(ts.ReadFile(filepath.Join("intro", "private", furl)))
		ts.Check(ts.Exec("lafs", "-q", "-d", dir, kind, "--introducer", furl, "--webport", "none",
			"--shares-needed", "2", "--shares-happy", "3", "--shares-total", "3"))
	}
}

// cmdServers is `servers DIR N`: it waits until the node knows N servers.
func cmdServers(ts *testscript.TestScript, _ bool, args []string) {
	g := ts.Value(gridKey{}).(*testGrid)
	want := fmt.Sprintf("servers %s known", args[1])
	for range 600 {
		var out, errs bytes.Buffer
		e := env{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, signals: func() (context.Context, context.CancelFunc) {
			return context.WithCancel(context.Background())
		}}
		if run([]string{"-d", ts.MkAbs(args[0]), "status"}, e) != exitGood {
			ts.Fatalf("status: %s", errs.String())
		}
		if strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s never came to know %s servers; the log:\n%s", args[0], args[1], g.log.String())
}

// syncBuffer is a buffer for many writers.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
