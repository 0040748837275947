package client_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lafs/introducer"
	"lafs/introducer/client"
	"lafs/onion"
)

func ids(list []*introducer.Announcement) string {
	var b strings.Builder
	for _, a := range list {
		fmt.Fprintf(&b, "%s:%d ", a.ServerID()[3:7], a.Seqnum)
	}
	return b.String()
}

// known waits until everything has settled and returns seqnum by server id.
func known(c *client.Client) map[string]uint64 {
	synctest.Wait()
	m := make(map[string]uint64)
	for _, a := range c.Servers() {
		m[a.ServerID()] = a.Seqnum
	}
	return m
}

// A server announces through two introducers; a client that asks another
// pair, of which one overlaps, learns of it, and of its renewals.
func TestAnnounceAndLearn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := newFURL(t), newFURL(t)
		w.honest(a, new(memory))
		w.honest(b, new(memory))
		n := newNode(t)
		srv, _ := run(t, client.Config{Peer: w.peer, Publication: n.publication(),
			Introducers: map[string]*introducer.FURL{"a": a, "b": b}})
		var changes atomic.Int32
		reader, _ := run(t, client.Config{Peer: w.peer, OnChange: func() { changes.Add(1) },
			Introducers: map[string]*introducer.FURL{"b": b.ReadOnly(), "down": newFURL(t).ReadOnly()}})
		if got := known(reader); got[n.id()] != 1 {
			t.Fatalf("Servers: got %v, want %s", got, n.id()[:7])
		}
		for _, s := range srv.Status() {
			if !s.Publishes || s.Announced != 1 || s.AnnounceError != "" || !s.Connected {
				t.Errorf("Status: got %+v, want announced and connected", s)
			}
		}
		st := reader.Status()
		if len(st) != 2 || !st[0].Connected || st[0].Servers != 1 || st[0].Publishes || st[1].Connected || st[1].LastError == "" {
			t.Errorf("Status: got %+v", st)
		}
		before := changes.Load()
		time.Sleep(49 * hour)
		if got := known(reader); got[n.id()] < 2 {
			t.Errorf("after 49 hours the number is %d, want a renewal", got[n.id()])
		}
		if before == 0 || changes.Load() <= before {
			t.Errorf("OnChange was called %d times, then %d", before, changes.Load()-before)
		}
	})
}

// All introducers are down: the cache speaks, and what it holds goes stale
// after 30 days.
func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := newFURL(t)
		w.honest(f, new(memory))
		n := newNode(t)
		_, stopServer := run(t, client.Config{Peer: w.peer, Publication: n.publication(), Introducers: map[string]*introducer.FURL{"a": f}})
		cfg := client.Config{Peer: w.peer, Cache: newCache(), Introducers: map[string]*introducer.FURL{"a": f.ReadOnly()}}
		first, stop := run(t, cfg)
		if len(known(first)) != 1 {
			t.Fatal("nothing learnt")
		}
		stop()
		stopServer()
		w.down(f.Address())

		again, _ := run(t, cfg)
		if got := again.Servers(); len(got) != 1 || got[0].Stale {
			t.Errorf("from the cache: got %s, want the server, not stale", ids(got))
		}
		time.Sleep(32 * 24 * hour)
		if got := again.Servers(); len(got) != 1 || !got[0].Stale {
			t.Errorf("32 days later: got %s, want the server, stale", ids(got))
		}
	})
}

func TestDamagedCache(t *testing.T) {
	f := newFURL(t)
	c := newCache()
	c.texts["a"] = []byte("garbage")
	cl, err := client.New(client.Config{Peer: newWorld(t).peer, Cache: c, Introducers: map[string]*introducer.FURL{"a": f}})
	if err != nil || len(cl.Servers()) != 0 {
		t.Errorf("New with a damaged cache: got %v", err)
	}
}

