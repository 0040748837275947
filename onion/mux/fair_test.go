package mux_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-yamux/v4"

	"lafs/onion"
	"lafs/onion/mux"
	"lafs/onion/oniontest"
)

// A holder is a handler that leaves what /hold is sent unread until release,
// and answers all else as echo does.
type holder struct{ done chan struct{} }

func (h *holder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/hold" {
		<-h.done
	}
	echo(w, r)
}

// hold begins; it is called in the bubble, whose channel it needs.
func (h *holder) hold() (release func()) {
	h.done = make(chan struct{})
	return sync.OnceFunc(func() { close(h.done) })
}

// post begins a request on a stream of s, and sends part of its body.
func post(t *testing.T, s *yamux.Session, path, part string) *yamux.Stream {
	t.Helper()
	st, err := s.OpenStream(t.Context())
	if err != nil {
		return nil
	}
	io.WriteString(st, "POST "+path+" HTTP/1.1\r\nHost: lafs\r\nContent-Length: 1000000\r\n\r\n"+part)
	return st
}

// dataFrame is the header of a frame that announces n bytes for stream 1.
func dataFrame(flags uint16, n int) string {
	b := []byte{0, 0}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, 1)
	return string(binary.BigEndian.AppendUint32(b, uint32(n)))
}

func TestGreedySessionIsCutForTheOthers(t *testing.T) {
	h := new(holder)
	inBubble(t, h, mux.ServerConfig{Budget: mux.NewBudget(mux.BudgetConfig{Bytes: 16 << 20})}, func(w *world) {
		release := h.hold()
		defer release()
		w.mustFetch(mux.Small, "GET", "/x", "", "/x")
		s := rawSession(w.t, w.dial(), true)
		defer s.Close()
		for range 60 {
			post(w.t, s, "/hold", strings.Repeat("x", 300_000))
		}
		time.Sleep(5 * rtt)
		if !s.IsClosed() {
			t.Error("the greedy session stands")
		}
		w.mustFetch(mux.Small, "GET", "/x", "", "/x")
		if got := w.client.Counters().Dials; got != 2 {
			t.Errorf("dials: got %d, want the good session to stand", got)
		}
	})
}

// Bytes that come one by one take more room than they are.
func TestTinyFramesCountAsWhatTheyTake(t *testing.T) {
	h := new(holder)
	inBubble(t, h, mux.ServerConfig{Budget: mux.NewBudget(mux.BudgetConfig{Bytes: 4 << 20})}, func(w *world) {
		release := h.hold()
		defer release()
		c := w.dial()
		defer c.Close()
		const head = "POST /hold HTTP/1.1\r\nHost: lafs\r\nContent-Length: 1000000\r\n\r\n"
		io.WriteString(c, preface+dataFrame(1, len(head))+head)
		_, err := io.WriteString(c, strings.Repeat(dataFrame(0, 1)+"x", 20_000))
		for range 5 {
			time.Sleep(rtt)
			if err == nil {
				_, err = io.WriteString(c, dataFrame(0, 1)+"x")
			}
		}
		if err == nil {
			t.Error("the session with 20000 frames of a byte each stands")
		}
	})
}

// Strangers who open streams and send nothing, or announce frames that do
// not come, cost neither a busy client nor a newcomer anything.
func TestStrangersDoNotCutTheBusy(t *testing.T) {
	const window = 250_000
	const head = "POST / HTTP/1.1\r\nHost: lafs\r\nContent-Length: 1000000\r\n\r\n"
	for _, tt := range []struct {
		name   string
		attack func(w *world, c net.Conn)
	}{
		{"streams without data", func(w *world, c net.Conn) {
			s := rawSession(w.t, c, true)
			w.t.Cleanup(func() { s.Close() })
			post(w.t, s, "/", "")
			post(w.t, s, "/", "")
		}},
		{"frames that do not come", func(_ *world, c net.Conn) {
			io.WriteString(c, preface+dataFrame(1, len(head))+head+dataFrame(0, window)+"x")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := new(holder)
			inBubble(t, h, mux.ServerConfig{Budget: mux.NewBudget(mux.BudgetConfig{Bytes: 16 << 20})}, func(w *world) {
				release := h.hold()
				defer release()
				stranger := w.net.Host("stranger")
				w.mustFetch(mux.Small, "GET", "/x", "", "/x")
				body := strings.Repeat("x", 200_000)
				var busy sync.WaitGroup
				for range 40 { // 8 MB in one session that handlers are slow to read
					busy.Go(func() { w.mustFetch(mux.Small, "POST", "/hold", body, body) })
				}
				time.Sleep(20 * rtt)
				for range 80 {
					c, err := stranger.Dial(w.t.Context(), w.addr, onion.NewLane())
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					tt.attack(w, c)
				}
				time.Sleep(2 * rtt)
				newcomer := w.net.Host("newcomer")
				mustPost(w, newcomer, strings.Repeat("y", 3<<20))
				release()
				busy.Wait()
				if got := w.client.Counters().Dials; got != 1 {
					t.Errorf("the busy client's dials: got %d, want its session to stand", got)
				}
				if got := newcomer.Counters().Dials; got != 1 {
					t.Errorf("the newcomer's dials: got %d, want 1", got)
				}
			})
		})
	}
}

// mustPost sends a body from another host than the world's client.
func mustPost(w *world, from *oniontest.Host, body string) {
	w.t.Helper()
	pool, err := mux.NewPool(from, mux.Config{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer pool.Close()
	req, err := http.NewRequestWithContext(context.Background(), "POST", "http://lafs/", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := pool.Peer(w.addr, "").RoundTripper(mux.Bulk).RoundTrip(req)
	if err != nil {
		w.t.Errorf("the newcomer: %v", err)
		return
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != body {
		w.t.Errorf("the newcomer: got %d bytes, %v, want %d", len(got), err, len(body))
	}
}

// Strangers with requests that never end fill all sessions: the oldest of
// them makes room, and one who is known never does.
func TestSessionsFullOfStrangers(t *testing.T) {
	inBubble(t, echo, mux.ServerConfig{Budget: mux.NewBudget(mux.BudgetConfig{Sessions: 5})}, func(w *world) {
		w.mustFetch(mux.Small, "GET", "/x", "", "/x")
		r, body := io.Pipe()
		req, _ := http.NewRequestWithContext(w.t.Context(), "POST", "http://lafs/", r)
		held := make(chan error)
		go func() { // keeps the known session busy
			resp, err := w.do(mux.Small, req)
			if err == nil {
				resp.Body.Close()
			}
			held <- err
		}()
		stranger := w.net.Host("stranger")
		for range 4 {
			c, err := stranger.Dial(w.t.Context(), w.addr, onion.NewLane())
			if err != nil {
				t.Fatal(err)
			}
			s := rawSession(w.t, c, true)
			defer s.Close()
			post(w.t, s, "/", "x")
		}
		time.Sleep(40 * time.Second)
		mustPost(w, w.net.Host("newcomer"), "hello")
		body.Close()
		if err := <-held; err != nil {
			t.Errorf("the known client's request: %v", err)
		}
	})
}
