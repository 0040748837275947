package tor

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
)

// asUser runs f with the identity that another user's sockets have.
func asUser(uid int, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The thread ends with the goroutine, and with it its identity.
		runtime.LockOSThread()
		syscall.RawSyscall(syscall.SYS_SETFSUID, uintptr(uid), 0, 0)
		f()
	}()
	<-done
}

// listenAs listens on a loopback port as a socket of another user.
func listenAs(t *testing.T, uid int) net.Listener {
	t.Helper()
	var l net.Listener
	var err error
	asUser(uid, func() { l, err = net.Listen("tcp", "127.0.0.1:0") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// A local user who sits on a port that we try, and passes on to the real Tor
// what we say, proves that he knows the cookie.
func TestRelayedControlPort(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can open a port as another user")
	}
	cookie := filepath.Join(tempDir(t), "control_auth_cookie")
	if err := os.WriteFile(cookie, testCookie, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		uid  int
		ok   bool
	}{{"root's", 0, true}, {"a stranger's", 54321, false}} {
		t.Run(tt.name, func(t *testing.T) {
			f := newControl(t, &fakeControl{auth: `METHODS=SAFECOOKIE COOKIEFILE="` + cookie + `"`, cookie: testCookie})
			l := listenAs(t, tt.uid)
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				tor, err := net.Dial("unix", f.path)
				if err != nil {
					return
				}
				defer tor.Close()
				go io.Copy(tor, c)
				io.Copy(c, tor)
			}()
			s, err := openSession(within(t), endpoint{network: "tcp", addr: l.Addr().String()}, false, nil)
			if err == nil {
				s.close()
			}
			if (err == nil) != tt.ok || !tt.ok && !errors.Is(err, errUnverified) {
				t.Errorf("openSession: got %v, want ok %v", err, tt.ok)
			}
			if !tt.ok && len(f.asked("")) > 0 {
				t.Errorf("the relay was told %q", f.asked(""))
			}
		})
	}
}

func TestListeners(t *testing.T) {
	if kernelAddr(netip.MustParseAddr("127.0.0.1")) != "0100007F" {
		t.Skip("SKIPPED: the table below is of a little-endian machine")
	}
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:235B 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 1 2
   1: 0100007F:235C 00000000:0000 0A 00000000:00000000 00:00000000 00000000   102        0 1 2
   2: 0100007F:235B 0100007F:1111 01 00000000:00000000 00:00000000 00000000   103        0 1 2
   3: 00000000:235B 00000000:0000 0A 00000000:00000000 00:00000000 00000000   104        0 1 2
   4: 0200007F:235B 00000000:0000 0A 00000000:00000000 00:00000000 00000000   105        0 1 2
   0: 00000000000000000000000000000000:235B 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   106        0 1 2
   1: 0000000000000000FFFF00000100007F:235B 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   107        0 1 2
   2: 00000000000000000000000001000000:235B 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   108        0 1 2
`
	for at, want := range map[string][]uint64{
		"127.0.0.1:9051": {101, 104, 106, 107},
		"[::1]:9051":     {104, 106, 108},
		"127.0.0.1:9052": {102},
		"127.0.0.1:9053": nil,
	} {
		if got := listeners(table, netip.MustParseAddrPort(at)); !slices.Equal(got, want) {
			t.Errorf("listeners at %s: got %d, want %d", at, got, want)
		}
	}
}
