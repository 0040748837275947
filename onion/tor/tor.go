// Package tor carries package onion's Network over a Tor process: one that
// it launches itself (the default), one that runs already and is named or
// verified, or, for those who publish nothing, any SOCKS port of Tor's.
//
// It is the only package of lafs that opens a socket to the outside, and it
// opens it to Tor alone, on a unix socket or on loopback. There is no mode
// without Tor. It also holds the only local sockets that Tor connects to
// when somebody reaches a service of ours.
package tor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"lafs/onion"
)

// A Config says which Tor to use and how. The zero Config launches the
// program tor found on PATH, with a data directory that lasts as long as the
// process.
type Config struct {
	// Mode is which Tor; the zero Mode launches our own.
	Mode Mode
	// DataDir is where our own tor keeps its guards and its cache of the
	// network between runs. Made with mode 0700. Empty: a temporary one,
	// which costs a slower start and, worse, new guards on every run.
	DataDir string
	// SeedDir, where not empty, is a data directory whose cached view of the
	// network is copied into an empty DataDir, so that a private network is
	// joined at once. Files that it lacks are no error.
	SeedDir string
	// Executable is the tor program, empty for the one on PATH.
	Executable string
	// TorrcFragment names a file of lines added to the configuration of our
	// own tor: for private test networks, and for bridges.
	TorrcFragment string
	// Password authenticates at a control port that asks for one and that
	// the user named. Secret; nil for none.
	Password *Password
	// LocalPort is the first TCP port on which services wait for a Tor that
	// is not ours, for systems whose firewall lets only listed ports
	// through (Whonix, Tails): the n-th port of a service waits on LocalPort
	// plus n. 0 lets the system choose.
	LocalPort uint16
	// Log gets what a person who looks for a fault wants to know; nil for
	// none. It holds neither whole addresses nor keys.
	Log *slog.Logger
	// Progress is called from one goroutine whenever the status has changed,
	// Start included; nil for none. It must not call Close.
	Progress func(onion.Status)
}

// A Tor is an onion.Network over one Tor process. All methods may be called
// at once. It survives the loss of the process and of the control
// connection: it comes back by itself, and publishes again what was
// published.
type Tor struct {
	cfg    Config
	log    *slog.Logger
	from   source
	secret [32]byte // of this process: makes lanes unlinkable between runs
	cancel context.CancelFunc
	wg     sync.WaitGroup
	kick   chan struct{} // services changed; capacity 1
	hedge  time.Duration // hedgeAfter, but for tests

	mu        sync.Mutex
	changed   chan struct{} // closed and replaced on every change of what mu guards
	closed    bool
	up        *session // nil while there is none
	gone      bool     // it was lost, and an attempt to come back failed
	socks     endpoint // zero when unknown
	socksErr  error    // why socks is unknown
	status    onion.Status
	services  map[string]*service // by host name
	withdrawn []*service          // to be taken from the Tor that has them
	form      int                 // of defences: the first that Tor may accept
}

// Start finds or launches the Tor that cfg names and returns when it answers
// and can be trusted; it may still be connecting to its network, which
// Status tells and Dial waits for. ctx bounds the start only; Close ends the
// Tor.
func Start(ctx context.Context, cfg Config) (*Tor, error) {
	t := newTor(cfg)
	from, first, err := t.find(ctx, readEnvironment())
	if err != nil {
		return nil, err
	}
	t.start(from, first)
	return t, nil
}

func newTor(cfg Config) *Tor {
	t := &Tor{
		cfg:      cfg,
		log:      cfg.Log,
		secret:   newSecret(),
		kick:     make(chan struct{}, 1),
		hedge:    hedgeAfter,
		changed:  make(chan struct{}),
		services: make(map[string]*service),
	}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	return t
}

// start runs t on the source and its first session, which is nil when only
// SOCKS is used.
func (t *Tor) start(from source, first *session) {
	t.from = from
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel = cancel
	t.mu.Lock()
	t.status.Mode = from.mode()
	if first == nil {
		t.socks = from.socksOnly()
		t.status.Bootstrap = -1
		t.status.Summary = "the SOCKS port of a Tor whose state cannot be asked"
	}
	t.mu.Unlock()
	if t.cfg.Progress != nil {
		t.wg.Go(func() { t.report(ctx) })
	}
	if first != nil {
		t.adopt(first)
		t.wg.Go(func() { t.supervise(ctx, first) })
	}
}

// Status says how the Tor is doing.
func (t *Tor) Status() onion.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := t.status
	for _, svc := range t.services {
		st.Services++
		st.Uploads += svc.uploads
		st.FailedUploads += svc.failed
		if svc.uploaded {
			st.Published++
		}
	}
	return st
}

// Close withdraws the services, closes their listeners, stops our own tor
// and removes its sockets. Streams of a Tor that is not ours live on until
// they are closed. Close may be called more than once.
func (t *Tor) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		t.wg.Wait()
		return nil
	}
	t.closed = true
	services := t.services
	t.services = make(map[string]*service)
	t.change()
	t.mu.Unlock()
	for _, s := range services {
		s.closeTargets()
	}
	t.cancel()
	t.wg.Wait()
	return t.from.close()
}

// change wakes all who wait for a change. t.mu is held.
func (t *Tor) change() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// report calls Progress after every change of the status.
func (t *Tor) report(ctx context.Context) {
	var last onion.Status
	for {
		t.mu.Lock()
		now, changed := t.status, t.changed
		t.mu.Unlock()
		if now != last {
			last = now
			t.cfg.Progress(now)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// ready waits until Tor is connected to its network, for as long as ctx
// allows and not longer than readyWait, and returns its SOCKS port.
func (t *Tor) ready(ctx context.Context) (endpoint, error) {
	limit := time.NewTimer(readyWait)
	defer limit.Stop()
	for {
		t.mu.Lock()
		closed, up, gone, socks, socksErr, status, changed := t.closed, t.up, t.gone, t.socks, t.socksErr, t.status, t.changed
		t.mu.Unlock()
		switch {
		case closed:
			return endpoint{}, onion.ErrClosed
		case gone:
			// Who waits for a Tor that died would wait for a person.
			return endpoint{}, fmt.Errorf("%w (%s)", onion.ErrTorDown, describe(status))
		case status.Bootstrap == -1:
			return socks, nil
		case up != nil && status.Bootstrap == 100 && socks.zero():
			return endpoint{}, socksErr
		case up != nil && status.Bootstrap == 100:
			return socks, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return endpoint{}, fmt.Errorf("%w (%s): %w", onion.ErrTorDown, describe(status), ctx.Err())
		case <-limit.C:
			return endpoint{}, fmt.Errorf("%w (%s)", onion.ErrTorDown, describe(status))
		}
	}
}

// readyWait is how long Dial waits for a Tor that is starting: cold starts
// over a slow line take most of a minute.
const readyWait = 90 * time.Second

func describe(s onion.Status) string {
	text := fmt.Sprintf("%d%%", s.Bootstrap)
	if s.Summary != "" {
		text += ", " + s.Summary
	}
	if s.Warning != "" {
		text += "; " + s.Warning
	}
	return text
}

var _ onion.EarlyDialer = (*Tor)(nil)

// errClosed is what a listener returns once the network is closed.
var errClosed = errors.Join(onion.ErrClosed, net.ErrClosed)
