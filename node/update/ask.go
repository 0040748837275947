package update

import (
	"context"
	"errors"
	"time"

	"lafs/node/grid"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// A peer is what is remembered of one server.
type peer struct {
	suspect  bool // it let us wait, and has not answered since
	underWay int
}

// An answer is what came of one request.
type answer struct {
	server grid.Server
	err    error
	storage.SlotAnswer
	// counts: the versions that State names are the owner's, so that it may
	// be counted. Only read and promised states are looked at.
	counts bool
	// rests are the versions that State names and that other servers must
	// show: this one's shares were collected, and its votes stand.
	rests  []agree.VersionID
	parts  []part
	layout *layout // of Placement, if it is the owner's
}

// A round is one message to several servers.
type round struct {
	si      caps.StorageIndex
	servers []grid.Server
	// request makes the message for servers[i].
	request func(i int) storage.SlotRequest
	// look is run on every answer as it comes, at once with others; nil for
	// answers of which only Done is used.
	look func(*answer)
	// enough says that the answers decide, without the others. least is how
	// many answers without error are worth going on with.
	enough func([]*answer) bool
	least  int
	// hope is how many are worth being patient for, if it is more than least.
	hope int
}

// hopeGrace is how long hope is waited for at the least: the way to some
// servers may be new, and that to others not.
const hopeGrace = 5 * time.Second

// ask sends a round and returns the answers when they are enough; else when
// all came, or at least least and some time has passed: not much once there
// are hope. Requests that are left behind go on in the background.
func (e *Engine) ask(ctx context.Context, r round) []*answer {
	start := time.Now()
	came := make(chan *answer, len(r.servers))
	for i, s := range r.servers {
		// Made here and not by whoever sends it, who may be left behind while
		// the operation goes on and changes.
		req := r.request(i)
		if !e.background(func() { came <- e.request(r, req, s) }) {
			came <- &answer{server: s, err: ErrClosed}
		}
	}
	waiting := map[string]bool{}
	for _, s := range r.servers {
		waiting[s.ID] = true
	}
	var out []*answer
	var grace <-chan time.Time
	good, patient := 0, false
	for len(waiting) > 0 {
		select {
		case a := <-came:
			delete(waiting, a.server.ID)
			out = append(out, a)
			if a.err == nil {
				good++
			}
		case <-grace:
			e.suspect(waiting)
			return out
		case <-ctx.Done():
			return out
		}
		if r.enough(out) {
			return out
		}
		if good < r.least {
			continue
		}
		if good >= r.hope && e.allSuspect(waiting) {
			return out
		}
		if grace == nil || patient && good >= r.hope {
			d := max(leastGrace, time.Since(start))
			if patient = good < r.hope; patient {
				d = max(hopeGrace, 4*d)
			}
			t := time.NewTimer(d)
			defer t.Stop()
			grace = t.C
		}
	}
	return out
}

func (e *Engine) request(r round, req storage.SlotRequest, s grid.Server) *answer {
	a := &answer{server: s}
	switch {
	case s.Slots == nil && s.Storage == nil:
		a.err = storage.ErrUnreachable // it is on the list and not known now
	case s.Slots == nil:
		a.err = ErrNoSlots
	case !e.begin(s.ID):
		a.err = storage.ErrUnreachable
	default:
		ctx, cancel := context.WithTimeout(e.ctx, timeFor(&req))
		defer cancel()
		a.SlotAnswer, a.err = s.Slots.Slot(ctx, r.si, req)
		e.end(s.ID, a.err)
	}
	if a.err == nil && r.look != nil {
		r.look(a)
	}
	return a
}

// timeFor is how long a request may take.
func timeFor(req *storage.SlotRequest) time.Duration {
	bytes := req.Fetch
	for _, set := range []map[storage.ShareNumber][]byte{req.Shares, req.Base} {
		for _, data := range set {
			bytes += int64(len(data))
		}
	}
	return askTimeout + time.Duration(bytes/leastRate)*time.Second
}

// peer returns what is remembered of a server. The caller holds mu.
func (e *Engine) peer(id string) *peer {
	p := e.peers[id]
	if p == nil {
		p = &peer{}
		e.peers[id] = p
	}
	return p
}

// begin counts a request; it is false when too many wait for a server that
// does not answer.
func (e *Engine) begin(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.peer(id)
	if p.suspect && p.underWay >= queued {
		return false
	}
	p.underWay++
	return true
}

func (e *Engine) end(id string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.peer(id)
	p.underWay--
	switch {
	case errors.Is(err, context.Canceled):
	case errors.Is(err, storage.ErrUnreachable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, storage.ErrStateLost):
		p.suspect = true
	default:
		p.suspect = false
	}
}

func (e *Engine) suspect(ids map[string]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id := range ids {
		e.peer(id).suspect = true
	}
}

func (e *Engine) allSuspect(ids map[string]bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id := range ids {
		if !e.peer(id).suspect {
			return false
		}
	}
	return true
}

// trusted counts the servers that answer, as far as is known.
func (e *Engine) trusted(servers []grid.Server) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, s := range servers {
		if s.Slots != nil && !e.peer(s.ID).suspect {
			n++
		}
	}
	return n
}

// definite says that a request was not carried out and will not be.
func definite(a *answer) bool {
	if a.err == nil {
		return !a.Done
	}
	for _, err := range []error{storage.ErrUnauthorized, storage.ErrNoSpace, storage.ErrTooLarge, storage.ErrBadRequest, storage.ErrStateLost, ErrNoSlots} {
		if errors.Is(a.err, err) {
			return true
		}
	}
	return false
}
