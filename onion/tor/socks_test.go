package tor_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lafs/onion"
	"lafs/onion/tor"
)

// A fakeSocks answers each CONNECT with the next of its replies, the last
// one for ever. An empty reply is silence.
type fakeSocks struct {
	path    string
	replies [][]byte
	early   int // bytes that must have come before a reply leaves

	mu     sync.Mutex
	firsts []string // what came before each reply
	users  []string // of the CONNECTs so far
	hosts  []string
	held   chan struct{} // one token for each CONNECT left without an answer
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "lf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func newSocks(t *testing.T, replies ...[]byte) *fakeSocks {
	t.Helper()
	f := &fakeSocks{path: filepath.Join(shortDir(t), "socks"), replies: replies, held: make(chan struct{}, 64)}
	l, err := net.Listen("unix", f.path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); f.serve(c) })
		}
	})
	return f
}

func (f *fakeSocks) serve(c net.Conn) {
	read := func(n int) []byte {
		b := make([]byte, n)
		if _, err := io.ReadFull(c, b); err != nil {
			return make([]byte, n)
		}
		return b
	}
	greeting := read(3)
	if !bytes.Equal(greeting, []byte{5, 1, 2}) {
		return
	}
	c.Write([]byte{5, 2})
	user := read(int(read(2)[1]))
	password := read(int(read(1)[0]))
	if len(password) == 0 {
		return // only a check that we are here
	}
	c.Write([]byte{1, 0})
	host := read(int(read(5)[4]))
	read(2)
	f.mu.Lock()
	reply := f.replies[min(len(f.users), len(f.replies)-1)]
	f.users, f.hosts = append(f.users, string(user)+":"+string(password)), append(f.hosts, string(host))
	f.mu.Unlock()
	first := read(f.early)
	f.mu.Lock()
	f.firsts = append(f.firsts, string(first))
	f.mu.Unlock()
	if len(reply) == 0 {
		f.held <- struct{}{}
		io.Copy(io.Discard, c)
		return
	}
	c.Write(reply)
	c.Write(first)
	io.Copy(c, c)
}

func (f *fakeSocks) connects() (users, hosts []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.users, f.hosts
}

