package tor

import (
	"io"
	"net"
	"net/netip"
	"os"
	"testing"

	"lafs/onion"
)

// dialAs connects as another user.
func dialAs(t *testing.T, uid int, addr string) net.Conn {
	t.Helper()
	var c net.Conn
	var err error
	asUser(uid, func() { c, err = net.Dial("tcp", addr) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// A local user who connects to the port where a system's Tor finds our
// service would learn that it is on this machine.
func TestLocalUsersAreNoPeers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can connect as another user")
	}
	key, id := testKey(t)
	f := newControl(t, &fakeControl{answer: uploads(id, accepts)})
	const torUser = 54320 // has no name here, and the control socket
	if err := os.Chown(f.path, torUser, -1); err != nil {
		t.Fatal(err)
	}
	ls, err := startOn(t, f, bare()).Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80}})
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan struct{}, 8)
	go func() {
		for {
			c, err := ls[0].Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "a service")
			c.Close()
			accepted <- struct{}{}
		}
	}()
	at := ls[0].(*listener).Listener.Addr().String()
	for _, tt := range []struct {
		name string
		uid  int
		ok   bool
	}{{"root", 0, true}, {"a stranger", 54321, false}, {"the holder of the control socket", torUser, true}, {"a stranger again", 54321, false}} {
		c := dialAs(t, tt.uid, at)
		said, _ := io.ReadAll(c)
		if got := string(said); (got == "a service") != tt.ok || !tt.ok && got != "" {
			t.Errorf("%s: was told %q", tt.name, got)
		}
	}
	if len(accepted) != 2 {
		t.Errorf("%d streams reached the service, want 2", len(accepted))
	}
}

func TestConnector(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2379 00000000:0000 0A 00000000:00000000 00:00000000 00000000   107        0 1 1 0 100 0 0 10 0
   1: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 2 1 0 20 4 30 10 -1
   2: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 20 4 30 10 -1
`
	const table6 = `   0: 0000000000000000FFFF00000100007F:9C41 0000000000000000FFFF00000100007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 2 1 0
   1: 00000000000000000000000001000000:9C42 00000000000000000000000001000000:1F90 01 00000000:00000000 00:00000000 00000000  1002        0 2 1 0
   2: 00000000000000000000000001000000:9C43 00000000000000000000000001000000:1F90 01 00000000:0`
	for _, tt := range []struct {
		table, from, to string
		uid             uint64
		ok              bool
	}{
		{table, "127.0.0.1:40000", "127.0.0.1:8080", 1000, true},
		{table, "127.0.0.1:8080", "127.0.0.1:40000", 0, true},
		{table, "127.0.0.1:40001", "127.0.0.1:8080", 0, false},
		{table6, "127.0.0.1:40001", "127.0.0.1:8080", 1001, true},
		{table6, "[::1]:40002", "[::1]:8080", 1002, true},
		{table6, "[::1]:40003", "[::1]:8080", 0, false},
		{"", "127.0.0.1:40000", "127.0.0.1:8080", 0, false},
	} {
		uid, ok := connector(tt.table, netip.MustParseAddrPort(tt.from), netip.MustParseAddrPort(tt.to))
		if uid != tt.uid || ok != tt.ok {
			t.Errorf("from %s to %s: got %d, %v, want %d, %v", tt.from, tt.to, uid, ok, tt.uid, tt.ok)
		}
	}
}
