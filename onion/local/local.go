// Package local opens the only sockets of this machine: unix sockets that
// their owner alone can reach, and TCP on 127.0.0.1 or ::1. The gateway
// listens here, the command line calls the gateway through it, and Tor
// connects to a service's target here. Nothing in it can name another
// machine.
package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// ErrNotLoopback is an address that is not 127.0.0.1 or ::1 in figures, with
// a port.
var ErrNotLoopback = errors.New("not an address of this machine: write 127.0.0.1:<port> or [::1]:<port>")

// ListenLoopback listens on TCP. hostport is 127.0.0.1 or ::1 in figures and
// a port, of which 0 lets the system choose; a name, "localhost" among them,
// is refused, since a resolver would be asked for it. Any program of any
// user of this machine can connect.
func ListenLoopback(hostport string) (net.Listener, error) {
	ap, err := parseLoopback(hostport)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", ap.String())
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", ap, bare(err))
	}
	return l, nil
}

func parseLoopback(hostport string) (netip.AddrPort, error) {
	ap, err := netip.ParseAddrPort(hostport)
	if err != nil {
		return netip.AddrPort{}, ErrNotLoopback
	}
	if a := ap.Addr(); a != netip.AddrFrom4([4]byte{127, 0, 0, 1}) && a != netip.IPv6Loopback() {
		return netip.AddrPort{}, ErrNotLoopback
	}
	return ap, nil
}

// idleTimeout closes connections that a caller has left: nobody is far away
// here, so a new one costs nothing.
const idleTimeout = 30 * time.Second

// UnixClient returns the way to an HTTP server on a unix socket. The host of
// a request's URL is not used to find it. Safe for concurrent use; it keeps a
// few idle connections for half a minute.
func UnixClient(path string) http.RoundTripper {
	return transport(func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	})
}

// LoopbackClient returns the way to an HTTP server on 127.0.0.1 or ::1, as
// UnixClient does for a unix socket.
func LoopbackClient(hostport string) (http.RoundTripper, error) {
	ap, err := parseLoopback(hostport)
	if err != nil {
		return nil, err
	}
	return transport(func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", ap.String())
	}), nil
}

// transport has no proxy and follows no redirect: Transport never does.
func transport(dial func(context.Context) (net.Conn, error)) http.RoundTripper {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := dial(ctx)
			if err != nil {
				return nil, bare(err)
			}
			return c, nil
		},
		DisableCompression: true,
		MaxIdleConns:       4,
		IdleConnTimeout:    idleTimeout,
	}
}

// bare takes the path or address out of an error of package net.
func bare(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
