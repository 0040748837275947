package door_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"lafs/onion"
	"lafs/onion/door"
	"lafs/onion/mux"
	"lafs/onion/oniontest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A world is a server with a door, and a client's host.
type world struct {
	*testing.T
	net    *oniontest.Net
	server *oniontest.Host
	client *oniontest.Host
	id     *door.Identity
	addr   onion.Addr
	pool   *door.Pool
	stop   func()
}

func serve(t *testing.T, h http.HandlerFunc, opts oniontest.Options, cfg door.ServerConfig) *world {
	t.Helper()
	w := &world{T: t, net: oniontest.New(opts), id: generate(t)}
	w.server, w.client = w.net.Host("server"), w.net.Host("client")
	key, err := onion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if w.addr, err = key.Addr(443); err != nil {
		t.Fatal(err)
	}
	ls, err := w.server.Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{443}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- door.Serve(ctx, ls[0], w.id, h, cfg) }()
	if w.pool, err = door.NewPool(w.client); err != nil {
		t.Fatal(err)
	}
	stopped := false
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: got %v, want nil when told to end", err)
		}
	}
	t.Cleanup(func() {
		w.pool.Close()
		w.stop()
		w.net.Close()
	})
	return w
}

func (w *world) peer() *door.Peer { return w.pool.Peer(w.addr, w.id.Pin()) }

// dial opens a connection as a Tahoe-LAFS client would, below HTTP.
func (w *world) dial(cfg *tls.Config) *tls.Conn {
	w.Helper()
	raw, err := w.client.Dial(w.Context(), w.addr, onion.NewLane())
	if err != nil {
		w.Fatal(err)
	}
	cfg.InsecureSkipVerify = true
	c := tls.Client(raw, cfg)
	w.Cleanup(func() { raw.Close() })
	return c
}

func request(ctx context.Context, method, path string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(ctx, method, "http://lafs"+path, body)
	if err != nil {
		panic(err)
	}
	return r
}

func do(t *testing.T, p *door.Peer, class mux.Class, r *http.Request) (int, string, error) {
	t.Helper()
	resp, err := p.RoundTripper(class).RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/cbor")
	w.Header().Set("X-Secret", "no")
	b, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Write(b)
}

func TestExchange(t *testing.T) {
	w := serve(t, echo, oniontest.Options{}, door.ServerConfig{})
	p := w.peer()
	body := strings.Repeat("x", 300_000)
	for _, class := range []mux.Class{mux.Small, mux.Bulk} {
		if status, got, err := do(t, p, class, request(t.Context(), "PUT", "/a", strings.NewReader(body))); err != nil || status != 200 || got != body {
			t.Errorf("PUT on %v: got %d, %d bytes, %v", class, status, len(got), err)
		}
	}
	if st := p.Status(); !st.Connected || st.Lanes != 2 || st.LastError != "" || st.LastUsed.IsZero() {
		t.Errorf("Status: got %+v", st)
	}
	// Bulk and small go on circuits of their own.
	if lanes := w.client.Lanes(); len(lanes) != 2 {
		t.Errorf("got %d lanes, want 2", len(lanes))
	}
}

// TestAnswerBytes: a client sees the headers of the list and no others, no
// date, no name, and connections that last.
func TestAnswerBytes(t *testing.T) {
	w := serve(t, echo, oniontest.Options{}, door.ServerConfig{})
	c := w.dial(&tls.Config{})
	r := bufio.NewReader(c)
	for range 2 {
		if _, err := io.WriteString(c, "PUT /x HTTP/1.1\r\nHost: a.onion:443\r\nUser-Agent: x\r\nContent-Length: 2\r\n\r\nhi"); err != nil {
			t.Fatal(err)
		}
		var head strings.Builder
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			head.WriteString(line)
			if line == "\r\n" {
				break
			}
		}
		if want := "HTTP/1.1 200 OK\r\nContent-Type: application/cbor\r\nContent-Length: 2\r\n\r\n"; head.String() != want {
			t.Errorf("answer: got %q, want %q", head.String(), want)
		}
		io.ReadFull(r, make([]byte, 2))
	}
}

