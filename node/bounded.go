package node

import (
	"net"
	"sync"
)

// maxForeign bounds the connections to the web API's port, which every user
// of this machine can open: without a bound they could take all the files
// that the process may have open, and Tor would be out of reach.
const maxForeign = 256

// A bounded listener closes what connects beyond a number of connections.
type bounded struct {
	net.Listener
	slots chan struct{} // one entry a connection
}

func newBounded(l net.Listener, most int) *bounded {
	return &bounded{l, make(chan struct{}, most)}
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case b.slots <- struct{}{}:
			return &boundedConn{Conn: c, free: sync.OnceFunc(func() { <-b.slots })}, nil
		default:
			c.Close()
		}
	}
}

type boundedConn struct {
	net.Conn
	free func()
}

func (c *boundedConn) Close() error {
	defer c.free()
	return c.Conn.Close()
}
