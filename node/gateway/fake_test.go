package gateway_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"lafs/node/gateway"
	"lafs/shares/caps"
	"lafs/shares/hashes"
)

// A fake is a Grid in memory. It notes what was asked of it.
type fake struct {
	mu       sync.Mutex
	files    map[string][]byte // by cap
	copied   int64             // bytes handed out
	opened   int
	uploadAs error         // what Upload fails with
	cutAfter int64         // if not 0, Copy fails after so many bytes
	copyAs   error         // with this
	steps    chan struct{} // if set, Upload reports progress at each
	during   func()        // what happens while Upload works
	spooled  int           // sources made
	closed   int           // sources closed
}

type source struct {
	data []byte
	f    *fake
}

func (s *source) Size() int64                  { return int64(len(s.data)) }
func (s *source) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(s.data)), nil }
func (s *source) Close() error {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.f.closed++
	return nil
}

func (f *fake) Spool(r io.Reader) (gateway.Source, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spooled++
	return &source{data, f}, nil
}

// capOf is a CHK cap that differs for each content.
func capOf(data []byte) *caps.CHK {
	sum := sha256.Sum256(data)
	return &caps.CHK{Key: caps.NewReadKey([16]byte(sum[:16])), UEBHash: hashes.Hash(sum), Needed: 3, Total: 10, Size: int64(len(data))}
}

func (f *fake) Upload(ctx context.Context, src gateway.Source, progress func(gateway.Progress)) (caps.Cap, error) {
	if f.steps != nil {
		if progress == nil {
			return nil, errors.New("no progress was asked for")
		}
		var n int64
		for range f.steps {
			n++
			progress(gateway.Progress{Phase: "sending", Done: n, Total: 10})
		}
	}
	if during := f.during; during != nil {
		f.during = nil
		during()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.uploadAs != nil {
		return nil, f.uploadAs
	}
	data := src.(*source).data
	c := capOf(data)
	f.files[c.Reveal()] = data
	return c, nil
}

func (f *fake) Open(_ context.Context, c caps.Cap) (gateway.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened++
	if lit, ok := c.(*caps.LIT); ok {
		return &file{f, lit.Data()}, nil
	}
	data, ok := f.files[c.Reveal()]
	if !ok {
		return nil, &gateway.Error{Status: http.StatusGone, Err: errors.New("found 1 good shares of 3")}
	}
	return &file{f, data}, nil
}

type file struct {
	f    *fake
	data []byte
}

func (f *file) Close() error { return nil }

func (f *file) Copy(_ context.Context, w io.Writer, offset, length int64) error {
	part := f.data[offset : offset+length]
	if n := f.f.cutAfter; f.f.copyAs != nil {
		if n > 0 {
			w.Write(part[:n])
		}
		return f.f.copyAs
	}
	n, err := w.Write(part)
	f.f.mu.Lock()
	defer f.f.mu.Unlock()
	f.f.copied += int64(n)
	return err
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

// A node is a gateway on a fake grid, and everything it logs.
type node struct {
	t    *testing.T
	grid *fake
	wire *wire
	rt   *http.Transport
	log  *logs
}

type logs struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const host = "127.0.0.1:3456"

func start(t *testing.T, change func(*gateway.Config)) *node {
	t.Helper()
	n := &node{t: t, grid: &fake{files: map[string][]byte{}}, log: new(logs)}
	cfg := gateway.Config{Grid: n.grid, Hosts: []string{host},
		Log: slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if change != nil {
		change(&cfg)
	}
	h, err := gateway.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.wire = &wire{conns: make(chan net.Conn), done: make(chan struct{})}
	n.rt = &http.Transport{DialContext: n.wire.dial, DisableCompression: true}
	srv := &http.Server{Handler: h}
	ended := make(chan struct{})
	go func() { defer close(ended); srv.Serve(n.wire) }()
	t.Cleanup(func() { n.rt.CloseIdleConnections(); srv.Close(); <-ended })
	return n
}

// begin sends one request and returns the answer with its body open. header
// is "Name: value" lines.
func (n *node) begin(method, target string, body io.Reader, header ...string) *http.Response {
	n.t.Helper()
	req, err := http.NewRequest(method, "http://"+host+target, body)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			req.Host = value
		} else {
			req.Header.Add(name, value)
		}
	}
	resp, err := n.rt.RoundTrip(req)
	if err != nil {
		n.t.Fatalf("%s: %v", method, err)
	}
	n.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// ask sends one request and reads the whole answer.
func (n *node) ask(method, target string, body io.Reader, header ...string) (*http.Response, string) {
	n.t.Helper()
	resp := n.begin(method, target, body, header...)
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatalf("%s: read answer: %v", method, err)
	}
	return resp, string(text)
}

// put stores data in the fake and returns where it is read.
func (n *node) put(data []byte) (path string) {
	c := capOf(data)
	n.grid.mu.Lock()
	defer n.grid.mu.Unlock()
	n.grid.files[c.Reveal()] = data
	return "/uri/" + c.Reveal()
}
