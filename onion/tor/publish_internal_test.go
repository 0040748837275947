package tor

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lafs/onion"
)

func testKey(t *testing.T) (*onion.Key, string) {
	t.Helper()
	k, err := onion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	a, err := k.Addr(1)
	if err != nil {
		t.Fatal(err)
	}
	return k, strings.TrimSuffix(a.Host(), ".onion")
}

// uploads makes a fakeControl answer ADD_ONION like a tor that is connected.
func uploads(id string, refuse func(n int64) string) func(string) (string, bool) {
	var n atomic.Int64
	return func(line string) (string, bool) {
		if !strings.HasPrefix(line, "ADD_ONION ") {
			return "", false
		}
		if text := refuse(n.Add(1)); text != "" {
			return text + "\r\n", true
		}
		return "650 HS_DESC UPLOADED " + id + " UNKNOWN $x\r\n250-ServiceID=" + id + "\r\n250 OK\r\n", true
	}
}

func accepts(int64) string { return "" }

func startOn(t *testing.T, f *fakeControl, env environment) *Tor {
	t.Helper()
	n := newTor(Config{})
	from := &foundTor{t: n, env: env, at: f.endpoint(), named: true, name: "control"}
	_, s, err := opened(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	n.start(from, s)
	t.Cleanup(func() { n.Close() })
	return n
}

func bare() environment { return environment{get: func(string) string { return "" }} }

// The form of ADD_ONION is frozen: filters match it.
func TestAddOnionForm(t *testing.T) {
	key, id := testKey(t)
	f := newControl(t, &fakeControl{answer: uploads(id, accepts)})
	n := startOn(t, f, bare())
	ls, err := n.Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80, 443}})
	if err != nil {
		t.Fatal(err)
	}
	want := "ADD_ONION " + key.Marshal() + " Flags=DiscardPK,MaxStreamsCloseCircuit MaxStreams=64 PoWDefensesEnabled=1 PoWQueueRate=50 PoWQueueBurst=500" +
		" Port=80," + ls[0].(*listener).Listener.Addr().String() +
		" Port=443," + ls[1].(*listener).Listener.Addr().String()
	if got := f.asked("ADD_ONION"); len(got) != 1 || got[0] != want {
		t.Errorf("ADD_ONION: got another form of %d lines", len(got))
	}
	for _, l := range ls {
		if host, _, _ := net.SplitHostPort(l.(*listener).Listener.Addr().String()); host != "127.0.0.1" {
			t.Errorf("target: got %s, want loopback", host)
		}
	}
	ls[0].Close()
	if len(f.asked("DEL_ONION")) != 0 {
		t.Error("withdrawn with one listener still open")
	}
	ls[1].Close()
	f.await("DEL_ONION "+id, 1)
	if _, err := n.Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80}}); err != nil {
		t.Error("Listen once it was withdrawn:", err)
	}
	if _, err := n.Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80}}); !errors.Is(err, errTwice) {
		t.Errorf("Listen twice: got %v, want errTwice", err)
	}
}

// A collision passes; another refusal does not, and quotes no key.
func TestRefusedAddOnion(t *testing.T) {
	key, id := testKey(t)
	f := newControl(t, &fakeControl{answer: uploads(id, func(n int64) string {
		if n == 1 {
			return "550 Onion address collision"
		}
		return ""
	})})
	ls, err := startOn(t, f, bare()).Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80}})
	if err != nil {
		t.Fatal("after a collision:", err)
	}
	ls[0].Close()

	f = newControl(t, &fakeControl{answer: uploads(id, func(int64) string { return "513 Bad " + key.Marshal() })})
	_, err = startOn(t, f, bare()).Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80}})
	var refused *refusal
	if !errors.As(err, &refused) || strings.Contains(err.Error(), key.Marshal()[12:]) || strings.Contains(err.Error(), id) {
		t.Errorf("Listen: got %v, want a refusal without key and address", err)
	}
}

