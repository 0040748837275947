package store

import (
	"errors"
	"io/fs"
	"os"
)

// sweepAgain is sweep, if the last one was a while ago: it looks at all
// uploads, of which there may be many.
func (s *Store) sweepAgain() {
	now := s.cfg.Now()
	s.mu.Lock()
	since := now.Sub(s.swept)
	s.mu.Unlock()
	if since < 0 || since >= sweepEvery {
		s.sweep()
	}
}

// sweep drops the uploads that nobody wrote to for uploadTimeout.
func (s *Store) sweep() {
	for _, u := range s.unfinished() {
		// One that is locked is being written to.
		if u.mu.TryLock() {
			s.dropIfOld(u)
			u.mu.Unlock()
		}
	}
}

func (s *Store) unfinished() []*upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.swept = s.cfg.Now()
	out := make([]*upload, 0, len(s.uploads))
	for _, u := range s.uploads {
		out = append(out, u)
	}
	return out
}

// release drops u, if it is one.
func (s *Store) release(u *upload) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	s.drop(u)
}

// dropIfOld drops u when its time is over. u.mu is held.
func (s *Store) dropIfOld(u *upload) {
	if s.cfg.Now().Sub(u.last) >= uploadTimeout {
		s.drop(u)
	}
}

// drop takes an unfinished upload away. u.mu is held.
func (s *Store) drop(u *upload) {
	if u.gone {
		return
	}
	s.remove(s.incoming(u.key))
	s.forget(u)
}

func (s *Store) remove(path string) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.cfg.Log.Warn("an unfinished upload can not be removed", "error", reason(err))
	}
}

// forget ends u, with its note, and gives back its charge. u.mu is held.
func (s *Store) forget(u *upload) {
	u.gone = true
	if u.noted {
		s.remove(s.notePath(u.key))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending -= u.charge
	u.charge = 0
	s.account(u.who).Reserved -= cost(u.size)
	s.account(u.who).uploads--
	s.scatterLocked(u.who, -len(u.have))
	delete(s.uploads, u.key)
}