func (f *fakeSocks) start(t *testing.T) *tor.Tor {
	t.Helper()
	n, err := tor.Start(t.Context(), tor.Config{Mode: mode(t, "socks=unix:"+f.path)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

var (
	okIPv4 = []byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 80}
	okIPv6 = append([]byte{5, 0, 0, 4}, make([]byte, 18)...)
	okName = []byte{5, 0, 0, 3, 3, 'a', 'b', 'c', 0, 80}
)

func refusal(code byte) []byte { return []byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0} }

// The reply's address is read by its type, and what follows it is the
// stream's.
func TestDialReadsReplyOfEachType(t *testing.T) {
	for name, reply := range map[string][]byte{"IPv4": okIPv4, "IPv6": okIPv6, "name": okName} {
		t.Run(name, func(t *testing.T) {
			f := newSocks(t, append(bytes.Clone(reply), "welcome"...))
			c, err := f.start(t).Dial(t.Context(), newAddr(t), onion.NewLane())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			got := make([]byte, 7)
			if _, err := io.ReadFull(c, got); err != nil || string(got) != "welcome" {
				t.Errorf("first bytes: got %q, %v", got, err)
			}
			if err := ask(c, "hello"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDialErrors(t *testing.T) {
	for _, tt := range []struct {
		name     string
		code     byte
		want     error
		attempts int
	}{
		{"general", 1, onion.ErrUnreachable, 3},
		{"rules", 2, onion.ErrUnreachable, 1},
		{"network", 3, onion.ErrUnreachable, 3},
		{"host", 4, onion.ErrNotFound, 2},
		{"refused", 5, onion.ErrRefused, 1},
		{"ttl", 6, onion.ErrUnreachable, 3},
		{"command", 7, onion.ErrUnreachable, 1},
		{"address type", 8, onion.ErrUnreachable, 1},
		{"not found", 0xF0, onion.ErrNotFound, 2},
		{"invalid descriptor", 0xF1, onion.ErrUnreachable, 1},
		{"introduction", 0xF2, onion.ErrUnreachable, 3},
		{"rendezvous", 0xF3, onion.ErrUnreachable, 3},
		{"missing client key", 0xF4, onion.ErrClientAuth, 1},
		{"wrong client key", 0xF5, onion.ErrClientAuth, 1},
		{"invalid address", 0xF6, onion.ErrBadAddr, 1},
		{"introduction timed out", 0xF7, onion.ErrUnreachable, 3},
		{"unknown", 0x99, onion.ErrUnreachable, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newSocks(t, refusal(tt.code))
			a := newAddr(t)
			_, err := f.start(t).Dial(t.Context(), a, onion.NewLane())
			if !errors.Is(err, tt.want) {
				t.Errorf("Dial: got %v, want %v", err, tt.want)
			}
			if strings.Contains(err.Error(), a.Host()[:10]) {
				t.Errorf("Dial: the error names the whole address: %v", err)
			}
			if users, _ := f.connects(); len(users) != tt.attempts {
				t.Errorf("attempts: got %d, want %d", len(users), tt.attempts)
			}
		})
	}
}

// What passes is tried again, on the same lane.
func TestDialTriesAgain(t *testing.T) {
	f := newSocks(t, refusal(0xF2), okIPv4)
	n := f.start(t)
	a := newAddr(t)
	c, err := n.Dial(t.Context(), a, onion.NewLane())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	users, hosts := f.connects()
	if len(users) != 2 || users[0] != users[1] {
		t.Errorf("credentials: got %v, want the same twice", users)
	}
	if hosts[0] != a.Host() {
		t.Errorf("host: got %s, want %s", hosts[0], a.Host())
	}
	if got := c.RemoteAddr().String(); got != a.Short() {
		t.Errorf("RemoteAddr: got %s, want %s", got, a.Short())
	}
}

// A dial that hangs gets another one beside it, on other circuits, and the
// one that answers wins.
func TestDialHedges(t *testing.T) {
	f := newSocks(t, nil, okIPv4)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	n := f.start(t)
	n.HedgeAfter(10 * time.Millisecond)
	begin := time.Now()
	c, err := n.Dial(t.Context(), newAddr(t), onion.NewLane())
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d > 30*time.Second {
		t.Errorf("Dial waited %v for the one that hung", d)
	}
	if users, _ := f.connects(); users[0] == users[1] {
		t.Error("both attempts asked for the same circuit")
	}
	if _, err := c.Write([]byte("echo")); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
		t.Errorf("the stream that won does not live: %v", err)
	}
	c.Close()
	n.Close()
}

// What is written early comes behind CONNECT and before its answer, and once
// more with each attempt; the rest follows in order.
func TestDialEarly(t *testing.T) {
	for _, tt := range []struct {
		name    string
		replies [][]byte
		hedge   bool
	}{
		{"at once", [][]byte{okIPv4}, false},
		{"again after a refusal", [][]byte{refusal(0xF2), okIPv4}, false},
		{"beside one that hangs", [][]byte{nil, okIPv4}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newSocks(t, tt.replies...)
			first, rest := "preface and question", strings.Repeat("what follows ", 20_000)
			f.early = len(first)
			n := f.start(t)
			if tt.hedge {
				n.HedgeAfter(10 * time.Millisecond)
			}
			e := onion.NewEarly()
			defer e.Close()
			if _, err := io.WriteString(e, first); err != nil {
				t.Fatal(err)
			}
			if err := n.DialEarly(t.Context(), newAddr(t), onion.NewLane(), e); err != nil {
				t.Fatal(err)
			}
			go io.WriteString(e, rest)
			got := make([]byte, len(first)+len(rest))
			if _, err := io.ReadFull(e, got); err != nil || string(got) != first+rest {
				t.Errorf("the echo: %v, or other bytes", err)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if len(f.firsts) != len(tt.replies) || f.firsts[0] != first || f.firsts[len(f.firsts)-1] != first {
				t.Errorf("before the answers: got %q", f.firsts)
			}
			if len(f.users) == 2 && (f.users[0] == f.users[1]) == tt.hedge {
				t.Error("an attempt beside another shares its circuit, or one after another does not")
			}
		})
	}
}

// A dial without an early byte, and one that is refused for good.
func TestDialEarlyEnds(t *testing.T) {
	f := newSocks(t, okIPv4, refusal(5), nil)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	n := f.start(t)
	e := onion.NewEarly()
	if err := n.DialEarly(t.Context(), newAddr(t), onion.NewLane(), e); err != nil {
		t.Error(err)
	} else if err := ask(e, "hello"); err != nil {
		t.Error(err)
	}
	e.Close()
	e = onion.NewEarly()
	io.WriteString(e, "hello")
	if err := n.DialEarly(t.Context(), newAddr(t), onion.NewLane(), e); !errors.Is(err, onion.ErrRefused) {
		t.Errorf("got %v, want %v", err, onion.ErrRefused)
	}
	e.Close()
	e = onion.NewEarly()
	io.WriteString(e, "hello")
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-f.held; cancel() }()
	if err := n.DialEarly(ctx, newAddr(t), onion.NewLane(), e); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	e.Close()
	n.Close()
}

// Each lane has credentials of its own, which another process would not
// have, and which do not contain the lane's name.
func TestLanesHaveCredentials(t *testing.T) {
	f := newSocks(t, okIPv4)
	n, other := f.start(t), f.start(t)
	one, two := onion.NewLane(), onion.NewLane()
	for _, d := range []struct {
		n    *tor.Tor
		lane onion.Lane
	}{{n, one}, {n, one}, {n, two}, {n, onion.Lane{}}, {other, one}} {
		c, err := d.n.Dial(t.Context(), newAddr(t), d.lane)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	users, _ := f.connects()
	if users[0] != users[1] {
		t.Error("one lane: two credentials")
	}
	seen := map[string]bool{}
	for _, u := range users[1:] {
		if seen[u] || len(u) < 40 {
			t.Errorf("credentials %q: shared by two lanes or two processes, or short", u)
		}
		seen[u] = true
	}
}

func TestDialEndsWithContext(t *testing.T) {
	f := newSocks(t, nil)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	n := f.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-f.held; cancel() }()
	begin := time.Now()
	_, err := n.Dial(ctx, newAddr(t), onion.NewLane())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Dial: got %v, want Canceled", err)
	}
	// Only a hang is an error here: the bound is that of a whole attempt.
	if d := time.Since(begin); d > 30*time.Second {
		t.Errorf("Dial returned after %v", d)
	}
	n.Close()
}

func TestDialRefusesWhatIsNotSocks(t *testing.T) {
	for _, reply := range []string{"HTTP/1.1 400 Bad Request\r\n", "\x05\x00\x00\x09", "\x04\x00\x00\x01"} {
		f := newSocks(t, []byte(reply))
		if _, err := f.start(t).Dial(t.Context(), newAddr(t), onion.NewLane()); err == nil {
			t.Errorf("Dial: no error for %q", reply)
		}
	}
}

func TestSocksOnlyPublishesNothing(t *testing.T) {
	n := newSocks(t, okIPv4).start(t)
	key, err := onion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	_, err = n.Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80}})
	if err == nil || !strings.Contains(err.Error(), "--tor launch") {
		t.Errorf("Listen: got %v, want what to do", err)
	}
	if s := n.Status(); s.Mode != "socks" || s.Bootstrap != -1 || !s.Ready() {
		t.Errorf("Status: got %+v", s)
	}
	if _, err := n.Dial(t.Context(), onion.Addr{}, onion.Lane{}); !errors.Is(err, onion.ErrBadAddr) {
		t.Errorf("Dial of no address: got %v", err)
	}
}

func TestStartRefusesWhatIsNotThere(t *testing.T) {
	for _, m := range []string{"socks=unix:/nonexistent/socks", "control=unix:/nonexistent/control"} {
		if _, err := tor.Start(t.Context(), tor.Config{Mode: mode(t, m)}); err == nil {
			t.Errorf("Start %s: no error", m)
		}
	}
}