// TestHandshake: TLS 1.3, no ticket, no protocol chosen, and nothing for who
// speaks no TLS.
func TestHandshake(t *testing.T) {
	w := serve(t, echo, oniontest.Options{}, door.ServerConfig{})
	cache := tls.NewLRUClientSessionCache(4)
	for range 2 {
		c := w.dial(&tls.Config{ServerName: "x", ClientSessionCache: cache, NextProtos: []string{"h2", "http/1.1"}})
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if s := c.ConnectionState(); s.DidResume || s.Version != tls.VersionTLS13 || s.NegotiatedProtocol != "" {
			t.Errorf("handshake: resumed %v, version %x, protocol %q", s.DidResume, s.Version, s.NegotiatedProtocol)
		}
	}
	if _, ok := cache.Get("x"); ok {
		t.Error("the server gave a session ticket")
	}
	if err := w.dial(&tls.Config{MaxVersion: tls.VersionTLS12}).Handshake(); err == nil {
		t.Error("TLS 1.2 is served")
	}
	raw, err := w.client.Dial(t.Context(), w.addr, onion.NewLane())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	io.WriteString(raw, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if got, _ := io.ReadAll(raw); strings.Contains(string(got), "HTTP") {
		t.Errorf("a client without TLS is told %q", got)
	}
}

func TestWrongKey(t *testing.T) {
	w := serve(t, echo, oniontest.Options{}, door.ServerConfig{})
	p := w.pool.Peer(w.addr, generate(t).Pin())
	_, _, err := do(t, p, mux.Small, request(t.Context(), "GET", "/", nil))
	if !errors.Is(err, onion.ErrUnreachable) || !strings.Contains(err.Error(), "another TLS key") || strings.Contains(err.Error(), w.addr.Host()) {
		t.Errorf("RoundTrip to another key: got %v", err)
	}
	if st := p.Status(); st.Connected || !strings.Contains(st.LastError, "another TLS key") {
		t.Errorf("Status: got %+v", st)
	}
}

// TestDeadServer: who is down holds nobody up, and is asked again later.
func TestDeadServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, echo, oniontest.Options{RTT: time.Second}, door.ServerConfig{})
		p := w.peer()
		w.server.Faults(oniontest.Faults{DialError: onion.ErrRefused})
		get := func() error {
			_, _, err := do(t, p, mux.Small, request(t.Context(), "GET", "/", nil))
			return err
		}
		if err := get(); !errors.Is(err, onion.ErrRefused) {
			t.Fatalf("RoundTrip: got %v, want ErrRefused", err)
		}
		dials, start := w.client.Counters().Dials, time.Now()
		if err := get(); !errors.Is(err, onion.ErrRefused) || time.Since(start) > 0 || w.client.Counters().Dials != dials {
			t.Errorf("RoundTrip at once after: got %v after %v, want the same error without a dial", err, time.Since(start))
		}
		w.server.Faults(oniontest.Faults{})
		time.Sleep(2 * time.Second)
		if err := get(); err != nil {
			t.Errorf("RoundTrip later: %v", err)
		}
	})
}

// TestNotTLS: a server that speaks something else is an error of ours, with
// nothing of what it sent.
func TestNotTLS(t *testing.T) {
	n := oniontest.New(oniontest.Options{})
	defer n.Close()
	key, err := onion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	addr, err := key.Addr(1)
	if err != nil {
		t.Fatal(err)
	}
	ls, err := n.Host("server").Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{1}})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := ls[0].Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "SSH-2.0-hostile secret words\r\n")
		}
	}()
	defer ls[0].Close()
	pool, err := door.NewPool(n.Host("client"))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	_, _, err = do(t, pool.Peer(addr, onion.Pin{}), mux.Small, request(t.Context(), "GET", "/", nil))
	if !errors.Is(err, onion.ErrUnreachable) || strings.Contains(err.Error(), "hostile") {
		t.Errorf("RoundTrip: got %v", err)
	}
}

