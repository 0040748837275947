package tor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"syscall"
	"time"
)

// A source is a Tor to which we come, and come back.
type source interface {
	mode() string                           // for onion.Status
	open(context.Context) (*session, error) // a new session, the last one being over
	socksOnly() endpoint                    // where publishes is false
	publishes() bool
	target(n int) (net.Listener, error) // the local socket of a service's n-th port
	close() error                       // after the last session
}

// find returns the Tor of the mode, and its first session if it has a
// control port.
func (t *Tor) find(ctx context.Context, env environment) (source, *session, error) {
	switch t.cfg.Mode.kind {
	case system:
		return t.findSystem(ctx, env)
	case control:
		f := &foundTor{t: t, env: env, at: t.cfg.Mode.at, named: true, name: "control"}
		return opened(ctx, f)
	case socks:
		return t.useSocks(ctx, t.cfg.Mode.at, nil)
	case auto:
		return t.findAny(ctx, env)
	default:
		return t.launchOwn(ctx, env)
	}
}

func opened(ctx context.Context, from source) (source, *session, error) {
	s, err := from.open(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, from.close())
	}
	return from, s, nil
}

var (
	errWhonix = errors.New("on Whonix Tor runs on the gateway, and a second one inside would be Tor over Tor: use --tor system, or mode = system in tahoe.cfg")
	errTails  = errors.New("on Tails no Tor but the system's reaches the network: use --tor system, or mode = system in tahoe.cfg")
)

func (t *Tor) launchOwn(ctx context.Context, env environment) (source, *session, error) {
	switch {
	case env.whonix:
		return nil, nil, errWhonix
	case env.tails:
		return nil, nil, errTails
	}
	own, err := newOwnTor(t)
	if err != nil {
		return nil, nil, err
	}
	return opened(ctx, own)
}

// debianControl and debianSocks are where Debian's tor listens.
const (
	debianControl = "/run/tor/control"
	debianSocks   = "/run/tor/socks"
)

// usualPorts are the control ports of a system tor, of Tor Browser, and of
// Tails' filter.
var usualPorts = []uint16{9051, 9151, 951}

// findControl looks for a control port: what the environment names, then the
// usual places, verified. The error says why none of those that answered
// could be used; it is nil when none answered.
func (t *Tor) findControl(ctx context.Context, env environment) (source, *session, error) {
	candidates := env.controls()
	named := len(candidates)
	candidates = append(candidates, endpoint{network: "unix", addr: debianControl})
	for _, port := range usualPorts {
		candidates = append(candidates, loopbackEndpoint(port))
	}
	var refused error
	for i, at := range candidates {
		f := &foundTor{t: t, env: env, at: at, named: i < named || env.filtered(), name: "system"}
		s, err := f.openWithin(ctx, findTimeout)
		if err == nil {
			return f, s, nil
		}
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if !absent(err) {
			refused = errors.Join(refused, fmt.Errorf("control port %s: %w", at, err))
		}
	}
	return nil, nil, refused
}

// findTimeout bounds what an unknown program on a port may keep us waiting.
const findTimeout = 5 * time.Second

// absent reports whether nothing listens there at all.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

var errNoSystem = errors.New("no Tor runs on this machine that lafs may use: " +
	"start it (on Debian: apt install tor), or let lafs start its own with --tor launch")

func (t *Tor) findSystem(ctx context.Context, env environment) (source, *session, error) {
	from, s, refused := t.findControl(ctx, env)
	if from != nil {
		return from, s, nil
	}
	if at := systemSocks(env); !at.zero() {
		return t.useSocks(ctx, at, refused)
	}
	if refused != nil {
		return nil, nil, refused
	}
	return nil, nil, errNoSystem
}

// systemSocks is the SOCKS port of a system tor that may be trusted without
// a control port: named by the environment, or a unix socket that only Tor's
// user could have made.
func systemSocks(env environment) endpoint {
	if named := env.socks(); len(named) > 0 {
		return named[0]
	}
	if at := (endpoint{network: "unix", addr: debianSocks}); trustedSocket(at) {
		return at
	}
	return endpoint{}
}

func (t *Tor) findAny(ctx context.Context, env environment) (source, *session, error) {
	from, s, refused := t.findControl(ctx, env)
	if from != nil {
		return from, s, nil
	}
	if named := env.socks(); len(named) > 0 {
		return t.useSocks(ctx, named[0], refused)
	}
	from, s, err := t.launchOwn(ctx, env)
	if err == nil {
		return from, s, nil
	}
	if at := systemSocks(env); !at.zero() && errors.Is(err, errNoProgram) {
		return t.useSocks(ctx, at, refused)
	}
	return nil, nil, errors.Join(err, refused)
}

// A foundTor is a Tor that runs already, reached by its control port.
type foundTor struct {
	t     *Tor
	env   environment
	at    endpoint
	named bool // by the user, or by the environment
	name  string
}

func (f *foundTor) mode() string        { return f.name }
func (f *foundTor) publishes() bool     { return true }
func (f *foundTor) socksOnly() endpoint { return endpoint{} }
func (f *foundTor) close() error        { return nil }

func (f *foundTor) openWithin(ctx context.Context, d time.Duration) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return f.open(ctx)
}

func (f *foundTor) open(ctx context.Context) (*session, error) {
	s, err := openSession(ctx, f.at, f.named || trustedSocket(f.at), f.t.cfg.Password)
	if err != nil {
		return nil, err
	}
	s.filtered = f.env.filtered()
	if s.socks.zero() {
		// A filter hides it; the environment may still name it.
		if named := f.env.socks(); len(named) > 0 {
			s.socks, s.socksErr = named[0], nil
		}
	}
	return s, nil
}

// target listens on TCP: the sandbox of a system tor sees no socket of ours.
// Other users of this machine are kept out.
func (f *foundTor) target(n int) (net.Listener, error) {
	port := 0
	if f.t.cfg.LocalPort != 0 {
		port = int(f.t.cfg.LocalPort) + n
	}
	l, err := net.Listen("tcp", net.JoinHostPort(f.env.targetIP(), strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	return &guarded{Listener: l, tor: holders(f.at), log: f.t.log}, nil
}

// A socksPort is a Tor of which we only know the SOCKS port.
type socksPort struct {
	at  endpoint
	why error // why no control port was used; nil if none was looked for
}

func (p socksPort) listenError() error {
	if p.why == nil {
		return errSocksOnly
	}
	return fmt.Errorf("%w. %w", errSocksOnly, p.why)
}

func (p socksPort) mode() string                           { return "socks" }
func (p socksPort) publishes() bool                        { return false }
func (p socksPort) socksOnly() endpoint                    { return p.at }
func (p socksPort) close() error                           { return nil }
func (p socksPort) open(context.Context) (*session, error) { return nil, p.listenError() }
func (p socksPort) target(int) (net.Listener, error)       { return nil, p.listenError() }

// useSocks checks that something that speaks SOCKS5 with users answers.
func (t *Tor) useSocks(ctx context.Context, at endpoint, why error) (source, *session, error) {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	c, err := at.dial(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to the SOCKS port %s of Tor: %w", at, err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if err := greet(c); err != nil {
		return nil, nil, fmt.Errorf("what answers at %s is not Tor's SOCKS port: %w", at, err)
	}
	return socksPort{at: at, why: why}, nil, nil
}
