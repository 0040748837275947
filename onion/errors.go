package onion

import "errors"

// Errors that a caller may branch on. Those of Dial carry what Tor said, in
// words that tell a person what happened.
var (
	ErrNoNetwork   = errors.New("no onion network was given; lafs has no other way to reach anybody")
	ErrBadAddr     = errors.New("not a Tor v3 onion address")
	ErrBadKey      = errors.New("not a Tor v3 onion service key")
	ErrTorDown     = errors.New("Tor is not running or not connected to its network yet")
	ErrNotFound    = errors.New("the onion service has published no descriptor: it is down, new, or its address is wrong")
	ErrUnreachable = errors.New("the onion service did not answer through Tor")
	ErrRefused     = errors.New("the onion service refused the connection: nothing listens behind that port")
	ErrClientAuth  = errors.New("the onion service wants a client key that we do not have or that it does not know")
	ErrClosed      = errors.New("the network was closed")
)
