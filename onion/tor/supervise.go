package tor

import (
	"context"
	"time"

	"lafs/onion"
)

// Backoff between attempts to come back to Tor: soon, since tor starts in a
// second, then slowly, since a person may be needed.
const (
	firstBackoff = 250 * time.Millisecond
	lastBackoff  = 30 * time.Second
)

// adopt makes s the session in use.
func (t *Tor) adopt(s *session) {
	t.mu.Lock()
	t.up, t.gone = s, false
	t.socks, t.socksErr = s.socks, s.socksErr
	t.status.Version, t.status.Circuits = s.version, onion.Unknown
	t.status.Bootstrap, t.status.Summary, t.status.Warning = s.bootstrap.Bootstrap, s.bootstrap.Summary, s.bootstrap.Warning
	t.change()
	t.mu.Unlock()
}

// supervise keeps a session up until ctx ends, and the services published.
func (t *Tor) supervise(ctx context.Context, s *session) {
	backoff := firstBackoff
	for {
		if s != nil {
			began := time.Now()
			t.serve(ctx, s)
			t.lost(s)
			s.close()
			if time.Since(began) > lastBackoff {
				backoff = firstBackoff
			}
		}
		if !sleep(ctx, backoff) {
			return
		}
		backoff = min(2*backoff, lastBackoff)
		var err error
		if s, err = t.from.open(ctx); err != nil {
			s = nil
			if ctx.Err() == nil {
				t.log.Warn("Tor is not back yet", "err", err)
				t.missing(scrub(err.Error()))
			}
			continue
		}
		t.log.Info("Tor is back")
		t.adopt(s)
	}
}

// serve publishes on s what is to be published until s or ctx is over.
func (t *Tor) serve(ctx context.Context, s *session) {
	// Close shall not wait for a Tor that hangs.
	defer context.AfterFunc(ctx, func() { s.conn.Close() })()
	if err := s.watch(func(code, text string) { t.event(s, code, text) }); err != nil {
		t.log.Warn("Tor does not tell its events", "err", err)
	}
	t.refresh(s)
	t.circuits(s)
	for {
		retry := time.NewTimer(t.sync(s))
		select {
		case <-ctx.Done():
		case <-s.done:
		case <-t.kick:
			retry.Stop()
			continue
		case <-retry.C:
			continue
		}
		retry.Stop()
		return
	}
}

// refresh asks for the progress once more: what happened before the events
// were asked for came as no event.
func (t *Tor) refresh(s *session) {
	t.mu.Lock()
	before := t.status
	t.mu.Unlock()
	phase, err := s.info("status/bootstrap-phase")
	if err != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	// An event that came meanwhile is at least as new as the answer.
	if t.up == s && t.status == before {
		t.status = bootstrapStatus(t.status, fields(phase))
		t.change()
	}
}

// circuits asks whether there are any, once: from then on events tell. A
// filter is not asked: it would log what is not in its profile.
func (t *Tor) circuits(s *session) {
	if s.filtered {
		return
	}
	text, err := s.info("status/circuit-established")
	if err != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.up == s && t.status.Circuits == onion.Unknown {
		t.status.Circuits = onion.No
		if text == "1" {
			t.status.Circuits = onion.Yes
		}
		t.change()
	}
}

// lost says that s is over.
func (t *Tor) lost(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.up != s {
		return
	}
	t.up = nil
	t.status.Bootstrap, t.status.Circuits = 0, onion.No
	t.status.Summary = ""
	t.status.Warning = "the connection to Tor was lost; trying again"
	for _, svc := range t.services {
		svc.uploaded = false
	}
	t.change()
	if !t.closed {
		t.log.Warn("the connection to Tor was lost")
	}
}

// missing says that Tor could not be reached again, and why.
func (t *Tor) missing(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone = true
	t.status.Warning = "it does not run: " + why
	t.change()
}

// event takes in one event of s. It runs on the reader of s, so it only
// notes what it hears.
func (t *Tor) event(s *session, code, text string) {
	f := fields(text)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.up != s {
		return
	}
	switch {
	case code == "STATUS_CLIENT" && len(f) > 1 && f[1] == "BOOTSTRAP":
		t.status = bootstrapStatus(t.status, f)
	case code == "STATUS_CLIENT" && len(f) > 1 && f[1] == "CIRCUIT_ESTABLISHED":
		t.status.Circuits = onion.Yes
	case code == "STATUS_CLIENT" && len(f) > 1 && f[1] == "CIRCUIT_NOT_ESTABLISHED":
		t.status.Circuits = onion.No
	case code == "NETWORK_LIVENESS" && len(f) > 0:
		t.status = liveness(t.status, f[0])
	case code == "HS_DESC" && len(f) > 1:
		t.descriptor(s, f)
	default:
		return
	}
	t.change()
}

const offline = "Tor cannot reach its network"

func liveness(st onion.Status, word string) onion.Status {
	switch {
	case word == "DOWN":
		st.Warning = offline
	case st.Warning == offline:
		st.Warning = ""
	}
	return st
}

// sleep waits for d and reports false when ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
