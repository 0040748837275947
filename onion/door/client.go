package door

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"lafs/onion"
	"lafs/onion/mux"
)

const (
	// dialTimeout is longer than the time that Tor takes to give up on a
	// service by itself, and has room for the handshake.
	dialTimeout = 2*time.Minute + 30*time.Second
	// smallConns share a circuit, for requests whose body and answer are
	// short: on one connection goes one at a time. bulkConns have circuits of
	// their own, as many as onion/mux takes.
	smallConns = 8
	bulkConns  = mux.DefaultBulkLanes
	// keepIdle is under the minute for which a Tahoe-LAFS server keeps an
	// idle connection, so that no request meets one that is being closed.
	keepIdle = 45 * time.Second
	// A dial that failed is not repeated before backoffMin, doubled with each
	// further failure up to backoffMax, and with as much again at random.
	backoffMin, backoffMax = time.Second, 30 * time.Second
	// maxAnswerHeader bounds the header of an answer, in bytes.
	maxAnswerHeader = 16 << 10
)

// A Pool keeps the connections of its peers. All methods may be called at
// once.
type Pool struct {
	nw     onion.Network
	ctx    context.Context // ends at Close
	cancel context.CancelFunc

	mu     sync.Mutex
	closed bool                  // guarded by mu
	conns  map[*counted]struct{} // guarded by mu; all that are not closed
}

// NewPool returns a pool without connections. A nil nw gives
// onion.ErrNoNetwork.
func NewPool(nw onion.Network) (*Pool, error) {
	if err := onion.Require(nw); err != nil {
		return nil, err
	}
	p := &Pool{nw: nw, conns: make(map[*counted]struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p, nil
}

// Close cuts every connection, so that requests under way fail. Later ones
// fail with an error that matches onion.ErrClosed.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	p.cancel()
	conns := slices.Collect(maps.Keys(p.conns))
	p.mu.Unlock()
	for _, c := range conns {
		c.cut()
	}
	return nil
}

// adopt adds a connection that was opened, unless the pool is closed.
func (p *Pool) adopt(c *counted) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

// A Peer is a storage server that speaks HTTP over TLS on an onion service,
// known by its key. All methods may be called at once.
type Peer struct {
	pool *Pool
	addr onion.Addr
	tls  *tls.Config

	small, bulk *http.Transport

	mu       sync.Mutex
	lane     onion.Lane // guarded by mu; of the small connections
	failures int        // guarded by mu; dials in a row
	retryAt  time.Time  // guarded by mu
	failed   error      // guarded by mu; the latest dial's
	open     int        // guarded by mu; connections
	lastErr  error      // guarded by mu; of the latest request
	lastUsed time.Time  // guarded by mu
	since    time.Time  // guarded by mu; when open last became or left 0
}

// Peer returns the way to the server at addr that shows the key pin, on
// circuits of its own. Nothing is dialled before the first request.
func (p *Pool) Peer(addr onion.Addr, pin onion.Pin) *Peer { return newPeer(p, addr, pin) }

func newPeer(pool *Pool, addr onion.Addr, pin onion.Pin) *Peer {
	p := &Peer{pool: pool, addr: addr, lane: onion.NewLane()}
	p.tls = clientSettings(func(c *x509.Certificate) bool { return onion.PinOf(c.RawSubjectPublicKeyInfo) == pin })
	p.small = transport(smallConns, func(ctx context.Context) (net.Conn, error) { return p.dial(ctx, p.sharedLane()) })
	p.bulk = transport(bulkConns, func(ctx context.Context) (net.Conn, error) { return p.dial(ctx, onion.NewLane()) })
	return p
}

// transport returns net/http's client side. It has no proxy and follows no
// redirect: Transport never does.
func transport(conns int, dial func(context.Context) (net.Conn, error)) *http.Transport {
	return &http.Transport{
		DialTLSContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableCompression:     true,
		MaxConnsPerHost:        conns,
		MaxIdleConnsPerHost:    conns,
		IdleConnTimeout:        keepIdle,
		MaxResponseHeaderBytes: maxAnswerHeader,
	}
}

func (p *Peer) sharedLane() onion.Lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lane
}

// dial opens one connection. After a failure the next small one gets another
// circuit: the one before may be what broke.
func (p *Peer) dial(ctx context.Context, lane onion.Lane) (net.Conn, error) {
	p.mu.Lock()
	if time.Now().Before(p.retryAt) {
		defer p.mu.Unlock()
		return nil, p.failed
	}
	p.mu.Unlock()
	c, err := p.connect(ctx, lane)
	if p.pool.ctx.Err() != nil {
		if c != nil {
			c.NetConn().Close()
		}
		return nil, errClosed
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			p.backOffLocked(err)
		}
		return nil, err
	}
	p.failures, p.retryAt = 0, time.Time{}
	out := &counted{Conn: c, peer: p}
	if !p.pool.adopt(out) {
		c.NetConn().Close()
		return nil, errClosed
	}
	p.countLocked(1)
	return out, nil
}

