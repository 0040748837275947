package tor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"lafs/onion"
)

// A service is what Listen published. t.mu guards its fields, but for those
// that never change.
type service struct {
	host    string // with .onion
	short   string
	key     *onion.Key
	ports   []uint16
	targets []*listener // one a port

	on       *session // to which ADD_ONION went; nil: to none
	uploaded bool     // on that session
	uploads  int      // directories that took the descriptor, on that session
	failed   int      // and those that did not
	once     bool     // ever published
	err      error    // why Tor will not have it at all
	retryAt  time.Time
	backoff  time.Duration
}

// Listen publishes the service and returns one listener a port once its
// descriptor has been uploaded. It fails clearly on a Tor of which only the
// SOCKS port is known. Closing the last listener withdraws the service.
func (t *Tor) Listen(ctx context.Context, s onion.Service) ([]net.Listener, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	svc, err := t.newService(s)
	if err != nil {
		return nil, err
	}
	if err := t.await(ctx, svc); err != nil {
		svc.closeTargets()
		t.withdraw(svc)
		return nil, fmt.Errorf("publish onion service %s: %w", svc.short, err)
	}
	listeners := make([]net.Listener, len(svc.targets))
	for i, l := range svc.targets {
		listeners[i] = l
	}
	return listeners, nil
}

var (
	errSocksOnly = errors.New("nothing can be published over a SOCKS port alone; " +
		"a server or introducer needs --tor launch, system or control=ADDR")
	errTwice = errors.New("this onion service is published already by this process")
)

// newService opens the service's local sockets and hands it to supervise.
func (t *Tor) newService(s onion.Service) (*service, error) {
	if s.Key == nil || len(s.Ports) == 0 {
		return nil, errors.New("an onion service needs a key and a port")
	}
	svc := &service{key: s.Key, ports: s.Ports, backoff: firstBackoff}
	var addrs []onion.Addr
	seen := make(map[uint16]bool)
	for _, port := range s.Ports {
		a, err := s.Key.Addr(port)
		if err != nil {
			return nil, err
		}
		if seen[port] {
			return nil, fmt.Errorf("virtual port %d is listed twice", port)
		}
		seen[port] = true
		addrs = append(addrs, a)
		svc.host, svc.short = a.Host(), a.Short()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return nil, onion.ErrClosed
	case !t.from.publishes():
		_, err := t.from.target(0)
		return nil, err
	case t.services[svc.host] != nil:
		return nil, errTwice
	}
	for i, a := range addrs {
		l, err := t.from.target(i)
		if err != nil {
			for _, opened := range svc.targets {
				opened.Listener.Close()
			}
			return nil, fmt.Errorf("open the local socket of onion service %s: %w", svc.short, err)
		}
		svc.targets = append(svc.targets, &listener{Listener: l, addr: a, onClose: func() { t.targetClosed(svc) }, open: true})
	}
	t.services[svc.host] = svc
	t.poke()
	return svc, nil
}

// await waits for the first upload.
func (t *Tor) await(ctx context.Context, svc *service) error {
	for {
		t.mu.Lock()
		closed, uploaded, err, status, changed := t.closed, svc.uploaded, svc.err, t.status, t.changed
		t.mu.Unlock()
		switch {
		case closed:
			return onion.ErrClosed
		case err != nil:
			return err
		case uploaded:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if status.Bootstrap != 100 {
				return fmt.Errorf("%w (%s): %w", onion.ErrTorDown, describe(status), ctx.Err())
			}
			return fmt.Errorf("its descriptor is not uploaded yet: %w", ctx.Err())
		}
	}
}

// targetClosed withdraws the service when its last listener is closed.
func (t *Tor) targetClosed(svc *service) {
	for _, l := range svc.targets {
		if l.isOpen() {
			return
		}
	}
	t.withdraw(svc)
}

func (t *Tor) withdraw(svc *service) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.services[svc.host] == svc {
		delete(t.services, svc.host)
		t.withdrawn = append(t.withdrawn, svc)
		t.poke()
	}
}

// poke wakes sync.
func (t *Tor) poke() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

func (s *service) closeTargets() {
	for _, l := range s.targets {
		l.Close()
	}
}

// idle is how long sync sleeps when nothing is to be done.
const idle = time.Hour

