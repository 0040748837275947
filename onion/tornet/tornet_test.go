package tornet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lafs/onion/tornet"
)

const supervise = "supervise"

// TestMain doubles as the supervisor that Up starts.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == supervise {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if err := tornet.Supervise(ctx, os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func needTor(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts real tors: not in short mode")
	}
	if _, err := exec.LookPath("tor"); err != nil {
		t.Skip("tor is not installed")
	}
}

// shortDir is a directory whose sockets fit, whatever the test's name is.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tornet")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestStart(t *testing.T) {
	needTor(t)
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := filepath.Join(shortDir(t), "net")
	began := time.Now()
	n, err := tornet.Start(ctx, tornet.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	t.Logf("no delay: ready after %.1f s", time.Since(began).Seconds())

	r, err := tornet.ReadRecord(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Ready || len(r.Clients) != tornet.DefaultClients || len(r.Tors) != 1+tornet.Relays+tornet.DefaultClients {
		t.Errorf("net.json: got %+v", r)
	}
	if err := tornet.Down(ctx, dir); err == nil || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("Down of a network with a live owner: got %v, want an error that names process %d", err, os.Getpid())
	}

	clients := n.Clients()
	host := publish(t, clients[0])
	visit(t, clients[1], host)

	added, err := n.AddClient(ctx)
	if err != nil {
		t.Fatal(err)
	}
	visit(t, added, host)
	if err := n.KillClient(added); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("unix", strings.TrimPrefix(added.Control, "unix:")); err == nil {
		c.Close()
		t.Error("a killed client still answers")
	}
	if err := n.KillClient(added); !errors.Is(err, tornet.ErrNoClient) {
		t.Errorf("KillClient again: got %v, want ErrNoClient", err)
	}
	if err := n.RestartClient(ctx, added); err != nil {
		t.Fatal(err)
	}
	visit(t, added, host)

	if r, err = tornet.ReadRecord(dir); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	wantNothing(t, dir, r)
	if _, err := n.AddClient(ctx); err == nil {
		t.Error("AddClient after Close: got no error")
	}
}

// A tor with nothing but the fragment joins the network.
func TestFragment(t *testing.T) {
	needTor(t)
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	base := shortDir(t)
	n, err := tornet.Start(ctx, tornet.Config{Dir: filepath.Join(base, "net"), Clients: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	for _, seeded := range []bool{true, false} {
		own := filepath.Join(base, fmt.Sprint(seeded))
		if err := os.Mkdir(own, 0o700); err != nil {
			t.Fatal(err)
		}
		if seeded {
			if err := os.CopyFS(own, os.DirFS(n.Seed())); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		visit(t, ownTor(t, own, n.TorrcFragment()), publish(t, n.Clients()[0]))
		t.Logf("seeded %v: joined and reached a new service after %.1f s", seeded, time.Since(began).Seconds())
	}
}

// ownTor starts a tor of the test's own from a fragment and waits for it.
func ownTor(t *testing.T, dir, fragment string) tornet.ClientTor {
	t.Helper()
	rc, err := os.ReadFile(fragment)
	if err != nil {
		t.Fatal(err)
	}
	tor := tornet.ClientTor{Control: "unix:" + dir + "/control", Socks: "unix:" + dir + "/socks"}
	rc = fmt.Appendf(rc, "DataDirectory %s\nControlSocket %s/control\nSocksPort %s\n", dir, dir, tor.Socks)
	if err := os.WriteFile(dir+"/torrc", rc, 0o600); err != nil {
		t.Fatal(err)
	}
	startTor(t, "-f", dir+"/torrc", "--quiet")
	poll(t, "bootstrap of a tor that has only the fragment", func() bool {
		c, err := net.Dial("unix", dir+"/control")
		if err != nil {
			return false
		}
		defer c.Close()
		fmt.Fprintf(c, "AUTHENTICATE\r\nGETINFO status/bootstrap-phase\r\nQUIT\r\n")
		b, _ := io.ReadAll(c)
		return strings.Contains(string(b), "PROGRESS=100")
	})
	return tor
}

// startTor starts a tor that the test kills in the end.
func startTor(t *testing.T, args ...string) *os.Process {
	t.Helper()
	cmd := exec.Command("tor", args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd.Process
}

// poll asks for what only another process brings about.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: waited for a minute", what)
		}
	}
}

func wantNothing(t *testing.T, dir string, r *tornet.Record) {
	t.Helper()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory after the end: got %v, want it gone", err)
	}
	for _, p := range r.Tors {
		if running(p.PID) {
			t.Errorf("%s (process %d) still runs", p.Name, p.PID)
		}
	}
}

