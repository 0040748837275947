package node_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"lafs/node"
	"lafs/onion/local"
	"lafs/onion/oniontest"
)

// node.url says where caps are sent: it must not name a port that another
// user of this machine may have by now.
func TestURLOfAnotherTime(t *testing.T) {
	nw := oniontest.New(oniontest.Options{})
	cfg := create(t, node.CreateOptions{WebPort: "tcp:0:interface=127.0.0.1"})
	_, stop := start(t, cfg, nw.Host("client"))
	u, err := url.Parse(read(t, cfg.Dir.URLFile()))
	if err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(cfg.Dir.URLFile()); !os.IsNotExist(err) {
		t.Errorf("after the end: node.url: got %v, want it gone", err)
	}

	// As after a crash, with the port taken by somebody else.
	l, err := local.ListenLoopback(u.Host)
	if err != nil {
		t.Skip("SKIPPED: the port was given away: ", err)
	}
	defer l.Close()
	if err := os.WriteFile(cfg.Dir.URLFile(), []byte(u.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	taken := *cfg
	taken.WebPort = u.Host
	n, err := node.New(&taken, node.Deps{Network: nw.Host("client")})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "web.port") {
		t.Errorf("Run on a port that is taken: got %v", err)
	}
	if _, err := os.Stat(cfg.Dir.URLFile()); !os.IsNotExist(err) {
		t.Errorf("on a port that is taken: node.url: got %v, want it gone", err)
	}
}

// Another user of this machine can't use up what the node needs by
// connecting.
func TestCrowdAtThePort(t *testing.T) {
	nw := oniontest.New(oniontest.Options{})
	cfg := create(t, node.CreateOptions{WebPort: "tcp:0:interface=127.0.0.1"})
	start(t, cfg, nw.Host("client"))
	u, err := url.Parse(read(t, cfg.Dir.URLFile()))
	if err != nil {
		t.Fatal(err)
	}
	var crowd []net.Conn
	defer func() {
		for _, c := range crowd {
			c.Close()
		}
	}()
	for range 256 {
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		crowd = append(crowd, c)
	}
	late, err := net.Dial("tcp", u.Host)
	if err == nil {
		defer late.Close()
		late.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := late.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connection 257: got %d bytes, %v; want it closed", n, err)
		}
	}
	own := local.UnixClient(cfg.Dir.Socket())
	if code, _ := get(t, own, node.SocketHost, "/"); code != 200 {
		t.Errorf("our own socket: got %d", code)
	}
}
