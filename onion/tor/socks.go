package tor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"lafs/onion"
)

// SOCKS5 (RFC 1928, with user and password of RFC 1929) as Tor speaks it.
const (
	socksVersion   = 5
	socksUserAuth  = 2
	socksConnect   = 1
	addrIPv4       = 1
	addrName       = 3
	addrIPv6       = 4
	userAuthVers   = 1
	socksSucceeded = 0
)

// errNotSocks is what a port that is not Tor's gives.
var errNotSocks = errors.New("it does not answer as a SOCKS5 port that takes a user and password")

// greet offers the one method that gives each lane a circuit of its own.
func greet(c io.ReadWriter) error {
	if _, err := c.Write([]byte{socksVersion, 1, socksUserAuth}); err != nil {
		return err
	}
	var answer [2]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return err
	}
	if answer != [2]byte{socksVersion, socksUserAuth} {
		return errNotSocks
	}
	return nil
}

// connect asks for a stream to host and port under user and password, both
// shorter than 256 bytes. A refusal comes as *socksError. Where early is not
// nil, what was written to it goes behind CONNECT without waiting for the
// answer; sent is how much. Tor's two answers before that are waited for,
// since it drops them when more comes first.
func connect(c net.Conn, user, password, host string, port uint16, early *onion.Early) (sent int, err error) {
	if err := greet(c); err != nil {
		return 0, err
	}
	auth := []byte{userAuthVers, byte(len(user))}
	auth = append(auth, user...)
	auth = append(auth, byte(len(password)))
	auth = append(auth, password...)
	if _, err := c.Write(auth); err != nil {
		return 0, err
	}
	var status [2]byte
	if _, err := io.ReadFull(c, status[:]); err != nil {
		return 0, err
	}
	if status != [2]byte{userAuthVers, 0} {
		return 0, errNotSocks
	}
	request := []byte{socksVersion, socksConnect, 0, addrName, byte(len(host))}
	request = append(request, host...)
	request = append(request, byte(port>>8), byte(port))
	if _, err := c.Write(request); err != nil {
		return 0, err
	}
	if early == nil {
		return 0, readReply(c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	sending := make(chan int)
	go func() { sending <- sendEarly(ctx, c, early) }()
	if err = readReply(c); err != nil {
		c.Close() // ends a write that waits
	}
	cancel()
	return <-sending, err
}

// sendEarly sends what is written to early until ctx ends, and returns how
// much that was.
func sendEarly(ctx context.Context, c net.Conn, early *onion.Early) (sent int) {
	for {
		next := early.Next(ctx, sent)
		if len(next) == 0 {
			return sent
		}
		n, err := c.Write(next)
		sent += n
		if err != nil {
			return sent // a stream that is broken shows that to who uses it
		}
	}
}

// readReply reads the answer to CONNECT to its last byte and not beyond: what
// follows belongs to the stream.
func readReply(r io.Reader) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	if head[0] != socksVersion || head[2] != 0 {
		return errNotSocks
	}
	length := 0
	switch head[3] {
	case addrIPv4:
		length = 4
	case addrIPv6:
		length = 16
	case addrName:
		var n [1]byte
		if _, err := io.ReadFull(r, n[:]); err != nil {
			return err
		}
		length = int(n[0])
	default:
		return errNotSocks
	}
	if _, err := io.CopyN(io.Discard, r, int64(length)+2); err != nil {
		return err
	}
	if head[1] != socksSucceeded {
		return &socksError{code: head[1]}
	}
	return nil
}

// A socksError is a CONNECT that Tor refused. Codes from 0xF0 on are Tor's
// extended ones (ExtendedErrors in tor(1)).
type socksError struct{ code byte }

// A verdict is what a code means: which of package onion's errors, whether
// trying again may help, and Tor's finding in a person's words.
type verdict struct {
	is        error
	transient bool
	text      string
}

var verdicts = map[byte]verdict{
	1: {onion.ErrUnreachable, true, "Tor gave no reason"},
	2: {onion.ErrUnreachable, false, "this Tor's rules forbid the connection; its SocksPolicy or port flags are too strict"},
	3: {onion.ErrUnreachable, true, "Tor found no way through its network"},
	// Without ExtendedErrors, Tor says this of a missing descriptor.
	4: {onion.ErrNotFound, true, "Tor found no way to the service"},
	5: {onion.ErrRefused, false, "Tor reached the service"},
	6: {onion.ErrUnreachable, true, "Tor ran out of time"},
	7: {onion.ErrUnreachable, false, "this SOCKS port does not know the command; is it Tor's?"},
	8: {onion.ErrUnreachable, false, "this SOCKS port does not take onion addresses; is it Tor's?"},

	0xF0: {onion.ErrNotFound, true, "Tor asked all directories for it"},
	0xF1: {onion.ErrUnreachable, false, "its descriptor cannot be read"},
	0xF2: {onion.ErrUnreachable, true, "none of its introduction points let us through; it may have just gone down"},
	0xF3: {onion.ErrUnreachable, true, "it did not come to the rendezvous"},
	0xF4: {onion.ErrClientAuth, false, "Tor has no client key for it"},
	0xF5: {onion.ErrClientAuth, false, "it does not know the client key that Tor has for it"},
	0xF6: {onion.ErrBadAddr, false, "Tor refuses the address"},
	0xF7: {onion.ErrUnreachable, true, "it did not answer at its introduction points in time"},
}

func (e *socksError) verdict() verdict {
	if v, ok := verdicts[e.code]; ok {
		return v
	}
	return verdict{onion.ErrUnreachable, false, "Tor gave a reason that lafs does not know"}
}

func (e *socksError) Error() string {
	v := e.verdict()
	var b strings.Builder
	fmt.Fprintf(&b, "%v (%s; SOCKS code %02X)", v.is, v.text, e.code)
	return b.String()
}

// Unwrap gives package onion's error.
func (e *socksError) Unwrap() error { return e.verdict().is }