// A dialError is why there is no connection, in our words.
type dialError struct{ error }

func (e *dialError) Unwrap() error { return e.error }

var errClosed = &dialError{fmt.Errorf("the pool of connections was closed: %w", onion.ErrClosed)}

func (p *Peer) connect(ctx context.Context, lane onion.Lane) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	stop := context.AfterFunc(p.pool.ctx, cancel)
	defer stop()
	raw, err := p.pool.nw.Dial(ctx, p.addr, lane)
	if err != nil {
		return nil, &dialError{fmt.Errorf("reach %s: %w", p.addr.Short(), err)}
	}
	c := tls.Client(raw, p.tls)
	if err := c.HandshakeContext(ctx); err != nil {
		raw.Close()
		switch {
		case ctx.Err() != nil:
			err = ctx.Err()
		case !errors.Is(err, errWrongKey):
			err = errNoTLS // What the peer sent shall not be in an error.
		}
		return nil, &dialError{fmt.Errorf("reach %s: %w: %w", p.addr.Short(), onion.ErrUnreachable, err)}
	}
	return c, nil
}

func (p *Peer) backOffLocked(err error) {
	wait := min(backoffMin<<min(p.failures, 10), backoffMax)
	wait += rand.N(wait)
	p.failures++
	p.failed, p.retryAt, p.lane = err, time.Now().Add(wait), onion.NewLane()
}

func (p *Peer) countLocked(n int) {
	was := p.open > 0
	p.open += n
	if now := p.open > 0; now != was {
		p.since = time.Now()
	}
}

// A counted connection is one of those that the status tells of.
type counted struct {
	*tls.Conn
	peer *Peer
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() {
		c.peer.pool.mu.Lock()
		delete(c.peer.pool.conns, c)
		c.peer.pool.mu.Unlock()
		c.peer.mu.Lock()
		defer c.peer.mu.Unlock()
		c.peer.countLocked(-1)
	})
	return c.Conn.Close()
}

// cut ends the connection without a word, and does not wait.
func (c *counted) cut() { c.NetConn().Close() }

// RoundTripper returns what carries requests of class to the server: bulk
// ones never share a circuit with small ones. Headers outside onion/mux's
// list are not sent. Response bodies must be closed. A request that meets a
// connection that the server has just closed goes again if no byte of it was
// sent, or if it is a GET.
func (p *Peer) RoundTripper(class mux.Class) http.RoundTripper {
	if class == mux.Bulk {
		return &roundTripper{p, p.bulk}
	}
	return &roundTripper{p, p.small}
}

type roundTripper struct {
	peer *Peer
	way  *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (rt *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	out, err := mux.Outgoing(req, "https")
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	resp, err := rt.way.RoundTrip(out)
	if err != nil {
		if req.Context().Err() != nil {
			return nil, req.Context().Err()
		}
		if _, ok := errors.AsType[*dialError](err); !ok {
			err = mux.ErrLost // What the peer sent shall not be in an error.
		}
		rt.peer.ended(err)
		return nil, err
	}
	resp.Header = mux.Incoming(resp.Header)
	resp.Request = req
	resp.Body = &answer{ReadCloser: resp.Body, peer: rt.peer}
	return resp, nil
}

// ended records how a request went.
func (p *Peer) ended(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastErr, p.lastUsed = err, time.Now()
}

// An answer is the body of a response.
type answer struct {
	io.ReadCloser
	peer *Peer
	once sync.Once
	err  error // what Read met, nil at the end; the reader's
}

func (a *answer) Read(b []byte) (int, error) {
	n, err := a.ReadCloser.Read(b)
	if err != nil && err != io.EOF {
		a.err = err
	}
	return n, err
}

func (a *answer) Close() error {
	err := a.ReadCloser.Close()
	a.once.Do(func() { a.peer.ended(a.err) })
	return err
}

// Status returns the peer's status. It does no I/O.
func (p *Peer) Status() mux.PeerStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := mux.PeerStatus{Connected: p.open > 0, Lanes: p.open, LastUsed: p.lastUsed, Since: p.since}
	if p.lastErr != nil {
		st.LastError = p.lastErr.Error()
	}
	return st
}

// Retire closes what is idle, for a server that is not asked any more;
// requests on it still work.
func (p *Peer) Retire() {
	p.small.CloseIdleConnections()
	p.bulk.CloseIdleConnections()
}
