package tor

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"lafs/onion"
)

// Requests from everywhere, between events, all get their own answers.
func TestControlConnDoesNotDeadlock(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	near, far := net.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, err := far.Read(buf)
			if err != nil {
				return
			}
			key := strings.TrimSpace(strings.TrimPrefix(string(buf[:n]), "GETINFO "))
			answer := "650 HS_DESC UPLOADED x\r\n650-STATUS_CLIENT a\r\n650 OK\r\n" +
				"250-" + key + "=" + key + "\r\n250 OK\r\n" + "650 STATUS_CLIENT NOTICE BOOTSTRAP\r\n"
			if _, err := far.Write([]byte(answer)); err != nil {
				return
			}
		}
	})
	var events atomic.Int64
	c := newControlConn(near, func(code, text string) { events.Add(1) })
	c.trust()
	var askers sync.WaitGroup
	const each, all = 20, 16
	for i := range all {
		askers.Go(func() {
			for j := range each {
				key := fmt.Sprintf("k%d.%d", i, j)
				if got, err := c.info(key); err != nil || got != key {
					t.Errorf("info: got %q, %v, want %q", got, err, key)
				}
			}
		})
	}
	askers.Wait()
	if _, err := c.request("A\r\nB"); err == nil {
		t.Error("request: a line break, and no error")
	}
	c.close()
	far.Close()
	wg.Wait()
	if n := events.Load(); n < 2*each*all {
		t.Errorf("events: got %d, want %d or more", n, 2*each*all)
	}
	if _, err := c.request("GETINFO version"); err == nil {
		t.Error("request after close: no error")
	}
}

func TestFields(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"a  b", []string{"a", "b"}},
		{`PROGRESS=10 SUMMARY="Connecting to a relay" X=`, []string{"PROGRESS=10", "SUMMARY=Connecting to a relay", "X="}},
		{`"a \"b\" \\" ""`, []string{`a "b" \`, ""}},
		{`"open end`, []string{"open end"}},
	} {
		if got := fields(tt.in); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.want) {
			t.Errorf("fields(%s): got %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzFields(f *testing.F) {
	f.Add(`NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"`)
	f.Add(`"127.0.0.1:9050" "unix:/run/tor/socks"`)
	f.Add(`a\ "b`)
	f.Fuzz(func(t *testing.T, s string) {
		got := fields(s)
		var quoted []string
		for _, g := range got {
			quoted = append(quoted, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(g)+`"`)
		}
		if back := fields(strings.Join(quoted, " ")); fmt.Sprintf("%q", back) != fmt.Sprintf("%q", got) {
			t.Errorf("round trip: got %q, want %q", back, got)
		}
	})
}

func FuzzReadReply(f *testing.F) {
	f.Add([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 80, 'x'})
	f.Add([]byte{5, 0xF0, 0, 3, 2, 'a', 'b', 0, 80})
	f.Add(append([]byte{5, 0, 0, 4}, make([]byte, 18)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := strings.NewReader(string(b))
		err := readReply(r)
		if err != nil {
			return
		}
		used := len(b) - r.Len()
		want := map[byte]int{addrIPv4: 10, addrIPv6: 22}[b[3]]
		if b[3] == addrName {
			want = 7 + int(b[4])
		}
		if used != want || b[0] != 5 || b[1] != 0 {
			t.Errorf("readReply: took %d bytes of % x, want %d", used, b, want)
		}
	})
}

func TestChooseSocks(t *testing.T) {
	none := func(endpoint) bool { return false }
	for _, tt := range []struct{ name, in, want string }{
		{"Debian", `"127.0.0.1:9050" "unix:/run/tor/socks"`, "unix:/run/tor/socks"},
		{"one", `"127.0.0.1:9150"`, "127.0.0.1:9150"},
		{"IPv6", `"[::1]:9050"`, "[::1]:9050"},
		{"foreign", `"192.0.2.1:9050" "127.0.0.1:9050"`, "127.0.0.1:9050"},
		{"only foreign", `"0.0.0.0:9050"`, ""},
		{"none", "", ""},
		{"garbage", `"unix:x" y "`, ""},
	} {
		got, err := chooseSocks(tt.in, none)
		if got.zero() != (tt.want == "") || !got.zero() && got.String() != tt.want || (err != nil) != got.zero() {
			t.Errorf("chooseSocks %s: got %v, %v, want %q", tt.name, got, err, tt.want)
		}
	}
	at := loopbackEndpoint(9050)
	if _, err := chooseSocks(at.String(), func(e endpoint) bool { return e == at }); err == nil {
		t.Error("chooseSocks: a port without isolation, and no error")
	}
}

func TestSharingIsSeen(t *testing.T) {
	f := newControl(t, &fakeControl{answer: func(line string) (string, bool) {
		if line == "GETCONF SocksPort" {
			return "250-SocksPort=9050 NoIsolateSOCKSAuth\r\n250 SocksPort=unix:/run/tor/socks WorldWritable\r\n", true
		}
		return "", false
	}})
	s, err := openSession(t.Context(), f.endpoint(), true, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if shares := s.sharing(); !shares(loopbackEndpoint(9050)) || shares(endpoint{"unix", "/run/tor/socks"}) {
		t.Error("sharing: got it wrong")
	}
}

// After a hang the same lane asks for another circuit, which is still the
// lane's own.
func TestCredentialsAfterAHang(t *testing.T) {
	n := newTor(Config{})
	one, two := onion.NewLane(), onion.NewLane()
	seen := make(map[string]bool)
	for _, lane := range []onion.Lane{one, two} {
		for hung := range 3 {
			user, password := n.credentials(lane, hung)
			if seen[user+password] || len(user) != 32 || len(password) != 32 {
				t.Errorf("credentials of attempt %d: not new, or short", hung)
			}
			seen[user+password] = true
		}
	}
}
