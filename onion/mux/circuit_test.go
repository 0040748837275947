package mux

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A wire is a connection that notes what is written to it, and when.
type wire struct {
	net.Conn // nil where a test only writes
	full     chan struct{}
	closed   atomic.Bool
	fails    error

	mu       sync.Mutex
	writes   [][]byte
	deadline time.Time
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	deadline := w.deadline
	w.mu.Unlock()
	if w.fails != nil {
		return 0, w.fails
	}
	if w.full != nil {
		var late <-chan time.Time
		if !deadline.IsZero() {
			late = time.After(time.Until(deadline))
		}
		select {
		case <-w.full:
		case <-late:
			w.note(p[:1])
			return 1, os.ErrDeadlineExceeded
		}
	}
	w.note(p)
	if w.Conn != nil {
		return w.Conn.Write(p)
	}
	return len(p), nil
}

func (w *wire) note(p []byte) {
	w.mu.Lock()
	w.writes = append(w.writes, bytes.Clone(p))
	w.mu.Unlock()
}

func (w *wire) noted() [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.writes)
}

func (w *wire) SetWriteDeadline(t time.Time) error {
	w.mu.Lock()
	w.deadline = t
	w.mu.Unlock()
	return nil
}

func (w *wire) Close() error {
	w.closed.Store(true)
	if w.Conn != nil {
		return w.Conn.Close()
	}
	return nil
}

func aFrame(kind byte, flags uint16, stream uint32, body string) []byte {
	b := []byte{0, kind}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

func inCircuit(t *testing.T, f func(w *wire, c *circuit)) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		c := newCircuit(w, &beat{gather: clientGather})
		c.ended = &endings{open: map[uint32]bool{}}
		f(w, c)
	})
}

// Frames that come one after the other leave in one write; one that says
// nothing waits for others, and not for ever.
func TestFramesLeaveTogether(t *testing.T) {
	inCircuit(t, func(w *wire, c *circuit) {
		open, data := aFrame(frameWindow, flagOpen, 1, ""), aFrame(frameData, 0, 1, "request")
		c.Write(open)
		time.Sleep(lateAfter / 2)
		if n := len(w.noted()); n != 0 {
			t.Fatalf("%d writes of a frame that nobody waits for", n)
		}
		c.Write(data)
		time.Sleep(clientGather)
		synctest.Wait()
		want := slices.Concat([]byte(prefaceName), []byte{formatNumber}, open, data)
		if got := w.noted(); len(got) != 1 || !bytes.Equal(got[0], want) {
			t.Fatalf("got %q, want all in one write: %q", got, want)
		}
		time.Sleep(2 * lateAfter)
		if n := len(w.noted()); n != 1 {
			t.Errorf("%d writes, want none after it", n)
		}
		for i, tt := range []struct {
			frame []byte
			after time.Duration
		}{{aFrame(frameWindow, flagOpened, 1, ""), 2 * lateAfter}, {aFrame(frameWindow, flagEnd, 1, ""), 0}} {
			c.Write(tt.frame)
			time.Sleep(tt.after + clientGather)
			synctest.Wait()
			if got := w.noted(); len(got) != 2+i || !bytes.Equal(got[1+i], tt.frame) {
				t.Errorf("got %q, want %q to leave after %v", got, tt.frame, tt.after)
			}
		}
	})
}

// What fills a write leaves at once, behind what came before it.
func TestFullWritesLeaveAtOnce(t *testing.T) {
	inCircuit(t, func(w *wire, c *circuit) {
		c.greet()
		small, large := aFrame(frameData, 0, 1, "small"), aFrame(frameData, 0, 3, strings.Repeat("x", maxMessage-frameHeader))
		c.Write(small)
		c.Write(large)
		c.Write(large)
		got := w.noted()[1:]
		if len(got) != 2 || !bytes.Equal(got[0], slices.Concat(small, large)) || !bytes.Equal(got[1], large) {
			t.Errorf("got %d writes", len(got))
		}
	})
}

