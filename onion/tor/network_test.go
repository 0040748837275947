package tor_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	bine "github.com/cretz/bine/control"

	"lafs/onion"
	"lafs/onion/tor"
	"lafs/onion/tornet"
)

// private is the Tor network that all tests of this run share.
var private struct {
	once sync.Once
	net  *tornet.Net
	dir  string
	err  error
}

func network(t *testing.T) *tornet.Net {
	t.Helper()
	needTor(t)
	private.once.Do(func() {
		if private.dir, private.err = os.MkdirTemp("/tmp", "ltn"); private.err != nil {
			return
		}
		private.net, private.err = tornet.Start(context.Background(), tornet.Config{Dir: filepath.Join(private.dir, "n")})
	})
	if private.err != nil {
		t.Fatal("private Tor network:", private.err)
	}
	return private.net
}

// within bounds a step of a test over Tor.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, cfg tor.Config) *tor.Tor {
	t.Helper()
	n, err := tor.Start(within(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error("Close:", err)
		}
	})
	return n
}

// own launches a tor of ours in the private network.
func own(t *testing.T, book *logBook) (n *tor.Tor, data string) {
	t.Helper()
	tn := network(t)
	run := runDirs(t)
	t.Cleanup(func() { empty(t, run) })
	data = filepath.Join(t.TempDir(), "tor")
	n = start(t, tor.Config{DataDir: data, SeedDir: tn.Seed(), TorrcFragment: tn.TorrcFragment(), Log: book.logger()})
	return n, data
}

func publish(t *testing.T, n *tor.Tor, key *onion.Key, ports ...uint16) []net.Listener {
	t.Helper()
	ls, err := n.Listen(within(t), onion.Service{Key: key, Ports: ports})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range ls {
		go echo(l)
	}
	return ls
}

