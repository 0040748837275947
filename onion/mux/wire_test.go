package mux_test

import (
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-yamux/v4"

	"lafs/onion"
	"lafs/onion/mux"
	"lafs/onion/oniontest"
)

const preface = "lafsmux\x01"

// rawSession speaks yamux on c as the other side would, below HTTP.
func rawSession(t *testing.T, c net.Conn, client bool) *yamux.Session {
	t.Helper()
	if _, err := io.WriteString(c, preface); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(preface))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != preface {
		t.Fatalf("preface: got %q, %v", got, err)
	}
	cfg := yamux.DefaultConfig()
	cfg.EnableKeepAlive, cfg.MeasureRTTInterval, cfg.LogOutput = false, math.MaxInt64, io.Discard
	cfg.AcceptBacklog = 20_000
	start := yamux.Server
	if client {
		start = yamux.Client
	}
	s, err := start(c, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) dial() net.Conn {
	w.t.Helper()
	c, err := w.client.Dial(w.t.Context(), w.addr, onion.NewLane())
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// A peer that knows us would see a difference in any byte.
func TestRequestBytes(t *testing.T) {
	for _, tt := range []struct {
		name, method, path, body, want string
		stream                         bool
	}{
		{"GET", "GET", "/storage/v1/version?x=1", "", "GET /storage/v1/version?x=1 HTTP/1.1\r\nHost: lafs\r\n" +
			"Accept: application/cbor\r\nAuthorization: Tahoe-LAFS c3c=\r\nRange: bytes=0-9\r\n\r\n", false},
		{"POST", "POST", "/a%2Fb", "body", "POST /a%2Fb HTTP/1.1\r\nHost: lafs\r\nContent-Length: 4\r\n" +
			"Accept: application/cbor\r\nAuthorization: Tahoe-LAFS c3c=\r\nRange: bytes=0-9\r\n\r\nbody", false},
		{"of unknown length", "PUT", "/", "body", "PUT / HTTP/1.1\r\nHost: lafs\r\nTransfer-Encoding: chunked\r\n" +
			"Accept: application/cbor\r\nAuthorization: Tahoe-LAFS c3c=\r\nRange: bytes=0-9\r\n\r\n4\r\nbody\r\n0\r\n\r\n", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := captureRequest(t, func(rt http.RoundTripper) {
					var body io.Reader
					if tt.body != "" {
						body = strings.NewReader(tt.body)
					}
					if tt.stream {
						body = io.MultiReader(body)
					}
					req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://user@example.com:99"+tt.path, body)
					if err != nil {
						t.Fatal(err)
					}
					req.Header = http.Header{
						"Accept": {"application/cbor"}, "Authorization": {"Tahoe-LAFS c3c="}, "Range": {"bytes=0-9"},
						"User-Agent": {"lafs/1"}, "Expect": {"100-continue"}, "Accept-Encoding": {"gzip"}, "Cookie": {"a=b"},
						"Connection": {"close"}, "Referer": {"x"}, "Te": {"trailers"},
					}
					req.Host, req.Close = "example.com", true
					req.Trailer = http.Header{"X-Trailer": {"x"}}
					if resp, err := rt.RoundTrip(req); err == nil {
						resp.Body.Close()
					}
				})
				if got != tt.want {
					t.Errorf("request:\n got %q\nwant %q", got, tt.want)
				}
			})
		})
	}
}

// captureRequest returns the bytes that a server gets on the one stream that
// do opens.
func captureRequest(t *testing.T, do func(http.RoundTripper)) string {
	n := oniontest.New(oniontest.Options{})
	defer n.Close()
	key, _ := onion.GenerateKey()
	addr, _ := key.Addr(80)
	ls, err := n.Host("server").Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80}})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := mux.NewPool(n.Host("client"), mux.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	go do(pool.Peer(addr, "").RoundTripper(mux.Small))
	c, err := ls[0].Accept()
	if err != nil {
		t.Fatal(err)
	}
	s := rawSession(t, c, false)
	defer s.Close()
	st, err := s.AcceptStream()
	if err != nil {
		t.Fatal(err)
	}
	st.SetReadDeadline(time.Now().Add(time.Second))
	got, _ := io.ReadAll(st)
	return string(got)
}

func TestAnswerBytes(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Server", "Date", "Last-Modified", "Set-Cookie", "X-Content-Type-Options", "Connection", "Etag"} {
			w.Header().Set(name, "x")
		}
		w.Header().Set("Trailer", "X-T")
		switch r.URL.Path {
		case "/typed":
			w.Header().Set("Content-Type", "application/cbor")
			w.Header().Set("Content-Range", "bytes 0-3/10")
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, "body")
		case "/plain":
			io.WriteString(w, "<html>")
		case "/flushed":
			io.WriteString(w, "a")
			w.(http.Flusher).Flush()
			w.Header().Set(http.TrailerPrefix+"X-T", "x")
		case "/hints":
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNotFound)
		}
	})
	for _, tt := range []struct{ path, want string }{
		{"/typed", "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-3/10\r\nContent-Type: application/cbor\r\nContent-Length: 4\r\n\r\nbody"},
		{"/plain", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"},
		{"/flushed", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"},
		{"/hints", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"},
		{"/empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			inBubble(t, h, mux.ServerConfig{}, func(w *world) {
				s := rawSession(w.t, w.dial(), true)
				defer s.Close()
				st, err := s.OpenStream(w.t.Context())
				if err != nil {
					t.Fatal(err)
				}
				io.WriteString(st, "GET "+tt.path+" HTTP/1.1\r\nHost: lafs\r\n\r\n")
				st.SetReadDeadline(time.Now().Add(5 * rtt))
				if got, _ := io.ReadAll(st); string(got) != tt.want {
					t.Errorf("answer:\n got %q\nwant %q", got, tt.want)
				}
			})
		})
	}
}

func TestOtherFormatsAreRefused(t *testing.T) {
	for _, tt := range []struct{ name, says, want string }{
		{"newer", "lafsmux\x02", "number 2"},
		{"http", "HTTP/1.1 400 Bad Request\r\n\r\n", "something else"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := oniontest.New(oniontest.Options{RTT: rtt})
				defer n.Close()
				key, _ := onion.GenerateKey()
				addr, _ := key.Addr(80)
				ls, err := n.Host("server").Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80}})
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					c, err := ls[0].Accept()
					if err == nil {
						io.WriteString(c, tt.says)
					}
				}()
				pool, _ := mux.NewPool(n.Host("client"), mux.Config{})
				defer pool.Close()
				req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://lafs/", nil)
				_, err = pool.Peer(addr, "").RoundTripper(mux.Small).RoundTrip(req)
				if !errors.Is(err, mux.ErrFormat) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want ErrFormat with %q", err, tt.want)
				}
			})
		})
	}
}

func TestServerTellsItsFormatToANewerClient(t *testing.T) {
	inBubble(t, echo, mux.ServerConfig{}, func(w *world) {
		c := w.dial()
		io.WriteString(c, "lafsmux\x02")
		c.SetReadDeadline(time.Now().Add(time.Minute))
		got := make([]byte, len(preface))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != preface {
			t.Errorf("got %q, %v, want our preface", got, err)
		}
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("the end: got %v, want it closed", err)
		}
		c.Close()
	})
}

func TestNoNetwork(t *testing.T) {
	if _, err := mux.NewPool(nil, mux.Config{}); !errors.Is(err, onion.ErrNoNetwork) {
		t.Errorf("NewPool(nil): got %v, want ErrNoNetwork", err)
	}
}
