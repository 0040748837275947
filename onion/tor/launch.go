package tor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

var errNoProgram = errors.New("the program tor was not found: install it (Debian, Ubuntu: apt install tor; " +
	"Fedora: dnf install tor; macOS: brew install tor), name it in tahoe.cfg, or use a Tor that runs already with --tor system")

// An ownTor is a tor that we launch, and launch again when it ends. It dies
// with us: it watches our process (__OwningControllerProcess) and ends with
// our control connection (TAKEOWNERSHIP), so even kill -9 leaves none.
type ownTor struct {
	t       *Tor
	program string
	data    string
	run     *runDir
	process *process     // the last one; nil before the first
	sockets atomic.Int64 // of services, made so far
}

func newOwnTor(t *Tor) (*ownTor, error) {
	program, err := findProgram(t.cfg.Executable, usualPrograms)
	if err != nil {
		return nil, err
	}
	run, err := newRunDir(runBase())
	if err != nil {
		return nil, err
	}
	o := &ownTor{t: t, program: program, run: run, data: t.cfg.DataDir}
	if o.data == "" {
		o.data = run.file("data")
	}
	if o.data, err = filepath.Abs(o.data); err == nil {
		err = prepareData(o.data, t.cfg.SeedDir)
	}
	if err != nil {
		return nil, errors.Join(err, run.remove())
	}
	return o, nil
}

// usualPrograms are where tor is on systems whose PATH may not say so.
var usualPrograms = []string{"/usr/sbin/tor", "/usr/local/bin/tor", "/opt/homebrew/bin/tor"}

func findProgram(named string, usual []string) (string, error) {
	if named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return "", fmt.Errorf("the tor program that was named cannot be run: %w", errors.Unwrap(err))
		}
		return filepath.Abs(path)
	}
	if path, err := exec.LookPath("tor"); err == nil {
		return path, nil
	}
	for _, path := range usual {
		if _, err := exec.LookPath(path); err == nil {
			return path, nil
		}
	}
	return "", errNoProgram
}

// seedFiles are Tor's cached view of its network.
var seedFiles = []string{"cached-microdesc-consensus", "cached-certs", "cached-microdescs", "cached-microdescs.new"}

// prepareData makes the data directory and seeds it if it has no view of the
// network yet.
func prepareData(dir, seed string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make Tor's data directory: %w", errors.Unwrap(err))
	}
	if seed == "" || exists(filepath.Join(dir, seedFiles[0])) {
		return nil
	}
	for _, name := range seedFiles {
		text, err := os.ReadFile(filepath.Join(seed, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			return fmt.Errorf("seed Tor's data directory: %w", errors.Unwrap(err))
		}
	}
	return nil
}

func (o *ownTor) mode() string        { return "launch" }
func (o *ownTor) publishes() bool     { return true }
func (o *ownTor) socksOnly() endpoint { return endpoint{} }

// target is a unix socket in the private directory, which our tor can see.
func (o *ownTor) target(int) (net.Listener, error) {
	l, err := net.Listen("unix", o.run.file("service-"+strconv.FormatInt(o.sockets.Add(1), 10)))
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(l.Addr().String(), 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

const (
	// startTimeout bounds the time from exec to an open control port: under
	// a second, but for a machine that swaps.
	startTimeout = 45 * time.Second
	startPoll    = 20 * time.Millisecond
	// lockTimeout is more than the 15 s within which the tor of a process
	// that was killed notices.
	lockTimeout = 20 * time.Second
)

// open launches tor and takes it over.
func (o *ownTor) open(ctx context.Context) (*session, error) {
	if o.process != nil {
		o.process.stop()
	}
	if err := o.awaitLock(ctx); err != nil {
		return nil, err
	}
	for _, name := range []string{"control", "socks", cookieNames[0]} {
		os.Remove(o.run.file(name))
	}
	torrc, err := o.torrc()
	if err != nil {
		return nil, err
	}
	if o.process, err = startProcess(o.program, torrc, o.t.log); err != nil {
		return nil, err
	}
	s, err := o.takeOver(ctx)
	if err != nil {
		o.process.stop()
		return nil, err
	}
	// It is connecting meanwhile, so that this takes no time.
	s.work = workOf(ctx, o.program)
	return s, nil
}

func (o *ownTor) takeOver(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errors.New("tor did not open its control port in time"))
	defer cancel()
	for !exists(o.run.file(cookieNames[0])) || !exists(o.run.file("control")) {
		select {
		case <-o.process.exited:
			return nil, o.process.failure()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(startPoll):
		}
	}
	at := endpoint{network: "unix", addr: o.run.file("control")}
	s, err := openSession(ctx, at, false, nil)
	if err != nil {
		return nil, fmt.Errorf("take over our own tor: %w", err)
	}
	if _, err := s.request("TAKEOWNERSHIP"); err != nil {
		s.close()
		return nil, fmt.Errorf("take over our own tor: %w", err)
	}
	return s, nil
}

var errInUse = errors.New("another tor runs on our data directory: does this node run already?")

// awaitLock waits until no other tor runs on our data directory.
func (o *ownTor) awaitLock(ctx context.Context) error {
	lock, err := os.OpenFile(filepath.Join(o.data, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open the lock of Tor's data directory: %w", errors.Unwrap(err))
	}
	defer lock.Close()
	deadline := time.Now().Add(lockTimeout)
	for syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		if time.Now().After(deadline) {
			return errInUse
		}
		if !sleep(ctx, 5*startPoll) {
			return fmt.Errorf("%w: %w", errInUse, ctx.Err())
		}
	}
	return nil
}

// torrc is tor's configuration. It reaches tor by its standard input, so
// that no file of it stays behind.
func (o *ownTor) torrc() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "DataDirectory %s\n", quote(o.data))
	fmt.Fprintf(&b, "ControlSocket %s\n", quote(o.run.file("control")))
	fmt.Fprintf(&b, "CookieAuthentication 1\nCookieAuthFile %s\n", quote(o.run.file(cookieNames[0])))
	// OnionTrafficOnly: this tor would not reach anything but onions even
	// if asked.
	fmt.Fprintf(&b, "SocksPort unix:%s ExtendedErrors OnionTrafficOnly\n", quote(o.run.file("socks")))
	fmt.Fprintf(&b, "__OwningControllerProcess %d\n", os.Getpid())
	b.WriteString("ClientOnly 1\nAvoidDiskWrites 1\nSafeLogging 1\nShutdownWaitLength 0\n" +
		"DormantCanceledByStartup 1\nLog notice stdout\n")
	if o.t.cfg.TorrcFragment != "" {
		fragment, err := os.ReadFile(o.t.cfg.TorrcFragment)
		if err != nil {
			return nil, fmt.Errorf("read the additions to torrc: %w", errors.Unwrap(err))
		}
		b.Write(fragment)
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}

// quote writes a path as torrc wants it.
func quote(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`).Replace(path) + `"`
}

func (o *ownTor) close() error {
	if o.process != nil {
		o.process.stop()
	}
	return o.run.remove()
}
