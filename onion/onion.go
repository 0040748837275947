// Package onion holds the words of lafs's only network: the address and key
// of a Tor v3 onion service, the Network that dials and publishes them, and
// its errors. It opens no socket. Package onion/tor carries it over Tor,
// package onion/oniontest in memory.
//
// It is the first of the locks that keep lafs silent on the clear net: an
// Addr can hold nothing but a v3 onion address with a good checksum, so an
// IP address or a DNS name cannot be said, and there is no Lookup.
package onion

import (
	"context"
	"net"
)

// A Network reaches onion services and publishes them. All methods may be
// called at once. A nil Network is an error wherever one is asked for; use
// Require to say so.
type Network interface {
	// Dial opens a stream to a, on the circuit that lane names: two dials
	// with one lane may share a circuit, two with different lanes never do.
	// It returns when the service has answered or ctx is done. Its errors
	// match the sentinels of this package where they are Tor's.
	Dial(ctx context.Context, a Addr, lane Lane) (net.Conn, error)

	// Listen publishes the service and returns one listener a port, in the
	// order of s.Ports, once the service's descriptor has been uploaded. The
	// service is withdrawn when the last of its listeners is closed. It is
	// published again, without the caller noticing, whenever the network
	// itself comes back.
	Listen(ctx context.Context, s Service) ([]net.Listener, error)
}

// A Service is what a node publishes: a key and the virtual ports on which
// it answers.
type Service struct {
	Key   *Key
	Ports []uint16
}

// Require returns ErrNoNetwork when nw is nil. Every constructor that takes
// a Network calls it: nothing falls back to another network.
func Require(nw Network) error {
	if nw == nil {
		return ErrNoNetwork
	}
	return nil
}
