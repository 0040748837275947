package node_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lafs/node"
	"lafs/onion"
	"lafs/onion/local"
	"lafs/onion/oniontest"
)

// start runs a node until the test ends, and returns once it is ready. stop
// ends it and returns Run's error.
func start(t *testing.T, cfg *node.Config, nw *oniontest.Host) (n *node.Node, stop func() error) {
	t.Helper()
	return startAt(t, cfg, nw, nil)
}

// startAt is start with a clock.
func startAt(t *testing.T, cfg *node.Config, nw *oniontest.Host, now func() time.Time) (n *node.Node, stop func() error) {
	t.Helper()
	ready := make(chan struct{})
	n, err := node.New(cfg, node.Deps{Network: nw, NetworkStatus: nw.Status, Now: now, Ready: func() { close(ready) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stopped := false
	stop = func() error {
		cancel()
		if stopped {
			return nil
		}
		stopped = true
		return <-done
	}
	t.Cleanup(func() { stop() })
	select {
	case <-ready:
	case err := <-done:
		stopped = true
		t.Fatalf("Run: %v", err)
	}
	return n, stop
}

// create makes a node in a directory whose path is short enough for a socket.
func create(t *testing.T, o node.CreateOptions) *node.Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "lafs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if o.WebPort == "" && !o.Introducer {
		o.WebPort = "none"
	}
	cfg, err := node.Create(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func get(t *testing.T, rt http.RoundTripper, host, path string) (int, string) {
	t.Helper()
	resp, err := rt.RoundTrip(&http.Request{
		Method: "GET", URL: &url.URL{Scheme: "http", Host: host, Path: strings.TrimSuffix(path, "?t=json"), RawQuery: "t=json"},
		Host: host, Header: http.Header{},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestNewWantsANetwork(t *testing.T) {
	cfg := create(t, node.CreateOptions{})
	if _, err := node.New(cfg, node.Deps{}); !errors.Is(err, onion.ErrNoNetwork) {
		t.Errorf("New without a network: got %v, want ErrNoNetwork", err)
	}
}

func TestWebAPI(t *testing.T) {
	net := oniontest.New(oniontest.Options{})
	cfg := create(t, node.CreateOptions{WebPort: "tcp:0:interface=127.0.0.1"})
	_, stop := start(t, cfg, net.Host("client"))
	u, err := url.Parse(read(t, cfg.Dir.URLFile()))
	if err != nil || u.Hostname() != "127.0.0.1" || u.Port() == "0" {
		t.Fatalf("node.url: got %v, %v", u, err)
	}
	tcp, err := local.LoopbackClient(u.Host)
	if err != nil {
		t.Fatal(err)
	}
	if code, body := get(t, tcp, u.Host, "/"); code != 200 || !strings.Contains(body, `"servers":[]`) {
		t.Errorf("GET /?t=json: got %d, %q", code, body)
	}
	for _, host := range []string{"example.com", node.SocketHost, "127.0.0.1"} {
		if code, _ := get(t, tcp, host, "/"); code != 403 {
			t.Errorf("Host %s: got %d, want 403", host, code)
		}
	}
	// The port knows nothing of what only the owner's socket has.
	if code, _ := get(t, tcp, u.Host, node.StatusPath); code != 404 {
		t.Errorf("status over TCP: got %d, want 404", code)
	}
	socket := local.UnixClient(cfg.Dir.Socket())
	if code, body := get(t, socket, node.SocketHost, node.StatusPath); code != 200 || !strings.Contains(body, `"role":"client"`) {
		t.Errorf("status: got %d, %q", code, body)
	}
	if len(read(t, string(cfg.Dir), "private/api_auth_token")) != 44 {
		t.Error("api_auth_token has another shape than 32 bytes in base64")
	}
	checkModes(t, string(cfg.Dir))
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := os.Stat(cfg.Dir.Socket()); err == nil {
		t.Error("the socket is left behind")
	}
}

// A port that is taken ends the node, with the setting's name.
func TestWebPortInUse(t *testing.T) {
	l, err := local.ListenLoopback("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	net := oniontest.New(oniontest.Options{})
	cfg := create(t, node.CreateOptions{WebPort: l.Addr().String(), Storage: true})
	n, err := node.New(cfg, node.Deps{Network: net.Host("client")})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "[node] web.port") {
		t.Errorf("Run: got %v, want an error that names [node] web.port", err)
	}
}

// With the port off, the file of an earlier run does not send programs to
// whoever listens there now.
func TestWebPortOff(t *testing.T) {
	cfg := create(t, node.CreateOptions{})
	if err := os.WriteFile(cfg.Dir.URLFile(), []byte("http://127.0.0.1:3456/"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, cfg, oniontest.New(oniontest.Options{}).Host("client"))
	if _, err := os.Stat(cfg.Dir.URLFile()); err == nil {
		t.Error("node.url is still there")
	}
}

// A logSignal tells of the first line that says that a service is not served.
type logSignal chan struct{}

func (c logSignal) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "is not served") {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	return len(p), nil
}

// A server whose Tor is down at first is published when it comes up, and is
// ready only then. Its announcements count upwards over restarts, and
// nothing of it runs on after Run.
func TestPublishAgain(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	net := oniontest.New(oniontest.Options{})
	intro := create(t, node.CreateOptions{Introducer: true})
	_, stopIntro := start(t, intro, net.Host("intro"))
	cfg := create(t, node.CreateOptions{Storage: true, Introducers: []string{read(t, intro.Dir.IntroducerFURLFile())}})

	host := net.Host("server")
	host.Faults(oniontest.Faults{TorDown: true})
	ready := make(chan struct{})
	failed := make(logSignal, 1)
	n, err := node.New(cfg, node.Deps{Network: host, Log: slog.New(slog.NewTextHandler(failed, nil)), Ready: func() { close(ready) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	select {
	case <-ready:
		t.Error("the server is ready, and its Tor is down")
	case err := <-done:
		t.Fatalf("Run ended: %v", err)
	case <-failed:
	}
	if s := n.Status(); s.Storage == nil || s.Storage.Published || s.Ready {
		t.Errorf("Status: got %+v", s)
	}
	host.Faults(oniontest.Faults{})
	<-ready
	if s := n.Status(); !s.Storage.Published || !s.Ready {
		t.Errorf("Status after Tor came up: got %+v", s)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if got := read(t, string(cfg.Dir), "announcement-seqnum"); got != "1" {
		t.Errorf("announcement-seqnum: got %s, want 1", got)
	}
	cfg, err = node.Load(string(cfg.Dir))
	if err != nil {
		t.Fatal(err)
	}
	_, stop := start(t, cfg, host)
	// A node is ready when it knows servers, which may be before it has
	// announced itself again.
	for read(t, string(cfg.Dir), "announcement-seqnum") != "2" {
		if t.Context().Err() != nil {
			t.Fatal("the server did not announce itself after a restart")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := errors.Join(stop(), stopIntro()); err != nil {
		t.Error(err)
	}
	for _, c := range []*node.Config{cfg, intro} {
		if _, err := os.Stat(filepath.Join(string(c.Dir), "private/gateway.sock")); err == nil {
			t.Error("a socket is left behind")
		}
	}
	net.Close()
}
