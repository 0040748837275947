package door

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// A conn is one connection of a client. It is not a *tls.Conn to net/http,
// which would tell a client without TLS what it met.
type conn struct {
	*tls.Conn
	accepted time.Time

	mu     sync.Mutex
	cancel context.CancelFunc // guarded by mu; of its requests, nil before the first
	known  bool               // guarded by mu; a request got an answer that is no refusal
	idle   bool               // guarded by mu; between two requests
	since  time.Time          // guarded by mu; when idle last changed
}

// connKey is where a request's context has its *conn.
type connKey struct{}

// Write fails when the client takes nothing for a while, however much it
// took before.
func (c *conn) Write(p []byte) (int, error) {
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
	return context.WithValue(ctx, connKey{}, c)
}

func (c *conn) setIdle(idle bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle, c.since = idle, time.Now()
}

func (c *conn) know() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = true
}

func (c *conn) state() (idle, known bool, since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idle, c.known, c.since
}

func (*conn) RemoteAddr() net.Addr { return somebody{} }
func (*conn) LocalAddr() net.Addr  { return somebody{} }

// somebody is the address of every peer, so that none can reach a log.
type somebody struct{}

func (somebody) Network() string { return "onion" }
func (somebody) String() string  { return "onion" }

// knowing notices the first answer on a connection that is no refusal.
func knowing(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Context().Value(connKey{}).(*conn)
		aw := &answerWriter{ResponseWriter: w, conn: c}
		h.ServeHTTP(aw, r)
		aw.begin(http.StatusOK)
	})
}

type answerWriter struct {
	http.ResponseWriter
	conn  *conn
	begun bool
}

func (a *answerWriter) begin(status int) {
	if !a.begun && status >= 200 {
		a.begun = true
		if status < http.StatusBadRequest {
			a.conn.know()
		}
	}
}

func (a *answerWriter) WriteHeader(status int) {
	a.begin(status)
	a.ResponseWriter.WriteHeader(status)
}

func (a *answerWriter) Write(p []byte) (int, error) {
	a.begin(http.StatusOK)
	return a.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach deadlines.
func (a *answerWriter) Unwrap() http.ResponseWriter { return a.ResponseWriter }