// running says whether pid is more than the unreaped rest of a process.
func running(pid int) bool {
	out, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && !strings.HasPrefix(strings.TrimSpace(string(out)), "Z")
}

// publish adds an onion service at tor that greets on port 80, and returns
// its host once it has been uploaded.
func publish(t *testing.T, tor tornet.ClientTor) string {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(shortDir(t), "s"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, "hello")
			c.Close()
		}
	}()
	conn, err := textproto.Dial("unix", strings.TrimPrefix(tor.Control, "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var id string
	for _, cmd := range []string{"AUTHENTICATE", "SETEVENTS HS_DESC", "ADD_ONION NEW:ED25519-V3 Flags=DiscardPK Port=80,unix:" + l.Addr().String()} {
		if err := conn.PrintfLine("%s", cmd); err != nil {
			t.Fatal(err)
		}
		_, msg, err := conn.ReadResponse(250)
		if err != nil {
			t.Fatalf("%.10s: %v", cmd, err)
		}
		if _, after, ok := strings.Cut(msg, "ServiceID="); ok {
			id, _, _ = strings.Cut(after, "\n")
		}
	}
	for {
		line, err := conn.ReadLine()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, "HS_DESC UPLOADED") {
			return id + ".onion"
		}
	}
}

// visit reads the greeting of host through tor's SOCKS port. It tries again
// while not every directory has the service's descriptor.
func visit(t *testing.T, tor tornet.ClientTor, host string) {
	t.Helper()
	poll(t, "reach "+host[:8], func() bool {
		c, err := net.Dial("unix", strings.TrimPrefix(tor.Socks, "unix:"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Minute))
		fmt.Fprintf(c, "\x05\x01\x00\x05\x01\x00\x03%c%s\x00\x50", len(host), host)
		answer := make([]byte, 2+4) // choice of method, then version, reply, reserved, kind of address
		if _, err := io.ReadFull(c, answer); err != nil {
			t.Fatal(err)
		}
		if answer[3] == 0xf0 { // no descriptor found
			return false
		}
		if answer[3] != 0 {
			t.Fatalf("SOCKS: got % x, want success", answer)
		}
		b, err := io.ReadAll(c)
		if !strings.HasSuffix(string(b), "hello\n") {
			t.Fatalf("greeting: got %q, %v", b, err)
		}
		return true
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	base := shortDir(t)
	file := filepath.Join(base, "full", "file")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fake := filepath.Join(base, "tor")
	if err := os.WriteFile(fake, []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		cfg  tornet.Config
		want string
	}{
		{"no directory", tornet.Config{}, "no directory"},
		{"a long path", tornet.Config{Dir: "/tmp/" + strings.Repeat("x", 90)}, "too long"},
		{"a path that tor cannot quote", tornet.Config{Dir: "/tmp/a b"}, "blank"},
		{"a directory in use", tornet.Config{Dir: filepath.Dir(file)}, "not empty"},
		{"clients without number", tornet.Config{Dir: base + "/n", Clients: -1}, "-1 client tors"},
		{"a delay beyond use", tornet.Config{Dir: base + "/n", Delay: time.Minute}, "delay"},
		{"an ephemeral port", tornet.Config{Dir: base + "/n", Port: 40000}, "first port"},
		{"no tor", tornet.Config{Dir: base + "/n", Executable: base + "/nothing"}, "nothing"},
		{"a tor that ends at once", tornet.Config{Dir: base + "/n", Executable: fake}, "ended before it wrote a log"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.cfg.Executable == "" {
				tt.cfg.Executable = fake
			}
			n, err := tornet.Start(t.Context(), tt.cfg)
			if err == nil {
				n.Close()
				t.Fatal("Start: got no error")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Start: got %q, want an error with %q", err, tt.want)
			}
		})
	}
	if _, err := os.Stat(base + "/n"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory after refusals: got %v, want it gone", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("a file that is not the network's: %v", err)
	}
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(shortDir(t), "net")
	var l net.Listener
	port := 20000
	for ; l == nil; port++ {
		l, _ = net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	}
	defer l.Close()
	port-- // the one taken
	_, err := tornet.Start(t.Context(), tornet.Config{Dir: dir, Port: port - 3, Executable: "/bin/false"})
	if err == nil || !strings.Contains(err.Error(), "in use by another program") {
		t.Errorf("Start on a taken port: got %v, want an error that says so", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory after a refusal: got %v, want it gone", err)
	}
}