// A filter that refuses logs what it refused, so it never sees our key.
func TestFilterSeesNoKeyThatItRefuses(t *testing.T) {
	key, id := testKey(t)
	env := bare()
	env.tails = true
	f := newControl(t, &fakeControl{answer: uploads(id, func(int64) string { return "510 Command filtered" })})
	_, err := startOn(t, f, env).Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80}})
	if err == nil || !strings.Contains(err.Error(), "profile") {
		t.Errorf("Listen: got %v, want what to do", err)
	}
	got := f.asked("ADD_ONION")
	for _, line := range got {
		if strings.Contains(line, key.Marshal()) {
			t.Error("the filter saw our key")
		}
	}
	if len(got) != len(defences) {
		t.Errorf("the filter was asked %d times, want once a form", len(got))
	}
	f = newControl(t, &fakeControl{answer: uploads(id, accepts)})
	if _, err := startOn(t, f, env).Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80}}); err != nil {
		t.Error(err)
	}
	if got := f.asked("ADD_ONION"); len(got) != 2 || !strings.Contains(got[1], key.Marshal()) {
		t.Error("the probe or the service is missing")
	}
}

// What a Tor or a filter refuses is left out, and told; a filter sees our key
// in a form that it accepts, also after the connection was lost.
func TestDefencesThatAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name, refuses string
		filtered      bool
		form          int
	}{
		{"none", "nothing", false, 0},
		{"proof of work", "PoWDefensesEnabled", false, 1},
		{"all", "MaxStreams", false, 2},
		{"all, by a filter", "MaxStreams", true, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key, id := testKey(t)
			env := bare()
			env.tails = tt.filtered
			answer := uploads(id, accepts)
			f := newControl(t, &fakeControl{answer: func(line string) (string, bool) {
				if strings.HasPrefix(line, "ADD_ONION") && strings.Contains(line, tt.refuses) {
					return "513 Invalid argument\r\n", true
				}
				return answer(line)
			}})
			n := startOn(t, f, env)
			if _, err := n.Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80}}); err != nil {
				t.Fatal(err)
			}
			lines := f.asked("ADD_ONION")
			if last := lines[len(lines)-1]; !strings.Contains(last, key.Marshal()+" "+defences[tt.form].options+" Port=") {
				t.Errorf("published in another form: %s", strings.ReplaceAll(last, key.Marshal(), "KEY"))
			}
			for _, line := range lines {
				if tt.filtered && strings.Contains(line, key.Marshal()) && strings.Contains(line, tt.refuses) {
					t.Error("the filter refused, and saw, our key")
				}
			}
			if got := n.Status().Defences; got != defences[tt.form].text {
				t.Errorf("Status: got %q, want %q", got, defences[tt.form].text)
			}
		})
	}
}

// A Tor that is known to have no proof of work is not asked for it, since it
// may agree all the same; one that has it is said to.
func TestDefencesThatTorWasBuiltWith(t *testing.T) {
	for _, tt := range []struct {
		name, list, options, text string
	}{
		{"all", "relay: yes\npow: yes\n", defences[0].options, provenWork},
		{"without", "relay: yes\npow: no\n", defences[1].options, defences[1].text},
		{"from before it", "relay: yes\ndirauth: yes\n", defences[1].options, defences[1].text},
		{"no list", "", defences[0].options, defences[0].text},
		{"no list, but words", "an error\n", defences[0].options, defences[0].text},
	} {
		n := newTor(Config{})
		var asked, told string
		if err := n.strongest(&session{work: parseWork(tt.list)}, func(options string) error {
			asked, told = options, n.Status().Defences
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if asked != tt.options || told != tt.text {
			t.Errorf("%s: asked for %q and told %q, want %q and %q", tt.name, asked, told, tt.options, tt.text)
		}
	}
}

// The connection is lost: the service is added on the next one, and its
// listeners never notice.
func TestServiceIsAddedAgain(t *testing.T) {
	key, id := testKey(t)
	f := newControl(t, &fakeControl{answer: uploads(id, accepts)})
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	n := startOn(t, f, bare())
	ls, err := n.Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80}})
	if err != nil {
		t.Fatal(err)
	}
	for i := 2; i < 4; i++ {
		f.cut()
		f.await("ADD_ONION", i)
	}
	c, err := net.Dial("tcp", ls[0].(*listener).Listener.Addr().String())
	if errors.Is(err, syscall.ENETUNREACH) {
		n.Close()
		t.Skip("SKIPPED in part: the loopback interface is down")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in, err := ls[0].Accept()
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	n.Close()
	if _, err := ls[0].Accept(); !errors.Is(err, onion.ErrClosed) || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: got %v", err)
	}
}

