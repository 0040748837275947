package door_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lafs/onion/door"
	"lafs/onion/mux"
	"lafs/onion/oniontest"
)

// nice takes a request and says little.
func nice(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
	io.WriteString(w, "ok")
}

// Nothing that a client sends makes the door answer with the headers and
// words of the library behind it, or with the time of our clock.
func TestAnswersToStrangeRequests(t *testing.T) {
	const bad = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for _, tt := range []struct{ name, says, want string }{
		{"close", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"},
		{"two requests", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", ok + ok},
		{"a good and a bad one", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n", ok + bad},
		{"a good and a very bad one", "GET / HTTP/1.1\r\nHost: x\r\n\r\n\x16\x03\x01\r\n\r\n", ok + bad},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"},
		{"no host", "GET / HTTP/1.1\r\n\r\n", bad},
		{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", bad},
		{"no HTTP", "\x16\x03\x01\r\n\r\n", bad},
		{"bad header", "GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", bad},
		{"an endless header", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 20<<10) + "\r\n\r\n",
			"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\n\r\n"},
		{"other encoding", "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n"},
		{"HTTP/3.0", "GET / HTTP/3.0\r\nHost: x\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Length: 0\r\n\r\n"},
		{"other expectation", "GET / HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n\r\n", "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"},
		{"OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", ok},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := serve(t, nice, oniontest.Options{}, door.ServerConfig{})
				c := w.dial(&tls.Config{})
				if _, err := io.WriteString(c, tt.says); err != nil {
					t.Fatal(err)
				}
				c.SetReadDeadline(time.Now().Add(time.Second))
				if got, _ := io.ReadAll(c); string(got) != tt.want {
					t.Errorf("answer:\n got %q\nwant %q", got, tt.want)
				}
			})
		})
	}
}

// plain are the only answers that a client of nice gets.
var plain = regexp.MustCompile(`^(HTTP/1\.[01] \d\d\d [A-Za-z ]+\r\n((Content-Length: \d+|Connection: (close|keep-alive))\r\n)*\r\n(ok)?)*$`)

// Whatever a client sends, below TLS or inside, the door says nothing but
// plain answers, ends that connection, gives its place back, and serves
// others.
func FuzzServe(f *testing.F) {
	const hello = "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"
	f.Add([]byte(hello), false)
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), false)
	f.Add([]byte("\x16\x03\x03\xff\xff\x01\xff\xff\xff"), false)
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\nPUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"), true)
	f.Add([]byte("PATCH / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: Date\r\n\r\n3\r\nabc\r\n0\r\nDate: x\r\n\r\n"), true)
	f.Add([]byte("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99\r\n\r\n"), true)
	f.Add([]byte("GET http://y/ HTTP/1.0\r\nConnection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n\r\n"), true)
	f.Add([]byte("CONNECT y:1 HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"), true)
	f.Fuzz(func(t *testing.T, b []byte, inside bool) {
		synctest.Test(t, func(t *testing.T) {
			budget := mux.NewBudget(mux.BudgetConfig{})
			w := serve(t, nice, oniontest.Options{}, door.ServerConfig{Budget: budget})
			c := w.dial(&tls.Config{})
			conn := c.NetConn()
			if inside {
				if err := c.Handshake(); err != nil {
					t.Fatal(err)
				}
				c.Write(b)
				c.SetReadDeadline(time.Now().Add(5 * time.Second))
				if got, _ := io.ReadAll(c); !plain.Match(got) {
					t.Errorf("answer: got %q", got)
				}
			} else {
				conn.Write(b)
				time.Sleep(5 * time.Second)
			}
			conn.Close()
			time.Sleep(5 * time.Second)
			if load := budget.Load(); w.server.Counters().Open != 0 || load.Sessions != 0 || load.Bytes != 0 {
				t.Errorf("once it is gone: %d connections, %+v", w.server.Counters().Open, load)
			}
			if status, got, err := do(t, w.peer(), mux.Small, request(t.Context(), "GET", "/", nil)); err != nil || status != 200 || got != "ok" {
				t.Errorf("another client: got %d %q, %v", status, got, err)
			}
		})
	})
}
