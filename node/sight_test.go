package node_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"lafs/node"
	"lafs/onion/local"
	"lafs/onion/oniontest"
)

// TestMetrics reads the numbers of a server that was used, and looks for
// what they must not tell.
func TestMetrics(t *testing.T) {
	net := oniontest.New(oniontest.Options{})
	defer net.Close()
	intro := create(t, node.CreateOptions{Introducer: true})
	_, stopIntro := start(t, intro, net.Host("intro"))
	furl := read(t, intro.Dir.IntroducerFURLFile())
	server := create(t, node.CreateOptions{Storage: true, Introducers: []string{furl}, Nickname: "nick-of-a-server"})
	n, stopServer := start(t, server, net.Host("server"))
	client := create(t, node.CreateOptions{Introducers: []string{furl}, Needed: 1, Happy: 1, Total: 1})
	_, stopClient := start(t, client, net.Host("client"))
	u := &user{t, local.UnixClient(client.Dir.Socket()), node.SocketHost}
	cap := u.want(200, "PUT", "/uri", strings.Repeat("some text ", 100))

	info, err := os.Stat(server.Dir.MetricsSocket())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the socket: got %v, %v, want mode 0600", info.Mode(), err)
	}
	m := &user{t, local.UnixClient(server.Dir.MetricsSocket()), node.SocketHost}
	text := m.want(200, "GET", node.MetricsPath, "")
	if !strings.HasSuffix(text, "# EOF\n") {
		t.Error("the numbers are not in the OpenMetrics format")
	}
	for _, want := range []string{
		"lafs_ready 1.0\n", "lafs_storage_shares 1.0\n", "lafs_storage_leases 1.0\n", "lafs_storage_advisories 0.0\n",
		`lafs_storage_requests_total{operation="store",outcome="done"} 1.0`, "# TYPE lafs_storage_received_bytes counter",
		`lafs_servers{state="connected"} 1.0`, "lafs_tor_bootstrap_ratio 1.0\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the numbers lack %q:\n%s", want, text)
		}
	}
	for _, not := range []string{".onion", "v0-", "nick-of", "go_", "process_", "promhttp", string(server.Dir), "URI:", strings.Split(cap, ":")[2]} {
		if strings.Contains(text, not) {
			t.Errorf("the numbers hold %q", not)
		}
	}
	m.want(404, "GET", "/", "")
	m.want(404, "GET", node.StatusPath, "")
	m.want(404, "POST", node.MetricsPath, "")
	st := n.Status().Storage
	if st.Since.Requests == 0 || st.Since != st.Hour || st.Since.Received < 1000 || st.Since.Sent == 0 || st.Leases != 1 {
		t.Errorf("storage status: got %+v", st)
	}
	for _, stop := range []func() error{stopClient, stopServer, stopIntro} {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(server.Dir.MetricsSocket()); err == nil {
		t.Error("the socket is left behind")
	}
}

// TestTroubles: the status has the last warnings, without what their
// attributes name.
func TestTroubles(t *testing.T) {
	log, troubles := node.NewTroubles(slog.DiscardHandler)
	for range 3 {
		log.Warn("a share file is broken", "index", "abcdefgh", "share", 3)
	}
	log.With("peer", "xyz").Error("the storage directory fails", "doing", "read a share", "error", fmt.Errorf("dial onion xyz: %w", syscall.EIO))
	log.Error("another", "err", errors.New("dial onion xyz"))
	log.Info("not noted")
	got := troubles()
	want := []string{"another", "the storage directory fails, read a share: input/output error", "a share file is broken"}
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i, w := range want {
		if got[i].Text != w {
			t.Errorf("trouble %d: got %q, want %q", i, got[i].Text, w)
		}
	}
	if got[2].Count != 3 || got[2].Level != "warn" || got[1].Level != "error" {
		t.Errorf("got %+v", got)
	}
	for i := range 100 {
		log.Warn(fmt.Sprint("number ", i))
	}
	if got := troubles(); len(got) != 16 || got[0].Text != "number 99" {
		t.Errorf("after many: got %d, the newest %q", len(got), got[0].Text)
	}
}

// TestOperationNames: no path becomes a name.
func TestOperationNames(t *testing.T) {
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/storage/v1/immutable/aaaa/0", "immutable_read"},
		{"PATCH", "/storage/v1/immutable/aaaa/0", "immutable_write"},
		{"POST", "/storage/v1/mutable/aaaa/read-test-write", "mutable_write"},
		{"PUT", "/storage/v1/lease/aaaa", "lease"},
		{"GET", "/storage/v1/version", "version"},
		{"POST", "/lafs/v1/slot/aaaa", "slot"},
		{"PATCH", "/lafs/v1/begin/aaaa/0", "begin"},
		{"GET", "/aaaa", "other"},
	} {
		r, err := http.NewRequest(tt.method, "http://x"+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := node.OperationOf(r); got != tt.want {
			t.Errorf("%s %s: got %q, want %q", tt.method, tt.path, got, tt.want)
		}
	}
}
