package mux_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"lafs/onion/mux"
)

// Nothing that a peer sends makes us answer with the headers and words of
// the library behind us, or with the time of our clock.
func TestAnswersToStrangeRequests(t *testing.T) {
	const bad = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
	ok := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for _, tt := range []struct{ name, says, want string }{
		{"close", "GET / HTTP/1.1\r\nHost: lafs\r\nConnection: close\r\n\r\n", ok},
		{"two requests", "GET / HTTP/1.1\r\nHost: lafs\r\n\r\nGET / HTTP/1.1\r\nHost: lafs\r\n\r\n", ok},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"},
		{"keep-alive of HTTP/1.0", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"},
		{"no host", "GET / HTTP/1.1\r\n\r\n", bad},
		{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", bad},
		{"no HTTP", "\x16\x03\x01\r\n\r\n", bad},
		{"bad header", "GET / HTTP/1.1\r\nHost: lafs\r\nbad header\r\n\r\n", bad},
		{"other encoding", "GET / HTTP/1.1\r\nHost: lafs\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n"},
		{"HTTP/3.0", "GET / HTTP/3.0\r\nHost: lafs\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Length: 0\r\n\r\n"},
		{"other expectation", "GET / HTTP/1.1\r\nHost: lafs\r\nExpect: wonders\r\n\r\n", "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"},
		{"expected continuation", "POST /echo HTTP/1.1\r\nHost: lafs\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok", ok},
		{"a body that nobody reads", "POST / HTTP/1.1\r\nHost: lafs\r\nContent-Length: 1000000\r\n\r\n", ok},
		{"OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: lafs\r\n\r\n", ok},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/echo" {
					io.Copy(w, r.Body)
					return
				}
				io.WriteString(w, "ok")
			})
			inBubble(t, h, mux.ServerConfig{}, func(w *world) {
				s := rawSession(w.t, w.dial(), true)
				defer s.Close()
				st, err := s.OpenStream(w.t.Context())
				if err != nil {
					t.Fatal(err)
				}
				io.WriteString(st, tt.says)
				st.SetReadDeadline(time.Now().Add(10 * rtt))
				got, _ := io.ReadAll(st)
				if string(got) != tt.want {
					t.Errorf("answer:\n got %q\nwant %q", got, tt.want)
				}
			})
		})
	}
}

// A client that announces a body and sends none would otherwise hold its
// stream, and with it its session, as long as it likes, without any secret:
// enough of them lock everybody out.
func TestBodyThatNeverComes(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	inBubble(t, h, mux.ServerConfig{Budget: mux.NewBudget(mux.BudgetConfig{Sessions: 1})}, func(w *world) {
		s := rawSession(w.t, w.dial(), true)
		defer s.Close()
		st, err := s.OpenStream(w.t.Context())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(st, "POST / HTTP/1.1\r\nHost: lafs\r\nContent-Length: 1000\r\n\r\n")
		const want = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
		got := make([]byte, len(want))
		st.SetReadDeadline(time.Now().Add(5 * rtt))
		if _, err := io.ReadFull(st, got); err != nil || string(got) != want {
			t.Fatalf("answer: got %q, %v", got, err)
		}
		time.Sleep(5 * time.Minute)
		if _, err := w.fetch(w.t.Context(), mux.Small, "GET", "/x", ""); errors.Is(err, mux.ErrLost) || err != nil {
			t.Errorf("somebody else: got %v, want an answer", err)
		}
	})
}