// Close does not wait for a Tor that does not answer.
func TestCloseOfAHungTor(t *testing.T) {
	key, _ := testKey(t)
	f := newControl(t, &fakeControl{answer: func(line string) (string, bool) {
		return "", strings.HasPrefix(line, "ADD_ONION")
	}})
	n := startOn(t, f, bare())
	ended := make(chan error, 1)
	go func() {
		_, err := n.Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80}})
		ended <- err
	}()
	f.await("ADD_ONION", 1)
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, onion.ErrClosed) {
		t.Errorf("Listen: got %v, want ErrClosed", err)
	}
}

func TestListenEndsWithContext(t *testing.T) {
	key, _ := testKey(t)
	f := newControl(t, &fakeControl{})
	n := startOn(t, f, bare())
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		f.await("ADD_ONION", 1)
		cancel()
	}()
	if _, err := n.Listen(ctx, onion.Service{Key: key, Ports: []uint16{80}}); !errors.Is(err, context.Canceled) {
		t.Errorf("Listen: got %v, want Canceled", err)
	}
	f.await("DEL_ONION", 1)
	for _, s := range []onion.Service{{}, {Key: key}, {Ports: []uint16{80}}, {Key: key, Ports: []uint16{0}}, {Key: key, Ports: []uint16{80, 80}}} {
		if _, err := n.Listen(t.Context(), s); err == nil {
			t.Errorf("Listen on %v: no error", s.Ports)
		}
	}
}

// until waits for a status.
func (t *Tor) until(cond func(onion.Status) bool) {
	for {
		t.mu.Lock()
		changed := t.changed
		t.mu.Unlock()
		if cond(t.Status()) {
			return
		}
		<-changed
	}
}

// A Tor that died: who dials is told at once, and again when it is back.
func TestDialWhileTorIsGone(t *testing.T) {
	f := newControl(t, &fakeControl{})
	n := startOn(t, f, bare())
	gone := f.path + ".gone"
	if err := os.Rename(f.path, gone); err != nil {
		t.Fatal(err)
	}
	f.cut()
	n.until(func(s onion.Status) bool { return strings.Contains(s.Warning, "does not run") })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	key, _ := testKey(t)
	a, err := key.Addr(80)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Dial(ctx, a, onion.NewLane()); !errors.Is(err, onion.ErrTorDown) || ctx.Err() != nil {
		t.Errorf("Dial: got %v, want ErrTorDown and no wait", err)
	}
	if err := os.Rename(gone, f.path); err != nil {
		t.Fatal(err)
	}
	n.until(onion.Status.Ready)
}

// TestServiceStatus: what Tor tells of our own services is counted, and of
// others' not.
func TestServiceStatus(t *testing.T) {
	key, id := testKey(t)
	f := newControl(t, &fakeControl{answer: func(line string) (string, bool) {
		switch {
		case strings.HasPrefix(line, "ADD_ONION "):
			return "650 HS_DESC FAILED " + id + " NO_AUTH $x REASON=UPLOAD_REJECTED\r\n" +
				"650 HS_DESC UPLOADED otherotherotherotherotherotherotherotherotherotherother UNKNOWN $x\r\n" +
				"650 STATUS_CLIENT NOTICE CIRCUIT_ESTABLISHED\r\n" +
				"650 HS_DESC UPLOADED " + id + " UNKNOWN $x\r\n650 HS_DESC UPLOADED " + id + " UNKNOWN $y\r\n" +
				"250-ServiceID=" + id + "\r\n250 OK\r\n", true
		case line == "GETINFO status/circuit-established":
			return "250-status/circuit-established=0\r\n250 OK\r\n", true
		}
		return "", false
	}})
	n := startOn(t, f, bare())
	if _, err := n.Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80}}); err != nil {
		t.Fatal(err)
	}
	// Listen returns with the first of the events.
	n.until(func(s onion.Status) bool { return s.Uploads == 2 })
	if s := n.Status(); s.Services != 1 || s.Published != 1 || s.Uploads != 2 || s.FailedUploads != 1 || s.Circuits != onion.Yes {
		t.Errorf("Status: got %+v", s)
	}
	f.cut()
	f.await("ADD_ONION", 2)
}
