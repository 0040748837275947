// Package door is HTTP/1.1 over TLS on onion circuits, as Tahoe-LAFS carries
// its storage protocol (FORMATS.md section 8): the second door of a storage
// server of ours, for Tahoe-LAFS's clients, and the way of our clients to
// storage servers of Tahoe-LAFS's. The other side is known by the key of its
// certificate and by nothing else in it.
//
// Both sides say as little as they can: TLS 1.3 with fixed settings, no
// session tickets, no server name, no ALPN, a certificate whose names and
// dates are the same for everybody, and of HTTP the headers that onion/mux
// lets through. What TLS's implementation gives away of itself, and that
// Tahoe-LAFS's has another, cannot be hidden.
package door
