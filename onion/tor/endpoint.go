package tor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
)

// An endpoint is where a Tor listens on this machine: a unix socket or a
// loopback port. The zero endpoint is none. It can hold another address only
// where the system itself is one half of a pair that Tor joins (see
// environment.gateway).
type endpoint struct {
	network string // "unix" or "tcp"
	addr    string // absolute path, or IP literal and port
}

// maxSocketPath is what fits into a sockaddr_un on every system we run on.
const maxSocketPath = 103

var errNotLoopback = errors.New("only a unix socket or a loopback address is accepted, " +
	"since what is said to Tor must not cross a network: unix:/path, 127.0.0.1:PORT or [::1]:PORT")

// parseEndpoint reads "unix:/path", "127.0.0.1:port" or "[::1]:port", with
// the path in quotes as Tor prints it or without.
func parseEndpoint(s string) (endpoint, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		return unixEndpoint(strings.Trim(path, `"`))
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return endpoint{}, fmt.Errorf("read address %q of Tor: %w", clip(s), errNotLoopback)
	}
	if a := ap.Addr(); a != netip.IPv6Loopback() && a != loopback4 {
		return endpoint{}, fmt.Errorf("read address %q of Tor: %w", clip(s), errNotLoopback)
	}
	if ap.Port() == 0 {
		return endpoint{}, fmt.Errorf("read address %q of Tor: port 0", clip(s))
	}
	return endpoint{network: "tcp", addr: ap.String()}, nil
}

var loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func unixEndpoint(path string) (endpoint, error) {
	switch {
	case !filepath.IsAbs(path):
		return endpoint{}, fmt.Errorf("read address of Tor: the path of the unix socket does not start with /")
	case len(path) > maxSocketPath:
		return endpoint{}, fmt.Errorf("read address of Tor: the path of the unix socket has more than %d bytes", maxSocketPath)
	case strings.ContainsAny(path, "\x00\r\n\""):
		return endpoint{}, fmt.Errorf("read address of Tor: the path of the unix socket has a character that none may have")
	}
	return endpoint{network: "unix", addr: path}, nil
}

// loopbackEndpoint is a port of 127.0.0.1.
func loopbackEndpoint(port uint16) endpoint {
	return endpoint{network: "tcp", addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port)))}
}

func (e endpoint) zero() bool { return e.network == "" }

// String returns what parseEndpoint reads.
func (e endpoint) String() string {
	if e.network == "unix" {
		return "unix:" + e.addr
	}
	return e.addr
}

// dial connects to the endpoint. An IP literal is never looked up.
func (e endpoint) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, e.network, e.addr)
}
