package server

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"lafs/introducer"
)

// announce takes one announcement. What is on the wire is a fixed text. That
// a body comes in time is onion/mux's care.
func (s *Server) announce(w http.ResponseWriter, r *http.Request) {
	if !s.cfg.PublishSecret.Authorizes(r.Header.Get("Authorization")) {
		fail(w, http.StatusUnauthorized)
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, introducer.MaxSize))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			fail(w, http.StatusRequestEntityTooLarge)
		} else {
			fail(w, http.StatusBadRequest)
		}
		return
	}
	a, err := introducer.Open(raw)
	if err != nil {
		s.cfg.Log.Info("introducer: refused an announcement", "why", err)
		fail(w, http.StatusBadRequest)
		return
	}
	newest, err := s.accept(a, raw)
	switch {
	case errors.Is(err, errStale):
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusConflict)
		w.Write(newest)
	case errors.Is(err, errOften):
		fail(w, http.StatusServiceUnavailable)
	case errors.Is(err, errFull):
		s.cfg.Log.Warn("introducer: refused a server, since as many as allowed are known", "server", a.Address)
		fail(w, http.StatusInsufficientStorage)
	case err != nil:
		s.cfg.Log.Error("introducer: cannot save its state", "err", err)
		fail(w, http.StatusInternalServerError)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// errStale is an announcement that is not newer than the one known.
var errStale = errors.New("a newer announcement is known")

// errOften is an announcement that comes too soon after the last ones of the
// same server.
var errOften = errors.New("the server changes its announcement too often")

// A server announces itself when it starts and once a day. Each change is
// written to the disk and sent to all subscribers, so one that announces
// without end is slowed down: changeBurst at once, then one a changeEvery.
const (
	changeBurst = 16
	changeEvery = time.Minute
)

// changes is how many changes a server may still make, as of at.
type changes struct {
	left float64
	at   time.Time
}

// mayChange counts one change of a server that is known. The caller holds
// saving.
func (s *Server) mayChange(id string) bool {
	now := time.Now()
	c := s.changes[id]
	if c == nil {
		if len(s.changes) > 2*s.cfg.MaxServers {
			clear(s.changes)
		}
		c = &changes{changeBurst, now}
		s.changes[id] = c
	}
	c.left, c.at = min(c.left+float64(now.Sub(c.at))/float64(changeEvery), changeBurst), now
	if c.left < 1 {
		return false
	}
	c.left--
	return true
}

// accept puts an announcement in its place; when it returns nil the
// announcement is durable. With errStale comes the one that is known.
func (s *Server) accept(a *introducer.Announcement, raw []byte) (newest []byte, err error) {
	s.saving.Lock()
	defer s.saving.Unlock()
	today := s.today()
	// Only replace writes state, and it needs saving, which we hold.
	if old, ok := s.state.get(a.ServerID(), today); ok {
		if bytes.Equal(old.Raw, raw) {
			return nil, nil
		}
		if a.Seqnum <= old.Seqnum {
			return old.Raw, errStale
		}
		if !s.mayChange(a.ServerID()) {
			return nil, errOften
		}
	}
	next, err := s.state.with(introducer.Kept{Announcement: a, Raw: raw, Day: today}, s.cfg.MaxServers)
	if err != nil {
		return nil, err
	}
	if err := s.cfg.Store.Save(next.marshal()); err != nil {
		return nil, err
	}
	s.replace(next)
	return nil, nil
}

func fail(w http.ResponseWriter, code int) { http.Error(w, http.StatusText(code), code) }