// The introducer, and the stream, come back after a restart.
func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f, store := newFURL(t), new(memory)
		w.honest(f, store)
		a, b := newNode(t), newNode(t)
		run(t, client.Config{Peer: w.peer, Publication: a.publication(), Introducers: map[string]*introducer.FURL{"a": f}})
		reader, _ := run(t, client.Config{Peer: w.peer, Introducers: map[string]*introducer.FURL{"a": f.ReadOnly()}})
		time.Sleep(10 * time.Minute)
		w.down(f.Address())
		synctest.Wait()
		if reader.Status()[0].Connected {
			t.Error("the introducer is down and shown as connected")
		}
		w.honest(f, store)
		run(t, client.Config{Peer: w.peer, Publication: b.publication(), Introducers: map[string]*introducer.FURL{"a": f}})
		time.Sleep(2 * time.Minute)
		if got := known(reader); len(got) != 2 || !reader.Status()[0].Connected {
			t.Errorf("after the restart: got %v, want two servers and connected", got)
		}
		// The stream ends after 1 to 3 hours, and is had again each time.
		time.Sleep(24 * hour)
		synctest.Wait()
		if !reader.Status()[0].Connected {
			t.Errorf("a day later: %+v", reader.Status()[0])
		}
	})
}

// A server that was restored from a backup goes on above what the introducer
// knows.
func TestRestoredServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := newFURL(t)
		w.honest(f, new(memory))
		n := newNode(t)
		n.last = 41
		_, stop := run(t, client.Config{Peer: w.peer, Publication: n.publication(), Introducers: map[string]*introducer.FURL{"a": f}})
		synctest.Wait()
		stop()
		n.last = 5
		c, _ := run(t, client.Config{Peer: w.peer, Publication: n.publication(), Introducers: map[string]*introducer.FURL{"a": f}})
		if got := known(c); got[n.id()] != 43 || c.Status()[0].Announced != 43 {
			t.Errorf("got %v and %+v, want 43", got, c.Status())
		}
	})
}

// The disk is full at first: no number is used that was not kept.
func TestSeqnumNotDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := newFURL(t)
		s := w.honest(f, new(memory))
		n := newNode(t)
		n.fails = 3
		c, _ := run(t, client.Config{Peer: w.peer, Publication: n.publication(), Introducers: map[string]*introducer.FURL{"a": f}})
		synctest.Wait()
		if s.Servers() != 0 || !strings.Contains(c.Status()[0].AnnounceError, "no space") {
			t.Errorf("got %d servers and %+v, want none and the error", s.Servers(), c.Status())
		}
		time.Sleep(5 * time.Minute)
		if s.Servers() != 1 || c.Status()[0].AnnounceError != "" {
			t.Errorf("later: got %d servers and %+v, want one", s.Servers(), c.Status())
		}
	})
}

func TestMergeKeepsNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := newFURL(t), newFURL(t)
		n := newNode(t)
		w.up(a.Address(), says(n.sign(9)))
		w.up(b.Address(), says(n.sign(4), n.sign(3)))
		c, _ := run(t, client.Config{Peer: w.peer, Introducers: map[string]*introducer.FURL{"a": a, "b": b}})
		if got := known(c); got[n.id()] != 9 {
			t.Errorf("got %v, want the newest, 9", got)
		}
	})
}

// An introducer that goes back to an older announcement is not followed.
func TestReplayBySameIntroducer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := newFURL(t)
		n := newNode(t)
		w.up(f.Address(), says(n.sign(4), n.sign(3)))
		c, _ := run(t, client.Config{Peer: w.peer, Introducers: map[string]*introducer.FURL{"a": f}})
		if got := known(c); got[n.id()] != 4 {
			t.Errorf("got %v, want 4", got)
		}
	})
}

