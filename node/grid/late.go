package grid

import (
	"context"
	"errors"

	"lafs/onion"
	"lafs/shares/storage"
)

// A server that did not say in time whether it takes shares is late until it
// answers something. Uploads that are a success without the late ones do not begin
// with them: else each would wait again for a server that has gone for good.
// They are asked for a sign of life meanwhile, so one that comes back misses
// few. All of this is kept in memory and nowhere else.

// noteLate notes how a server met an upload's question: err is nil if it
// answered.
func (g *Grid) noteLate(s Server, err error) {
	late := errors.Is(err, errSlow) || errors.Is(err, storage.ErrUnreachable) || errors.Is(err, context.DeadlineExceeded)
	if late && (errors.Is(err, onion.ErrTorDown) || g.cfg.Network() != nil) {
		return // that says nothing of the server
	}
	g.mu.Lock()
	_, was := g.late[s.ID]
	switch {
	case err == nil:
		delete(g.late, s.ID)
	case late && !was:
		g.late[s.ID] = false
	}
	g.mu.Unlock()
	if late {
		g.lookFor(s)
	}
}

// isLate reports whether a server is late.
func (g *Grid) isLate(s Server) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, late := g.late[s.ID]
	return late
}

// lookFor asks a late server whether it is back, in the background, unless
// that is being done.
func (g *Grid) lookFor(s Server) {
	looks := func(now bool) (before bool) {
		g.mu.Lock()
		defer g.mu.Unlock()
		before, late := g.late[s.ID]
		if late {
			g.late[s.ID] = now
		}
		return before || !late
	}
	if looks(true) {
		return
	}
	started := g.background(func(ctx context.Context) {
		_, err := s.Storage.Version(ctx)
		looks(false)
		if err == nil {
			g.noteLate(s, nil)
		}
	})
	if !started {
		looks(false)
	}
}

// waive leaves the late servers out of the upload if it is a success without
// them, and has them looked for.
func (u *upload) waive() {
	for _, c := range u.cands[:u.asked] {
		if u.g.isLate(c.server) {
			c.waived = true
			u.g.lookFor(c.server)
		}
	}
	if lay := u.plan(); !u.satisfied(lay.Happiness, u.opts.Total-len(lay.Unplaced)) {
		u.unwaive()
	}
}

// unwaive takes servers in again that were left out, and reports whether
// there were any.
func (u *upload) unwaive() (had bool) {
	for _, c := range u.cands {
		had = had || c.waived
		c.waived = false
	}
	return had
}
