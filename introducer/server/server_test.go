package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lafs/introducer"
	"lafs/introducer/server"
	"lafs/onion"
)

// A memory is a Store, with the two ways in which one fails.
type memory struct {
	mu        sync.Mutex
	state     []byte
	saves     int
	fail      bool // Save fails
	persisted bool // although the state was written
}

func (m *memory) Load() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.state), nil
}

func (m *memory) Save(state []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saves++
	if !m.fail || m.persisted {
		m.state = bytes.Clone(state)
	}
	if m.fail {
		return errors.New("no space left")
	}
	return nil
}

// A wire is a listener whose connections are pipes, and the way to it.
type wire struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.done:
		return nil, net.ErrClosed
	}
}
func (w *wire) Close() error   { w.once.Do(func() { close(w.done) }); return nil }
func (w *wire) Addr() net.Addr { return &net.UnixAddr{} }

func (w *wire) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case w.conns <- there:
		return here, nil
	case <-w.done:
		return nil, net.ErrClosed
	}
}

// An intro is a running introducer.
type intro struct {
	*server.Server
	store  *memory
	secret *introducer.Secret
	rt     *http.Transport
}

func start(t *testing.T, store *memory, change func(*server.Config)) *intro {
	t.Helper()
	in := &intro{store: store, secret: introducer.GenerateSecret()}
	cfg := server.Config{Store: store, PublishSecret: in.secret}
	if change != nil {
		change(&cfg)
	}
	var err error
	if in.Server, err = server.New(cfg); err != nil {
		t.Fatal(err)
	}
	w := &wire{conns: make(chan net.Conn), done: make(chan struct{})}
	in.rt = &http.Transport{DialContext: w.dial}
	srv := &http.Server{Handler: in.Handler()}
	ended := make(chan struct{})
	go func() { defer close(ended); srv.Serve(w) }()
	t.Cleanup(func() { in.rt.CloseIdleConnections(); srv.Close(); <-ended })
	return in
}