func TestPinnedAndStatic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := newFURL(t)
		good, other, static := newNode(t), newNode(t), newNode(t)
		w.up(f.Address(), says(other.sign(1), good.sign(1), static.sign(8)))
		raw, err := introducer.Open(static.sign(1))
		if err != nil {
			t.Fatal(err)
		}
		fixed := *raw
		fixed.Static = true
		c, _ := run(t, client.Config{Peer: w.peer, Pinned: []string{good.id()}, Static: []*introducer.Announcement{&fixed},
			Introducers: map[string]*introducer.FURL{"a": f}})
		got := known(c)
		if len(got) != 2 || got[good.id()] != 1 || got[static.id()] != 1 {
			t.Errorf("got %v, want the pinned and the static server", got)
		}
		if r := c.Status()[0].Refused; r != 2 {
			t.Errorf("Refused: got %d, want 2", r)
		}
	})
}

// says is an introducer that sends these lines and then nothing.
func says(lines ...[]byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Write(append(bytes.Join(lines, []byte("\n")), '\n'))
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

// Lies: whatever an introducer sends, an honest one beside it is heard, the
// list stays bounded and the liar is not asked in a hurry.
func TestLyingIntroducer(t *testing.T) {
	victim := newNode(t)
	stolen := victim.sign(7)
	forged := bytes.Replace(stolen, []byte(`\"seqnum\":7`), []byte(`\"seqnum\":8`), 1)
	if bytes.Equal(forged, stolen) {
		t.Fatal("nothing was forged")
	}
	var flood [][]byte
	for range 60 {
		flood = append(flood, newNode(t).sign(1))
	}
	for _, tt := range []struct {
		name     string
		lie      http.HandlerFunc
		most     int // servers learnt from it
		requests int // most that may reach it in an hour
	}{
		{"garbage", says([]byte("garbage"), []byte{0, 1, 2}, []byte("{}"), nil), 0, 1},
		{"forged", says(forged), 0, 1},
		{"replayed", says(victim.sign(3), victim.sign(2), victim.sign(3)), 1, 1},
		{"oversized line", says(bytes.Repeat([]byte("a"), 1<<20)), 0, 25},
		{"flood of servers", says(flood...), 10, 1},
		{"endless line", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				w.Write(make([]byte, 4096))
			}
		}, 0, 25},
		{"endless lines", func(w http.ResponseWriter, r *http.Request) {
			for b := bufio.NewWriter(w); r.Context().Err() == nil; {
				b.WriteString("[]\n")
			}
		}, 0, 25},
		{"no answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 0, 25},
		{"refusal", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "go away", 401) }, 0, 25},
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://192.0.2.1/", 302) }, 0, 25},
		{"cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, 25},
		{"ends at once", func(http.ResponseWriter, *http.Request) {}, 0, 25},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				liar, honest := newFURL(t), newFURL(t)
				var requests atomic.Int32
				w.up(liar.Address(), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					requests.Add(1)
					tt.lie(rw, r)
				}))
				w.up(honest.Address(), says(stolen))
				c, stop := run(t, client.Config{Peer: w.peer, MaxServers: 10,
					Introducers: map[string]*introducer.FURL{"liar": liar.ReadOnly(), "true": honest.ReadOnly()}})
				time.Sleep(hour)
				if got := known(c); got[victim.id()] != 7 || len(got) > 1+tt.most {
					t.Errorf("got %d servers and %d for the victim, want at most %d and 7", len(got), got[victim.id()], 1+tt.most)
				}
				if s := c.Status()[0]; s.Servers > tt.most {
					t.Errorf("%d servers learnt from the liar, want at most %d", s.Servers, tt.most)
				}
				if n := int(requests.Load()); n == 0 || n > tt.requests {
					t.Errorf("%d requests in an hour, want 1 to %d", n, tt.requests)
				}
				stop()
			})
		})
	}
}

// A stream that dies without a word is left after a bounded time.
func TestDeadStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := newFURL(t)
		var requests atomic.Int32
		w.up(f.Address(), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			http.NewResponseController(rw).Flush()
			<-r.Context().Done()
		}))
		run(t, client.Config{Peer: w.peer, Introducers: map[string]*introducer.FURL{"a": f.ReadOnly()}})
		time.Sleep(3*hour + 20*time.Minute)
		if n := requests.Load(); n != 2 {
			t.Errorf("after 3:20 hours: got %d requests, want 2", n)
		}
	})
}

