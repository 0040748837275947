package tor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync/atomic"

	"lafs/onion"
)

// A session is one authenticated control connection and what was learnt
// through it. It is over when the connection is.
type session struct {
	*controlConn
	version   string
	socks     endpoint
	socksErr  error
	bootstrap onion.Status // Bootstrap, Summary and Warning only
	filtered  bool
	work      onion.Known // whether Tor was built with proof of work
	onEvent   atomic.Pointer[func(code, text string)]
}

// openSession connects to the control port at at, authenticates, and asks
// for events. It starts no goroutine that outlives an error.
func openSession(ctx context.Context, at endpoint, trusted bool, password *Password) (*session, error) {
	conn, err := at.dial(ctx)
	if errors.Is(err, fs.ErrPermission) {
		err = errNotPermitted
	}
	if err != nil {
		return nil, fmt.Errorf("connect to Tor's control port: %w", err)
	}
	s := &session{}
	s.controlConn = newControlConn(conn, s.dispatch)
	if !trusted {
		if err := checkHolder(at); err != nil {
			s.close()
			return nil, err
		}
	}
	// The caller's end also ends a handshake that hangs.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err = s.prepare(trusted, password)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) dispatch(code, text string) {
	if f := s.onEvent.Load(); f != nil {
		(*f)(code, text)
	}
}

func (s *session) prepare(trusted bool, password *Password) error {
	if err := authenticate(s.controlConn, trusted, password); err != nil {
		return err
	}
	// A filter may hide any of these; none is worth failing for.
	s.version, _ = s.info("version")
	s.version, _, _ = strings.Cut(s.version, " ")
	if phase, err := s.info("status/bootstrap-phase"); err == nil {
		s.bootstrap = bootstrapStatus(onion.Status{}, fields(phase))
	} else {
		s.bootstrap = onion.Status{Bootstrap: 100, Summary: "not told"}
	}
	if listeners, err := s.info("net/listeners/socks"); err == nil {
		s.socks, s.socksErr = chooseSocks(listeners, s.sharing())
	} else {
		s.socksErr = errNoSocks
	}
	return nil
}

// The events that we ask for, in a fixed form, since filters match it: all,
// or only those that publishing needs.
var eventRequests = []string{
	"SETEVENTS STATUS_CLIENT NETWORK_LIVENESS HS_DESC",
	"SETEVENTS STATUS_CLIENT HS_DESC",
	"SETEVENTS HS_DESC",
}

// watch sends all events from now on to f, which may not block.
func (s *session) watch(f func(code, text string)) error {
	s.onEvent.Store(&f)
	var err error
	for _, line := range eventRequests {
		var refused *refusal
		if _, err = s.request(line); err == nil || !errors.As(err, &refused) {
			return err
		}
	}
	return fmt.Errorf("ask Tor for its events: %w", err)
}

var errNoSocks = errors.New("this Tor has no SOCKS port on this machine that lafs may use; " +
	"give it one in its torrc: SocksPort 9050")

// sharing returns the SOCKS ports on which streams of different users may
// share a circuit, as far as Tor tells its configuration.
func (s *session) sharing() func(endpoint) bool {
	lines, err := s.request("GETCONF SocksPort")
	if err != nil {
		lines = nil
	}
	return func(at endpoint) bool {
		for _, line := range lines {
			_, value, _ := strings.Cut(line, "=")
			f := fields(value)
			if len(f) > 0 && samePort(f[0], at) && strings.Contains(strings.ToLower(value), "noisolatesocksauth") {
				return true
			}
		}
		return false
	}
}

// samePort reports whether at is what conf, the first word of a SocksPort
// line, opens.
func samePort(conf string, at endpoint) bool {
	if _, err := strconv.ParseUint(conf, 10, 16); err == nil {
		return at.addr == "127.0.0.1:"+conf
	}
	return conf == at.String() || conf == at.addr
}

// chooseSocks picks from the answer to GETINFO net/listeners/socks the port
// to use: a unix socket where there is one, since nobody else can sit there.
func chooseSocks(listeners string, shares func(endpoint) bool) (endpoint, error) {
	var found endpoint
	err := errNoSocks
	for _, text := range fields(listeners) {
		at, parseErr := parseEndpoint(text)
		if parseErr != nil {
			continue
		}
		if shares(at) {
			err = errors.New("the SOCKS port of this Tor has NoIsolateSOCKSAuth, which would put all lanes on one circuit; remove it")
			continue
		}
		if found.zero() || at.network == "unix" && found.network != "unix" {
			found = at
		}
	}
	if found.zero() {
		return endpoint{}, err
	}
	return found, nil
}

// bootstrapStatus reads what follows "NOTICE" or "WARN" in Tor's word on its
// progress, into a copy of st.
func bootstrapStatus(st onion.Status, f []string) onion.Status {
	if len(f) < 2 || f[1] != "BOOTSTRAP" {
		return st
	}
	if n, err := strconv.Atoi(keyword(f, "PROGRESS")); err == nil && n >= 0 && n <= 100 {
		st.Bootstrap = n
	}
	st.Summary = clip(keyword(f, "SUMMARY"))
	st.Warning = scrub(keyword(f, "WARNING"))
	return st
}