func (in *intro) post(t *testing.T, auth string, body []byte) (int, []byte) {
	t.Helper()
	req, err := http.NewRequest("POST", "http://lafs"+introducer.AnnouncePath, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", auth)
	resp, err := in.rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

func (in *intro) announce(t *testing.T, raw []byte) int {
	t.Helper()
	code, _ := in.post(t, in.secret.Authorization(), raw)
	return code
}

// subscribe opens the stream; lines gives one announcement at a time.
func (in *intro) subscribe(t *testing.T, auth string) (*http.Response, *bufio.Scanner) {
	t.Helper()
	req, err := http.NewRequest("GET", "http://lafs"+introducer.AnnouncementsPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", auth)
	resp, err := in.rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp, bufio.NewScanner(resp.Body)
}

func (in *intro) reader() string { return in.secret.Subscribing().Authorization() }

// A node is a storage server that announces.
type node struct {
	key   ed25519.PrivateKey
	place *onion.Key
}

func newNode(t *testing.T) *node {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	place, err := onion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return &node{key, place}
}

func (n *node) sign(t *testing.T, seqnum uint64) []byte {
	t.Helper()
	addr, err := n.place.Addr(80)
	if err != nil {
		t.Fatal(err)
	}
	sw, err := introducer.NewSwissnum("abcdefghijklmnopqrstuvwxyz234567")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := introducer.Sign(&introducer.Announcement{Seqnum: seqnum, Address: addr, Swissnum: sw,
		PermutationSeed: make([]byte, 20), Protocols: []int{1}}, n.key, n.place)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestAnnounce(t *testing.T) {
	in := start(t, new(memory), nil)
	n := newNode(t)
	if code := in.announce(t, n.sign(t, 5)); code != 204 {
		t.Fatalf("announce: got %d, want 204", code)
	}
	saves := in.store.saves
	if code := in.announce(t, n.sign(t, 5)); code != 204 || in.store.saves != saves {
		t.Errorf("a repeat: got %d and %d saves, want 204 and none", code, in.store.saves-saves)
	}
	code, newest := in.post(t, in.secret.Authorization(), n.sign(t, 4))
	if code != 409 || !bytes.Equal(newest, n.sign(t, 5)) {
		t.Errorf("stale: got %d %q, want 409 and the newest known", code, newest)
	}
	if code := in.announce(t, n.sign(t, 6)); code != 204 || in.Servers() != 1 {
		t.Errorf("newer: got %d and %d servers, want 204 and 1", code, in.Servers())
	}
	// After a restart the number is remembered.
	again := start(t, in.store, nil)
	if code := again.announce(t, n.sign(t, 5)); code != 409 {
		t.Errorf("stale after a restart: got %d, want 409", code)
	}
}

func TestAnnounceRefuses(t *testing.T) {
	in := start(t, new(memory), nil)
	good := newNode(t).sign(t, 1)
	publish := in.secret.Authorization()
	flipped := bytes.Clone(good)
	flipped[len(flipped)-10] ^= 1
	for _, tt := range []struct {
		name, auth string
		body       []byte
		want       int
	}{
		{"no secret", "", good, 401},
		{"subscriber's secret", in.reader(), good, 401},
		{"another's secret", introducer.GenerateSecret().Authorization(), good, 401},
		{"empty", publish, nil, 400},
		{"garbage", publish, []byte("hello"), 400},
		{"binding of another", publish, flipped, 400},
		{"with an ip", publish, bytes.Replace(good, []byte("tor:"), []byte("tcp:192.0.2.1:80,tor:"), 1), 400},
		{"huge", publish, make([]byte, introducer.MaxSize+1), 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, body := in.post(t, tt.auth, tt.body)
			if code != tt.want || in.Servers() != 0 || in.store.saves != 0 {
				t.Errorf("got %d, %d servers, %d saves, want %d and nothing kept", code, in.Servers(), in.store.saves, tt.want)
			}
			if string(body) != http.StatusText(tt.want)+"\n" {
				t.Errorf("answer: got %q, want a fixed text", body)
			}
		})
	}
}

func TestSubscribe(t *testing.T) {
	in := start(t, new(memory), nil)
	a, b := newNode(t), newNode(t)
	in.announce(t, a.sign(t, 1))
	resp, lines := in.subscribe(t, in.reader())
	if resp.StatusCode != 200 {
		t.Fatalf("subscribe: got %d, want 200", resp.StatusCode)
	}
	expect := func(want []byte) {
		t.Helper()
		if !lines.Scan() || !bytes.Equal(lines.Bytes(), want) {
			t.Fatalf("got %q, %v, want %q", lines.Text(), lines.Err(), want)
		}
	}
	expect(a.sign(t, 1))
	in.announce(t, b.sign(t, 3))
	expect(b.sign(t, 3))
	in.announce(t, a.sign(t, 2))
	expect(a.sign(t, 2))
}

func TestSubscribeRefuses(t *testing.T) {
	in := start(t, new(memory), func(c *server.Config) { c.MaxSubscribers = 1 })
	for _, auth := range []string{"", in.secret.Authorization(), introducer.GenerateSecret().Authorization()} {
		if resp, _ := in.subscribe(t, auth); resp.StatusCode != 401 {
			t.Errorf("another secret: got %d, want 401", resp.StatusCode)
		}
	}
	first, _ := in.subscribe(t, in.reader())
	if first.StatusCode != 200 {
		t.Fatalf("the first subscriber: got %d, want 200", first.StatusCode)
	}
	if second, _ := in.subscribe(t, in.reader()); second.StatusCode != 503 {
		t.Errorf("one too many: got %d, want 503", second.StatusCode)
	}
}

// Who finds all seats taken, by whoever sits down again and again, is told of
// all servers all the same, once.
func TestSubscribeWhenAllSeatsAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := start(t, new(memory), func(c *server.Config) { c.MaxSubscribers = 3 })
		a := newNode(t)
		in.announce(t, a.sign(t, 1))
		for range 3 {
			if resp, lines := in.subscribe(t, in.reader()); resp.StatusCode != 200 || !lines.Scan() {
				t.Fatalf("got %d, and no line", resp.StatusCode)
			}
		}
		for range 5 {
			resp, _ := in.subscribe(t, in.reader())
			got, err := io.ReadAll(resp.Body)
			if resp.StatusCode != 200 || err != nil || string(got) != string(a.sign(t, 1))+"\n" {
				t.Errorf("one too many: got %d, %d bytes, %v, want all and the end", resp.StatusCode, len(got), err)
			}
		}
	})
}

// The stream says nothing while nothing happens, and ends between 1 and 3
// hours.
func TestSubscribeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := start(t, new(memory), nil)
		began := time.Now()
		resp, _ := in.subscribe(t, in.reader())
		rest, err := io.ReadAll(resp.Body)
		if err != nil || len(rest) != 0 {
			t.Errorf("an idle stream: got %q, %v, want nothing and a clean end", rest, err)
		}
		if d := time.Since(began); d < introducer.StreamMin || d > introducer.StreamMax {
			t.Errorf("it ended after %v", d)
		}
	})
}

