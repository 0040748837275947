package door

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"lafs/onion/mux"
)

// A conn is one connection of a client. It is not a *tls.Conn to net/http,
// which would tell a client without TLS what it met.
type conn struct {
	*tls.Conn
	place *mux.Place

	// The answer that is under way is a handler's, or where bare is not nil
	// and it is not, one of net/http's own. Only the goroutine that net/http
	// serves the connection with touches them.
	handled bool
	bare    io.Writer

	mu     sync.Mutex
	cancel context.CancelFunc // guarded by mu; of its requests, nil before the first
}

// Write lets of net/http's own answers no more through than their codes.
func (c *conn) Write(p []byte) (int, error) {
	if c.handled {
		return c.write(p)
	}
	if c.bare == nil {
		c.bare = mux.Bare(writerFunc(c.write))
	}
	return c.bare.Write(p)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// connKey is where a request's context has its *conn.
type connKey struct{}

// answers marks what h answers as a handler's.
func answers(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Context().Value(connKey{}).(*conn).handled = true
		h.ServeHTTP(w, r)
	})
}

// write fails when the client takes nothing for a while, however much it
// took before.
func (c *conn) write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		c.SetWriteDeadline(time.Now().Add(writeStall))
		k, err := c.Conn.Write(p[n:min(len(p), n+maxWrite)])
		n += k
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// cut ends the connection and its requests without a word, and does not wait.
func (c *conn) cut() {
	c.NetConn().Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil {
		c.cancel()
	}
}

// begin returns the context of the connection's requests.
func (c *conn) begin(ctx context.Context) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	// net/http sees that a client is gone only once the body was read.
	ctx, c.cancel = context.WithCancel(ctx)
	return mux.WithPlace(context.WithValue(ctx, connKey{}, c), c.place)
}

func (*conn) RemoteAddr() net.Addr { return somebody{} }
func (*conn) LocalAddr() net.Addr  { return somebody{} }

// somebody is the address of every peer, so that none can reach a log.
type somebody struct{}

func (somebody) Network() string { return "onion" }
func (somebody) String() string  { return "onion" }