// A client does not tell the end of a stream that the server has ended.
func TestEndingsThatSayNothing(t *testing.T) {
	reset := aFrame(frameWindow, flagReset, 1, "")
	for _, tt := range []struct {
		name string
		came [][]byte
		sent bool
	}{
		{"the server has ended it", [][]byte{aFrame(frameData, 0, 1, "answer"), aFrame(frameWindow, flagEnd, 1, "")}, false},
		{"at the end of its data", [][]byte{aFrame(frameData, flagEnd, 1, "answer")}, false},
		{"it has not", [][]byte{aFrame(frameData, 0, 1, "answer")}, true},
		{"it has ended another", [][]byte{aFrame(frameWindow, flagEnd, 3, "")}, true},
		{"it said something else with that number", [][]byte{aFrame(2, flagEnd, 1, "")}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inCircuit(t, func(w *wire, c *circuit) {
				c.Write(aFrame(frameWindow, flagOpen, 1, ""))
				fs := frames{each: c.ended.came}
				for _, f := range tt.came {
					for i := range f { // however the bytes come
						fs.see(f[i : i+1])
					}
				}
				c.Write(reset)
				time.Sleep(2 * lateAfter)
				synctest.Wait()
				if got := bytes.Contains(bytes.Join(w.noted(), nil), reset); got != tt.sent {
					t.Errorf("sent: %v, want %v", got, tt.sent)
				}
				if n := len(c.ended.open); n != 0 {
					t.Errorf("%d streams are remembered", n)
				}
			})
		})
	}
}

// Endings of streams that nobody opened, and of such as a server invents,
// take no memory.
func TestEndingsOfNoStream(t *testing.T) {
	e := &endings{open: map[uint32]bool{}}
	for id := range uint32(1000) {
		e.came(frame{frameWindow, flagEnd, id, 0})
	}
	if len(e.open) != 0 {
		t.Errorf("%d are remembered", len(e.open))
	}
	var none *endings
	if none.idle(frameOf(aFrame(frameWindow, flagReset, 1, ""))) {
		t.Error("a server leaves a reset out")
	}
}

// A circuit that takes nothing keeps no other back, and loses nothing.
func TestFullCircuitBesideOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &beat{gather: clientGather}
		stuck, free := &wire{full: make(chan struct{})}, &wire{}
		first, second := newCircuit(stuck, b), newCircuit(free, b)
		first.sent, second.sent = true, true
		first.SetWriteDeadline(time.Now().Add(writeTimeout))
		data := aFrame(frameData, 0, 1, "request")
		first.Write(data)
		second.Write(data)
		time.Sleep(clientGather + briefly)
		synctest.Wait()
		if len(free.noted()) != 1 {
			t.Error("the other circuit waits")
		}
		if !stuck.deadline.Equal(first.deadline) {
			t.Error("the circuit has another deadline than its session gave it")
		}
		close(stuck.full)
		synctest.Wait()
		if got := bytes.Join(stuck.noted(), nil); !bytes.Equal(got, data) {
			t.Errorf("got %q, want %q once", got, data)
		}
		first.Write(data)
		time.Sleep(clientGather)
		synctest.Wait()
		if got := bytes.Join(stuck.noted(), nil); !bytes.Equal(got, slices.Concat(data, data)) {
			t.Errorf("got %q, want it twice", got)
		}
	})
}

// A write that nobody waits for and that fails ends the circuit.
func TestFailedWriteEndsTheCircuit(t *testing.T) {
	for name, w := range map[string]*wire{
		"it fails":          {fails: io.ErrClosedPipe},
		"it takes too long": {full: nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if w.fails == nil {
					w.full = make(chan struct{})
				}
				c := newCircuit(w, &beat{gather: clientGather})
				c.SetWriteDeadline(time.Now().Add(time.Second))
				data := aFrame(frameData, 0, 1, "x")
				c.Write(data)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if !w.closed.Load() {
					t.Error("the circuit is open")
				}
				if _, err := c.Write(data); err == nil {
					t.Error("a later write succeeds")
				}
			})
		})
	}
}