// A subscriber that reads nothing loses its place.
func TestSubscriberThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := start(t, new(memory), func(c *server.Config) { c.MaxSubscribers = 1 })
		for i := range 40 { // more than all buffers on the way hold
			in.announce(t, newNode(t).sign(t, uint64(i+1)))
		}
		in.subscribe(t, in.reader())
		time.Sleep(10 * time.Minute)
		if resp, _ := in.subscribe(t, in.reader()); resp.StatusCode != 200 {
			t.Errorf("ten minutes later its place is still taken: got %d", resp.StatusCode)
		}
	})
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := start(t, new(memory), nil)
		dead, alive := newNode(t), newNode(t)
		in.announce(t, dead.sign(t, 1))
		time.Sleep(20 * 24 * time.Hour)
		in.announce(t, alive.sign(t, 1))
		// A replay renews nothing.
		if code := in.announce(t, dead.sign(t, 1)); code != 204 {
			t.Fatalf("replay: got %d, want 204", code)
		}
		time.Sleep(11 * 24 * time.Hour)
		if in.Servers() != 1 {
			t.Errorf("after 31 days: got %d servers, want 1", in.Servers())
		}
		resp, lines := in.subscribe(t, in.reader())
		if !lines.Scan() || !bytes.Equal(lines.Bytes(), alive.sign(t, 1)) {
			t.Error("a subscriber is not sent the living server first")
		}
		resp.Body.Close()
		if code := in.announce(t, dead.sign(t, 2)); code != 204 || in.Servers() != 2 {
			t.Errorf("back again: got %d and %d servers, want 204 and 2", code, in.Servers())
		}
	})
}

func TestBoundedNumber(t *testing.T) {
	in := start(t, new(memory), func(c *server.Config) { c.MaxServers = 2 })
	a := newNode(t)
	for _, raw := range [][]byte{a.sign(t, 1), newNode(t).sign(t, 1)} {
		if code := in.announce(t, raw); code != 204 {
			t.Fatalf("announce: got %d, want 204", code)
		}
	}
	if code := in.announce(t, newNode(t).sign(t, 1)); code != 507 || in.Servers() != 2 {
		t.Errorf("one too many: got %d and %d servers, want 507 and 2", code, in.Servers())
	}
	if code := in.announce(t, a.sign(t, 2)); code != 204 {
		t.Errorf("renewal when full: got %d, want 204", code)
	}
}

// An answer without error is durable; when saving fails, the announcer is
// told, whether the state was written or not, and a repeat succeeds.
func TestSaveFails(t *testing.T) {
	for _, persisted := range []bool{false, true} {
		t.Run(fmt.Sprintf("persisted %v", persisted), func(t *testing.T) {
			in := start(t, &memory{fail: true, persisted: persisted}, nil)
			n := newNode(t)
			code, body := in.post(t, in.secret.Authorization(), n.sign(t, 1))
			if code != 500 || strings.Contains(string(body), "space") {
				t.Errorf("got %d %q, want 500 and a fixed text", code, body)
			}
			if in.Servers() != 0 {
				t.Error("what is not durable is shown")
			}
			in.store.mu.Lock()
			in.store.fail = false
			in.store.mu.Unlock()
			if code := in.announce(t, n.sign(t, 1)); code != 204 {
				t.Errorf("repeat: got %d, want 204", code)
			}
			if again := start(t, in.store, nil); again.Servers() != 1 {
				t.Error("after a restart the announcement is gone")
			}
		})
	}
}

func TestDamagedState(t *testing.T) {
	in := start(t, new(memory), nil)
	in.announce(t, newNode(t).sign(t, 1))
	in.announce(t, newNode(t).sign(t, 1))
	whole := bytes.Clone(in.store.state)
	for cut := range whole {
		s, err := server.New(server.Config{Store: &memory{state: whole[:cut]}, PublishSecret: in.secret})
		if err == nil && s.Servers() == 2 {
			t.Fatalf("cut at %d of %d, and nothing is missing", cut, len(whole))
		}
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-20] ^= 1
	s, err := server.New(server.Config{Store: &memory{state: flipped}, PublishSecret: in.secret})
	if err != nil || s.Servers() != 1 {
		t.Errorf("one damaged line: got %v, want the other server kept", err)
	}
	if _, err := server.New(server.Config{Store: &memory{state: []byte("lafs announcements 2\n")}, PublishSecret: in.secret}); err == nil {
		t.Error("a state of a newer format is read")
	}
}

func TestConfig(t *testing.T) {
	for _, cfg := range []server.Config{
		{}, {Store: new(memory)}, {PublishSecret: introducer.GenerateSecret()},
		{Store: new(memory), PublishSecret: introducer.GenerateSecret(), MaxServers: -1},
	} {
		if _, err := server.New(cfg); err == nil {
			t.Errorf("New(%+v): no error", cfg)
		}
	}
}