func newKey(t *testing.T) *onion.Key {
	t.Helper()
	k, err := onion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func addr(t *testing.T, k *onion.Key, port uint16) onion.Addr {
	t.Helper()
	a, err := k.Addr(port)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func dial(t *testing.T, n *tor.Tor, a onion.Addr, lane onion.Lane) net.Conn {
	t.Helper()
	c, err := n.Dial(within(t), a, lane)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := ask(c, "hello"); err != nil {
		t.Fatal(err)
	}
	return c
}

// Our own tor publishes, another tor's client reads; tor is killed, and the
// service comes back at the same address without its owner doing anything.
func TestServiceSurvivesItsTor(t *testing.T) {
	book := &logBook{}
	n, data := own(t, book)
	client := start(t, tor.Config{Mode: mode(t, "socks="+network(t).Clients()[0].Socks), Log: book.logger()})
	key := newKey(t)
	publish(t, n, key, 80, 443)
	if s := n.Status(); !s.Ready() || s.Mode != "launch" {
		t.Errorf("Status: got %+v, want ready", s)
	}
	for _, port := range []uint16{80, 443} {
		dial(t, client, addr(t, key, port), onion.NewLane())
	}
	t.Run("a port that it has not", func(t *testing.T) {
		begin := time.Now()
		_, err := client.Dial(within(t), addr(t, key, 81), onion.NewLane())
		t.Log("refused port:", err, time.Since(begin))
		if !errors.Is(err, onion.ErrRefused) && !errors.Is(err, onion.ErrUnreachable) {
			t.Errorf("Dial: got %v, want ErrRefused or ErrUnreachable", err)
		}
	})
	for _, pid := range torsOn(t, data) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	until(t, "lost", func() bool { return !n.Status().Ready() })
	until(t, "back", func() bool { return n.Status().Ready() })
	begin := time.Now()
	until(t, "reachable again", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		c, err := client.Dial(ctx, addr(t, key, 80), onion.NewLane())
		if err != nil {
			t.Log(err)
			return false
		}
		defer c.Close()
		return ask(c, "again") == nil
	})
	t.Log("reachable after", time.Since(begin))
	dial(t, n, addr(t, key, 443), onion.NewLane())
	silent(t, book.String(), key)
}

// silent checks that a log has neither the key nor the whole address.
func silent(t *testing.T, log string, key *onion.Key) {
	t.Helper()
	host := addr(t, key, 1).Host()
	for _, secret := range []string{key.Marshal(), strings.TrimPrefix(key.Marshal(), "ED25519-V3:"), strings.TrimSuffix(host, ".onion")} {
		if strings.Contains(log, secret) {
			t.Error("the log holds the key or the whole address")
		}
	}
	if log == "" {
		t.Error("nothing was logged")
	}
}

func TestErrorsOfDial(t *testing.T) {
	book := &logBook{}
	n, _ := own(t, book)
	sock := start(t, tor.Config{Mode: mode(t, "socks="+network(t).Clients()[0].Socks), Log: book.logger()})
	dial := func(n *tor.Tor, a onion.Addr) error {
		begin := time.Now()
		c, err := n.Dial(within(t), a, onion.NewLane())
		if err == nil {
			c.Close()
		}
		t.Log(time.Since(begin).Round(time.Millisecond), err)
		return err
	}
	until(t, "ready", func() bool { return n.Status().Ready() })
	if err := dial(n, newAddr(t)); !errors.Is(err, onion.ErrNotFound) {
		t.Errorf("unknown onion: got %v, want ErrNotFound", err)
	}
	if err := dial(sock, newAddr(t)); !errors.Is(err, onion.ErrNotFound) {
		t.Errorf("unknown onion without extended errors: got %v, want ErrNotFound", err)
	}
	key := newKey(t)
	publish(t, n, key, 80)
	err := dial(sock, addr(t, key, 81))
	if !errors.Is(err, onion.ErrRefused) {
		t.Errorf("port not served: got %v, want ErrRefused", err)
	}
	err = dial(n, addr(t, key, 81))
	if !errors.Is(err, onion.ErrRefused) {
		t.Errorf("port not served: got %v, want ErrRefused", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := func() error { _, err := n.Dial(ctx, newAddr(t), onion.NewLane()); return err }(); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

// The bare control connection of a test.
func controlOf(t *testing.T, at string) *bine.Conn {
	t.Helper()
	c, err := net.Dial("unix", strings.TrimPrefix(at, "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	ctl := bine.NewConn(textproto.NewConn(c))
	t.Cleanup(func() { ctl.Close() })
	if err := ctl.Authenticate(""); err != nil {
		t.Fatal(err)
	}
	return ctl
}

func info(t *testing.T, c *bine.Conn, key string) string {
	t.Helper()
	kv, err := c.GetInfo(key)
	if err != nil || len(kv) == 0 {
		t.Fatal(key, err)
	}
	return kv[0].Val
}

// rendezvous returns the client circuits that stand at tor's rendezvous.
func rendezvous(t *testing.T, c *bine.Conn) []string {
	t.Helper()
	var ids []string
	for line := range strings.Lines(info(t, c, "circuit-status")) {
		if strings.Contains(line, "HS_STATE=HSCR_JOINED") {
			ids = append(ids, strings.Fields(line)[0])
		}
	}
	return ids
}

// One lane, one circuit; another lane, another circuit.
func TestLanesAreCircuits(t *testing.T) {
	book := &logBook{}
	at := network(t).Clients()[0]
	server := start(t, tor.Config{Mode: mode(t, "control="+network(t).Clients()[1].Control), Log: book.logger()})
	client := start(t, tor.Config{Mode: mode(t, "control="+at.Control)})
	key := newKey(t)
	publish(t, server, key, 80)
	a := addr(t, key, 80)
	ctl := controlOf(t, at.Control)
	before := rendezvous(t, ctl)
	fresh := func() int {
		k := 0
		for _, id := range rendezvous(t, ctl) {
			if !slices.Contains(before, id) {
				k++
			}
		}
		return k
	}
	one, two := onion.NewLane(), onion.NewLane()
	dial(t, client, a, one)
	dial(t, client, a, one)
	if n := fresh(); n != 1 {
		t.Errorf("two dials on one lane: got %d circuits, want 1", n)
	}
	dial(t, client, a, two)
	if n := fresh(); n != 2 {
		t.Errorf("a dial on a second lane: got %d circuits, want 2", n)
	}
	// The same holds where bytes leave with the dial, and the service gets
	// each once.
	for i, lane := range []onion.Lane{two, onion.NewLane()} {
		e := onion.NewEarly()
		t.Cleanup(func() { e.Close() })
		text := strings.Repeat("what is said before the service has answered ", 5000)
		go io.WriteString(e, text)
		if err := client.DialEarly(within(t), a, lane, e); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(e, got); err != nil || string(got) != text {
			t.Errorf("the echo of what went early: %v, or other bytes", err)
		}
		if n := fresh(); n != 2+i {
			t.Errorf("an early dial on lane %d: got %d circuits, want %d", 2+i, n, 2+i)
		}
	}
	silent(t, book.String(), key)
}

// The control connection breaks while tor lives on: the service is added
// again, at first against a collision with itself.
func TestControlConnectionLost(t *testing.T) {
	book := &logBook{}
	tn := network(t)
	wire := relay(t, strings.TrimPrefix(tn.Clients()[1].Control, "unix:"))
	server := start(t, tor.Config{Mode: mode(t, "control=unix:"+wire.path), Log: book.logger()})
	client := start(t, tor.Config{Mode: mode(t, "control="+tn.Clients()[0].Control)})
	key := newKey(t)
	ls := publish(t, server, key, 80)
	dial(t, client, addr(t, key, 80), onion.NewLane())
	wire.cut()
	until(t, "collision", func() bool { return strings.Contains(book.String(), "ollision") })
	wire.hangUp()
	until(t, "published again", func() bool {
		return strings.Count(book.String(), "onion service published") >= 2 && server.Status().Ready()
	})
	until(t, "reachable again", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		c, err := client.Dial(ctx, addr(t, key, 80), onion.NewLane())
		if err != nil {
			t.Log(err)
			return false
		}
		defer c.Close()
		return ask(c, "again") == nil
	})
	// Withdrawn with its last listener, it can be published again at once.
	if err := ls[0].Close(); err != nil {
		t.Error(err)
	}
	publish(t, server, key, 80)
	if strings.Contains(book.String(), "withdraw onion service") {
		t.Error("the service could not be withdrawn")
	}
	if _, err := server.Listen(within(t), onion.Service{Key: key, Ports: []uint16{80}}); err == nil {
		t.Error("Listen: the same service twice, and no error")
	}
	silent(t, book.String(), key)
}

// A wire is a unix socket whose connections are carried to another, until
// they are cut: then we see an end, and tor does not, until hangUp.
type wire struct {
	path string
	mu   sync.Mutex
	near []net.Conn
	far  []net.Conn
}

func relay(t *testing.T, to string) *wire {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "lw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &wire{path: filepath.Join(dir, "control")}
	l, err := net.Listen("unix", w.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); w.cut(); w.hangUp() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("unix", to)
			if err != nil {
				near.Close()
				continue
			}
			w.mu.Lock()
			w.near, w.far = append(w.near, near), append(w.far, far)
			w.mu.Unlock()
			go io.Copy(far, near)
			go func() { io.Copy(near, far); near.Close() }()
		}
	}()
	return w
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.near {
		c.Close()
	}
	w.near = nil
}

func (w *wire) hangUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.far {
		c.Close()
	}
	w.far = nil
}
