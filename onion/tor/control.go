package tor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	bine "github.com/cretz/bine/control"
)

// A controlConn is a control connection to Tor. It uses bine to read and
// split Tor's answers, and nothing else of it: bine's own requests deadlock
// when made at once or beside a listener that is slow. Here one goroutine
// reads everything, answers go to the one request in flight, and events to
// a function that may not block. bine's DebugWriter is never set, since it
// prints private keys.
type controlConn struct {
	conn    net.Conn
	budget  *budget
	onEvent func(code, text string)

	turn    sync.Mutex          // held for a request and its answer
	waiting atomic.Bool         // a request is owed an answer
	replies chan *bine.Response // capacity 1: the reader never blocks on it
	done    chan struct{}       // closed when the reader has ended
	err     error               // why; set before done is closed
}

// requestTimeout bounds one request. Tor answers on this machine without
// waiting for its network, so a minute means that it hangs.
const requestTimeout = time.Minute

// maxBeforeAuth bounds what a control port may say before it is trusted.
const maxBeforeAuth = 64 << 10

var errControlLost = errors.New("the control connection to Tor was lost")

// newControlConn takes over conn. onEvent is called from one goroutine.
func newControlConn(conn net.Conn, onEvent func(code, text string)) *controlConn {
	c := &controlConn{
		conn:    conn,
		budget:  &budget{r: conn},
		onEvent: onEvent,
		replies: make(chan *bine.Response, 1),
		done:    make(chan struct{}),
	}
	c.budget.left.Store(maxBeforeAuth)
	go c.read()
	return c
}

// trust lifts the bound on what is read, once the port is authenticated.
func (c *controlConn) trust() { c.budget.trusted.Store(true) }

func (c *controlConn) read() {
	defer close(c.done)
	reader := bine.NewConn(textproto.NewConn(struct {
		io.Reader
		io.Writer
		io.Closer
	}{c.budget, c.conn, c.conn}))
	for {
		r, err := reader.ReadResponse()
		if err != nil {
			c.err = fmt.Errorf("%w: %w", errControlLost, err)
			c.conn.Close()
			return
		}
		if r.IsAsync() {
			c.event(r)
			continue
		}
		if !c.waiting.CompareAndSwap(true, false) {
			c.err = fmt.Errorf("%w: an answer came that nobody asked for", errControlLost)
			c.conn.Close()
			return
		}
		c.replies <- r
	}
}

func (c *controlConn) event(r *bine.Response) {
	line := r.Reply
	if len(r.Data) > 0 {
		line = r.Data[0]
	}
	code, text, _ := strings.Cut(line, " ")
	c.onEvent(code, text)
}

// A refusal is Tor's answer to a request that it does not follow.
type refusal struct {
	code int
	text string // scrubbed of what may be secret
}

func (r *refusal) Error() string { return fmt.Sprintf("Tor refused (%d): %s", r.code, r.text) }

// request sends one line and returns the lines of Tor's answer, without
// their codes; the last is the closing one, such as "OK". A refusal comes as
// *refusal. The line may hold secrets: no error quotes it.
func (c *controlConn) request(line string) ([]string, error) {
	if strings.ContainsAny(line, "\r\n") {
		return nil, errors.New("a request to Tor has a line break")
	}
	c.turn.Lock()
	defer c.turn.Unlock()
	limit := time.NewTimer(requestTimeout)
	defer limit.Stop()
	c.waiting.Store(true)
	c.conn.SetWriteDeadline(time.Now().Add(requestTimeout))
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		c.conn.Close()
		return nil, fmt.Errorf("%w: %w", errControlLost, err)
	}
	select {
	case r := <-c.replies:
		if !r.IsOk() {
			return nil, &refusal{code: r.Err.Code, text: scrub(r.Reply)}
		}
		return r.DataWithReply(), nil
	case <-c.done:
		return nil, c.err
	case <-limit.C:
		c.conn.Close()
		return nil, fmt.Errorf("%w: no answer within %v", errControlLost, requestTimeout)
	}
}

// info asks for one value of GETINFO. One key a request, in a fixed form:
// filters before the control port match whole requests.
func (c *controlConn) info(key string) (string, error) {
	lines, err := c.request("GETINFO " + key)
	if err != nil {
		return "", err
	}
	value, ok := strings.CutPrefix(lines[0], key+"=")
	if !ok {
		return "", fmt.Errorf("Tor answered GETINFO %s with something else", key)
	}
	return strings.TrimPrefix(value, "\r\n"), nil
}

// close ends the connection and waits for its reader.
func (c *controlConn) close() {
	c.conn.Close()
	<-c.done
}

// A budget is a reader that ends after a number of bytes until it is trusted.
type budget struct {
	r       io.Reader
	left    atomic.Int64
	trusted atomic.Bool
}

func (b *budget) Read(p []byte) (int, error) {
	if b.trusted.Load() {
		return b.r.Read(p)
	}
	left := b.left.Load()
	if left <= 0 {
		return 0, errors.New("it says too much before it is authenticated")
	}
	n, err := b.r.Read(p[:min(int64(len(p)), left)])
	b.left.Add(-int64(n))
	return n, err
}