// TestStalledClient: who sends no handshake, no header, or half a body, is
// cut off after a while.
func TestStalledClient(t *testing.T) {
	for _, tt := range []struct {
		name, send string
		tls        bool
		within     time.Duration
	}{
		{"no handshake", "", false, time.Minute},
		{"half a handshake", "\x16\x03\x01\x01\x00", false, time.Minute},
		{"no request", "", true, time.Minute},
		{"half a header", "GET / HTT", true, time.Minute},
		{"half a body", "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf", true, 5 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := serve(t, echo, oniontest.Options{}, door.ServerConfig{})
				c := w.dial(&tls.Config{})
				var conn net.Conn = c
				if !tt.tls {
					conn = c.NetConn()
				}
				start := time.Now()
				if _, err := io.WriteString(conn, tt.send); err != nil {
					t.Fatal(err)
				}
				if tt.tls {
					if err := c.Handshake(); err != nil {
						t.Fatal(err)
					}
				}
				io.Copy(io.Discard, conn)
				if took := time.Since(start); took > tt.within+time.Second {
					t.Errorf("cut off after %v, want %v", took, tt.within)
				}
			})
		})
	}
}

// TestSlowReader: who takes nothing of an answer is cut off.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		w := serve(t, func(w http.ResponseWriter, r *http.Request) {
			defer close(ended)
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, oniontest.Options{Buffer: 1 << 20}, door.ServerConfig{})
		c := w.dial(&tls.Config{})
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		<-ended
		if took := time.Since(start); took > 3*time.Minute {
			t.Errorf("the handler ended after %v", took)
		}
	})
}

// TestCrowd: when there are too many connections, idle strangers make room,
// and clients that are known stay.
func TestCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 4
		w := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}, oniontest.Options{}, door.ServerConfig{Budget: mux.NewBudget(mux.BudgetConfig{Sessions: most})})
		ask := func(path string) *tls.Conn {
			c := w.dial(&tls.Config{})
			io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
			if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
				t.Fatalf("GET %s: %v", path, err)
			}
			synctest.Wait() // The server sees it idle.
			return c
		}
		known := ask("/")
		time.Sleep(time.Second)
		for range 3 * most {
			ask("/refused")
			time.Sleep(time.Millisecond)
		}
		io.WriteString(known, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := bufio.NewReader(known).ReadString('\n'); err != nil {
			t.Errorf("a client that is known was cut off for strangers: %v", err)
		}
		if open := w.server.Counters().Open; open > most {
			t.Errorf("%d connections stand, want at most %d", open, most)
		}
	})
}

// TestGivenUp: a request whose context ends is not worked on any more.
func TestGivenUp(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	w := serve(t, func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		close(ended)
	}, oniontest.Options{}, door.ServerConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	if _, _, err := do(t, w.peer(), mux.Small, request(ctx, "GET", "/", nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("RoundTrip: got %v, want the context's error", err)
	}
	<-ended
}

// TestPanic: a panic of the handler breaks the connection and nothing else.
func TestPanic(t *testing.T) {
	w := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("secret")
		}
	}, oniontest.Options{}, door.ServerConfig{})
	p := w.peer()
	if _, _, err := do(t, p, mux.Small, request(t.Context(), "POST", "/panic", strings.NewReader("x"))); !errors.Is(err, mux.ErrLost) {
		t.Errorf("RoundTrip: got %v, want ErrLost", err)
	}
	if status, _, err := do(t, p, mux.Small, request(t.Context(), "GET", "/", nil)); err != nil || status != 200 {
		t.Errorf("RoundTrip after: got %d, %v", status, err)
	}
}

// TestClose: the pool's end cuts what is under way, and nothing goes after it.
func TestClose(t *testing.T) {
	begun := make(chan struct{})
	w := serve(t, func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
	}, oniontest.Options{}, door.ServerConfig{})
	p := w.peer()
	go func() { <-begun; w.pool.Close() }()
	if _, _, err := do(t, p, mux.Small, request(t.Context(), "POST", "/", strings.NewReader("x"))); !errors.Is(err, mux.ErrLost) {
		t.Errorf("RoundTrip: got %v, want ErrLost", err)
	}
	if _, _, err := do(t, p, mux.Small, request(t.Context(), "GET", "/", nil)); !errors.Is(err, onion.ErrClosed) {
		t.Errorf("RoundTrip after: got %v, want ErrClosed", err)
	}
}

func TestNoNetwork(t *testing.T) {
	if _, err := door.NewPool(nil); !errors.Is(err, onion.ErrNoNetwork) {
		t.Errorf("NewPool(nil): got %v, want ErrNoNetwork", err)
	}
	if err := door.Serve(t.Context(), nil, nil, nil, door.ServerConfig{}); err == nil {
		t.Error("Serve of nothing: got no error")
	}
}
