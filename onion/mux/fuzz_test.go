package mux_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"lafs/onion/mux"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Whatever a client sends, the server ends that session and serves others.
func FuzzServe(f *testing.F) {
	f.Add([]byte(preface))
	f.Add([]byte("lafsmux\x02"))
	f.Add([]byte(preface + "\x00\x01\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00"))
	f.Add([]byte(preface + "\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x12GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte(preface + "\x00\x02\x00\x01\x00\x00\x00\x00\x00\x00\x00\x07"))
	f.Add([]byte(preface + "\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		inBubble(t, echo, mux.ServerConfig{}, func(w *world) {
			c := w.dial()
			c.Write(b)
			time.Sleep(5 * rtt)
			c.Close()
			time.Sleep(5 * rtt)
			if got := w.server.Counters().Open; got != 0 {
				t.Errorf("open connections: got %d, want 0", got)
			}
			w.mustFetch(mux.Small, "GET", "/x", "", "/x")
		})
	})
}