// pair connects a client's session to a server with h, and returns their
// wires.
func pair(t *testing.T, h http.Handler) (y *session, near, far *wire, end func()) {
	here, there := net.Pipe()
	near, far = &wire{Conn: here}, &wire{Conn: there}
	s := newServer(h, ServerConfig{})
	if err := s.serve(far, s.all.Admit(func() { far.Close() })); err != nil {
		t.Fatal(err)
	}
	circuit := newCircuit(near, &beat{gather: clientGather})
	ys, err := clientSession(circuit, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &session{Session: ys, circuit: circuit}, near, far, func() {
		ys.Close()
		s.closeAll()
		s.wg.Wait()
	}
}

// exchange sends one request and returns its answer.
func (s *session) exchange(t *testing.T, method, path string, body io.Reader) string {
	y, err := s.OpenStream(context.Background())
	if err != nil {
		t.Error(err)
		return ""
	}
	st := &clientStream{Stream: y, spawn: func(f func()) bool { go f(); return true }, free: func() {}}
	req, _ := http.NewRequest(method, "http://lafs"+path, body)
	resp, err := transport(st, req.Body != nil).RoundTrip(req)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// A small exchange is one write there and one back, and nothing after it.
func TestExchangeIsOneWriteEachWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(lateAfter / 2) // the disk
			io.Copy(w, r.Body)
		})
		s, near, far, end := pair(t, h)
		defer end()
		s.exchange(t, "POST", "/", strings.NewReader("first")) // the session measures its trip once
		for range 3 {
			time.Sleep(2 * lateAfter)
			sent, came := len(near.noted()), len(far.noted())
			if got := s.exchange(t, "POST", "/", strings.NewReader("body")); got != "body" {
				t.Errorf("got %q", got)
			}
			time.Sleep(10 * lateAfter)
			if n, m := len(near.noted())-sent, len(far.noted())-came; n != 1 || m != 1 {
				t.Errorf("%d writes there and %d back, want one each", n, m)
			}
		}
	})
}

// Answers to what was asked at once leave together, if they come soon.
func TestAnswersLeaveTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			d, _ := time.ParseDuration(r.URL.Path[1:])
			time.Sleep(d)
			io.WriteString(w, "answer")
		})
		s, near, far, end := pair(t, h)
		defer end()
		s.exchange(t, "GET", "/0s", nil)
		for _, tt := range []struct {
			second string
			writes int
			first  time.Duration // until the first answer
		}{{"0s", 1, 0}, {"5ms", 1, 5 * time.Millisecond}, {"1m", 2, othersGather}} {
			time.Sleep(2 * lateAfter)
			sent, came := len(near.noted()), len(far.noted())
			start := time.Now()
			var wg sync.WaitGroup
			wg.Go(func() { s.exchange(t, "GET", "/"+tt.second, nil) })
			s.exchange(t, "GET", "/0s", nil)
			took := time.Since(start) - clientGather - serverGather
			wg.Wait()
			time.Sleep(2 * lateAfter)
			if n, m := len(near.noted())-sent, len(far.noted())-came; n != 1 || m != tt.writes {
				t.Errorf("second after %s: %d writes there and %d back, want 1 and %d", tt.second, n, m, tt.writes)
			}
			if took > tt.first {
				t.Errorf("second after %s: the first answer took %v, want %v", tt.second, took, tt.first)
			}
		}
	})
}

// A body that is larger than a stream's first window goes on at once.
func TestLargeBodyGetsItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
		s, _, _, end := pair(t, h)
		defer end()
		s.exchange(t, "GET", "/", nil)
		start := time.Now()
		s.exchange(t, "POST", "/", bytes.NewReader(make([]byte, 2<<20)))
		if took := time.Since(start); took > lateAfter/2 {
			t.Errorf("2 MiB took %v on a wire that takes no time", took)
		}
	})
}

// A client that gives up says so at once.
func TestGivingUpIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Time, 1)
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Write(make([]byte, 5000))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			ended <- time.Now()
		})
		s, _, _, end := pair(t, h)
		defer end()
		y, err := s.OpenStream(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		st := &clientStream{Stream: y, spawn: func(f func()) bool { go f(); return true }, free: func() {}}
		ctx, cancel := context.WithCancel(context.Background())
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://lafs/", nil)
		resp, err := transport(st, req.Body != nil).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		time.Sleep(time.Minute)
		cancel()
		gaveUp := time.Now()
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if late := (<-ended).Sub(gaveUp); late > 2*clientGather {
			t.Errorf("the server heard of it %v later", late)
		}
	})
}
