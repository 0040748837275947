package server

import (
	"bytes"
	"errors"
	"io"
	"net/http"

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
