package tor

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"time"

	"lafs/onion"
)

// Tor's own patience with one attempt is two minutes. A service that has
// just restarted can let one hang that long, while a second one, on new
// circuits, works at once. So an attempt that has taken longer than almost
// every cold connection gets a second one beside it, and ends later.
const (
	attemptTimeout = 45 * time.Second
	hedgeAfter     = 10 * time.Second
	maxAttempts    = 3
	// absentAttempts bounds the attempts at a service without descriptor:
	// one that was started just now gets a second chance, one that does not
	// exist shall not keep us long.
	absentAttempts = 2
	dialBackoff    = 750 * time.Millisecond
)

// Dial opens a stream to a, on a circuit that only the dials with lane
// share. It waits for a Tor that is starting and tries again, a few times,
// what may pass; ctx ends it at once. Its errors match package onion's.
func (t *Tor) Dial(ctx context.Context, a onion.Addr, lane onion.Lane) (net.Conn, error) {
	c, _, err := t.dial(ctx, a, lane, nil)
	return c, err
}

// DialEarly implements onion.EarlyDialer: each attempt sends what was written
// to e right behind its CONNECT.
func (t *Tor) DialEarly(ctx context.Context, a onion.Addr, lane onion.Lane, e *onion.Early) error {
	c, sent, err := t.dial(ctx, a, lane, e)
	if err != nil {
		return err
	}
	return e.Join(ctx, c, sent)
}

// dial returns the stream, on which sent bytes of what was written to e have
// left; e may be nil.
func (t *Tor) dial(ctx context.Context, a onion.Addr, lane onion.Lane, e *onion.Early) (c net.Conn, sent int, err error) {
	if a.IsZero() {
		return nil, 0, onion.ErrBadAddr
	}
	if _, err := t.ready(ctx); err != nil {
		return nil, 0, dialError(ctx, err)
	}
	if c, sent, err = t.race(ctx, a, lane, e); err != nil {
		return nil, 0, dialError(ctx, err)
	}
	return &stream{Conn: c, local: place{}, remote: place{a}}, sent, nil
}

// race makes up to maxAttempts: the next one when the last has failed in a
// way that may pass, or beside it when it takes long. The first stream wins.
func (t *Tor) race(ctx context.Context, a onion.Addr, lane onion.Lane, e *onion.Early) (net.Conn, int, error) {
	ctx, cancel := context.WithCancel(ctx)
	type outcome struct {
		c    net.Conn
		sent int
		err  error
	}
	results := make(chan outcome, maxAttempts)
	started, running, hung := 0, 0, 0
	start := func() {
		started++
		running++
		isolation := hung
		go func() {
			c, sent, err := t.attempt(ctx, a, lane, isolation, e)
			results <- outcome{c, sent, err}
		}()
	}
	// Whoever loses is cancelled, which ends it at once, and waited for.
	defer func() {
		cancel()
		for ; running > 0; running-- {
			if r := <-results; r.c != nil {
				r.c.Close()
			}
		}
	}()
	start()
	backoff := dialBackoff
	for {
		hedge := time.NewTimer(t.hedge)
		select {
		case r := <-results:
			hedge.Stop()
			running--
			switch {
			case r.err == nil:
				return r.c, r.sent, nil
			case !passing(r.err):
				return nil, 0, r.err
			case running > 0:
				continue
			case !again(r.err, started) || !sleep(ctx, backoff):
				return nil, 0, r.err
			}
			if errors.Is(r.err, errHung) {
				hung++
			}
			t.log.Debug("dialling again", "onion", a, "attempt", started, "err", r.err)
			backoff *= 2
			start()
		case <-hedge.C:
			if started < maxAttempts {
				hung++
				t.log.Debug("dialling on another circuit beside one that takes long", "onion", a, "attempt", started)
				start()
			}
		}
	}
}

// dialError leaves the place to the caller, who knows it and names it.
func dialError(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%w; last: %w", ctx.Err(), err)
	}
	return err
}

// passing reports whether what stood in the way may pass.
func passing(err error) bool {
	var refused *socksError
	if errors.As(err, &refused) {
		return refused.verdict().transient
	}
	return errors.Is(err, errBroken)
}

// again reports whether another attempt may help.
func again(err error, attempts int) bool {
	if errors.Is(err, onion.ErrNotFound) && attempts >= absentAttempts {
		return false
	}
	return attempts < maxAttempts && passing(err)
}

// errBroken is an attempt that Tor left without an answer.
var errBroken = errors.New("Tor broke off")

// errHung is an errBroken by which Tor said nothing in time.
var errHung = fmt.Errorf("%w: no answer within %v", errBroken, attemptTimeout)

func (t *Tor) attempt(ctx context.Context, a onion.Addr, lane onion.Lane, hung int, e *onion.Early) (c net.Conn, sent int, err error) {
	at, err := t.ready(ctx)
	if err != nil {
		return nil, 0, err
	}
	timed, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	if c, err = at.dial(timed); err != nil {
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		return nil, 0, fmt.Errorf("%w: %w: its SOCKS port does not answer: %w", onion.ErrTorDown, errBroken, err)
	}
	stop := context.AfterFunc(timed, func() { c.Close() })
	user, password := t.credentials(lane, hung)
	sent, err = connect(c, user, password, a.Host(), a.Port(), e)
	if !stop() {
		// The context ended first, or in the same instant: the socket is
		// closed or about to be.
		err = errors.Join(timed.Err(), err)
	}
	if err == nil {
		return c, sent, nil
	}
	c.Close()
	var refused *socksError
	switch {
	case ctx.Err() != nil:
		return nil, 0, ctx.Err()
	case timed.Err() != nil:
		return nil, 0, fmt.Errorf("%w: %w", onion.ErrUnreachable, errHung)
	case errors.As(err, &refused), errors.Is(err, errNotSocks):
		return nil, 0, err
	}
	return nil, 0, fmt.Errorf("%w: %w", onion.ErrTorDown, errors.Join(errBroken, err))
}

func newSecret() [32]byte {
	var s [32]byte
	rand.Read(s[:])
	return s
}

// credentials are the SOCKS user and password of a lane. Tor gives streams
// with different ones different circuits. They say nothing of the lane and
// differ from run to run. Once a dial has hung, or takes long, its next
// attempt asks for others, since with the same ones it would wait for the
// same circuit.
func (t *Tor) credentials(lane onion.Lane, hung int) (user, password string) {
	id := lane.Bytes()
	h := hmac.New(sha256.New, t.secret[:])
	h.Write(id[:])
	h.Write([]byte{byte(hung)})
	sum := h.Sum(nil)
	return hex.EncodeToString(sum[:16]), hex.EncodeToString(sum[16:])
}