// An introducer cannot push our sequence number up with what we did not
// sign, nor make us hurry with what we did.
func TestLiesAboutOurNumber(t *testing.T) {
	n := newNode(t)
	for _, tt := range []struct {
		name   string
		newest func(raw []byte) []byte
		most   uint64
	}{
		{"forged", func(raw []byte) []byte {
			return bytes.Replace(raw, []byte(`\"seqnum\":1`), []byte(`\"seqnum\":9`), 1)
		}, 1},
		{"another server's", func([]byte) []byte { return newNode(t).sign(900) }, 1},
		{"our own, just sent", func(raw []byte) []byte { return raw }, 1},
		{"one of ours of long ago", func([]byte) []byte { return n.sign(50) }, 51},
		{"nothing", func([]byte) []byte { return nil }, 1},
		{"endless", func([]byte) []byte { return make([]byte, 1<<20) }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n.last = 0
				w := newWorld(t)
				f := newFURL(t)
				var posts atomic.Int32
				w.up(f.Address(), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if r.Method != http.MethodPost {
						<-r.Context().Done()
						return
					}
					posts.Add(1)
					raw, _ := io.ReadAll(r.Body)
					rw.WriteHeader(http.StatusConflict)
					rw.Write(tt.newest(raw))
				}))
				c, stop := run(t, client.Config{Peer: w.peer, Publication: n.publication(), Introducers: map[string]*introducer.FURL{"a": f}})
				time.Sleep(hour)
				stop()
				if n.last != tt.most || posts.Load() > 25 || c.Status()[0].Announced != 0 {
					t.Errorf("got number %d after %d requests, announced %d; want %d, at most 25 and 0",
						n.last, posts.Load(), c.Status()[0].Announced, tt.most)
				}
			})
		})
	}
}

// While our own Tor is not ready, the client asks often: nobody else hears
// it.
func TestTorDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := newFURL(t)
		w.honest(f, new(memory))
		var ready atomic.Bool
		peer := func(a onion.Addr, group string) http.RoundTripper {
			if !ready.Load() {
				return torDown{}
			}
			return w.peer(a, group)
		}
		c, _ := run(t, client.Config{Peer: peer, Introducers: map[string]*introducer.FURL{"a": f.ReadOnly()}})
		time.Sleep(hour)
		ready.Store(true)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if !c.Status()[0].Connected {
			t.Errorf("ten seconds after Tor: %+v", c.Status()[0])
		}
	})
}

type torDown struct{}

func (torDown) RoundTrip(*http.Request) (*http.Response, error) { return nil, onion.ErrTorDown }

func TestConfig(t *testing.T) {
	w := newWorld(t)
	if _, err := client.New(client.Config{}); !errors.Is(err, onion.ErrNoNetwork) {
		t.Errorf("New without a network: got %v, want ErrNoNetwork", err)
	}
	for _, cfg := range []client.Config{
		{Peer: w.peer, MaxServers: -1},
		{Peer: w.peer, Pinned: []string{"x"}},
		{Peer: w.peer, Publication: &client.Publication{}},
		{Peer: w.peer, Introducers: map[string]*introducer.FURL{"a": nil}},
	} {
		if _, err := client.New(cfg); err == nil {
			t.Errorf("New(%+v): no error", cfg)
		}
	}
}

// Secrets stay out of what is shown.
func TestStatusHoldsNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := newFURL(t)
		w.up(f.Address(), http.NotFoundHandler())
		c, _ := run(t, client.Config{Peer: w.peer, Publication: newNode(t).publication(), Introducers: map[string]*introducer.FURL{"a": f}})
		synctest.Wait()
		text := fmt.Sprintf("%+v", c.Status())
		for _, secret := range []string{f.PublishSecret().Reveal(), f.SubscribeSecret().Reveal()} {
			if strings.Contains(text, secret) {
				t.Error("the status holds a secret")
			}
		}
		if !strings.Contains(text, "404") {
			t.Errorf("the status does not say what went wrong: %s", text)
		}
	})
}