// sync brings what s publishes in line with the services, and returns when
// to try again what failed.
func (t *Tor) sync(s *session) time.Duration {
	t.mu.Lock()
	gone := t.withdrawn
	t.withdrawn = nil
	var missing []*service
	wait := idle
	for _, svc := range t.services {
		switch left := time.Until(svc.retryAt); {
		case svc.on == s || svc.err != nil:
		case left > 0:
			wait = min(wait, left)
		default:
			missing = append(missing, svc)
		}
	}
	t.mu.Unlock()
	for _, svc := range gone {
		if svc.on != s {
			continue
		}
		if _, err := s.request("DEL_ONION " + strings.TrimSuffix(svc.host, ".onion")); err != nil {
			t.log.Warn("withdraw onion service", "service", svc.short, "err", err)
		}
	}
	for _, svc := range missing {
		wait = min(wait, t.add(s, svc))
	}
	return wait
}

// add publishes svc on s and returns when to try again.
func (t *Tor) add(s *session, svc *service) time.Duration {
	err := t.probe(s, svc)
	if err == nil {
		// Before the request: its events may come before its answer.
		t.mu.Lock()
		svc.on, svc.uploaded, svc.uploads, svc.failed = s, false, 0, 0
		t.mu.Unlock()
		err = t.strongest(s, func(options string) error {
			_, err := s.request(addOnion(svc.key, options, svc.ports, svc.targets))
			return err
		})
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		svc.once, svc.backoff = true, firstBackoff
		t.log.Debug("onion service added", "service", svc.short)
		return idle
	}
	svc.on = nil
	var refused *refusal
	if errors.As(err, &refused) && !svc.once && !collision(refused) {
		svc.err = err
		t.change()
		return idle
	}
	wait := svc.backoff
	svc.retryAt = time.Now().Add(wait)
	svc.backoff = min(2*svc.backoff, lastBackoff)
	t.log.Warn("publish onion service again later", "service", svc.short, "err", err)
	return wait
}

// collision reports whether Tor still holds the service for an earlier
// control connection, which it notices to be dead a little later.
func collision(r *refusal) bool {
	return r.code == 550 && strings.Contains(strings.ToLower(r.text), "collision")
}

// probe publishes a key that nobody needs and withdraws it, where a filter
// stands before Tor: a filter logs what it refuses, the key included.
func (t *Tor) probe(s *session, svc *service) error {
	if !s.filtered || svc.once {
		return nil
	}
	key, err := onion.GenerateKey()
	if err != nil {
		return err
	}
	err = t.strongest(s, func(options string) error {
		_, err := s.request(addOnion(key, options, svc.ports, svc.targets))
		return err
	})
	if err != nil {
		return fmt.Errorf("%w; the filter before Tor's control port must be given a profile for lafs", err)
	}
	a, err := key.Addr(1)
	if err != nil {
		return err
	}
	_, err = s.request("DEL_ONION " + strings.TrimSuffix(a.Host(), ".onion"))
	return err
}

// addOnion is the request that publishes a service. Its form is frozen,
// since filters before the control port match the whole line:
//
//	ADD_ONION ED25519-V3:<base64> <options> Port=<virtual>,<target> Port=...
//
// Options are those of a defence. A target is unix:/path or IP:port. The line is secret.
func addOnion(key *onion.Key, options string, ports []uint16, targets []*listener) string {
	var b strings.Builder
	b.WriteString("ADD_ONION ")
	b.WriteString(key.Marshal())
	b.WriteString(" " + options)
	for i, port := range ports {
		b.WriteString(" Port=" + strconv.Itoa(int(port)) + "," + targets[i].target())
	}
	return b.String()
}

// descriptor takes in an HS_DESC event: action, address, and more. t.mu is
// held.
func (t *Tor) descriptor(s *session, f []string) {
	svc := t.services[strings.TrimSuffix(f[1], ".onion")+".onion"]
	if svc == nil || svc.on != s {
		return
	}
	switch f[0] {
	case "FAILED":
		svc.failed++
	case "UPLOADED":
		svc.uploads++
		if !svc.uploaded {
			svc.uploaded = true
			t.log.Info("onion service published", "service", svc.short)
		}
	}
}
