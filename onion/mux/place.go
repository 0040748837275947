package mux

import (
	"context"
	"sync"
	"time"
)

const (
	defaultPlaces  = 1536
	defaultStreams = 6144
	defaultBytes   = 640 << 20
	// strangersPlaces is the part of the places that strangers may take from
	// idle sessions that are known: one of so many.
	strangersPlaces = 4
	// strangerTime is how long a session that is not known keeps its place
	// when there are too many: time for one request through Tor.
	strangerTime = 30 * time.Second
	// ownStreams are there for each session whatever others open. It may have
	// more while it has no more than one in streamShare of those that are
	// free.
	ownStreams  = 2
	streamShare = 16
)

// A BudgetConfig sets a Budget. The zero value is the product's default.
type BudgetConfig struct {
	// Sessions bounds the circuits that stand at once; 0 means 1536.
	Sessions int
	// Streams bounds the requests, and what may become one, that are open at
	// once on all of them, but for two of each; 0 means 6144.
	Streams int
	// Bytes bounds what came from peers and waits for its handler, and what
	// handlers claim, together; 0 means 640 MiB.
	Bytes int64
}

// A Budget bounds what peers make one process hold, whatever the listener
// and the protocol that they come by. All methods may be called at once.
//
// Nobody knows who a peer is. What can be told apart are circuits, each of
// which costs its peer something, those that showed a right from those that
// did not yet (strangers), and one right from another (groups). So room is
// made by a circuit that is idle, a stranger before one that is known, of the
// group that has the most circuits; never by one with a request for one
// without, unless a stranger has let us wait for half a minute. Strangers can
// take a quarter of the places from those who are known. Streams and bytes
// are given while there are so many more for others: who has much gets no
// more long before who has nothing.
type Budget struct {
	sessions, shared int // shared streams are those above ownStreams
	bytes            *budget

	mu        sync.Mutex
	places    map[*Place]struct{} // guarded by mu
	strangers int                 // guarded by mu; of places
	groups    map[any]int         // guarded by mu; places by group, of those that are known
	streams   int                 // guarded by mu; shared ones that are open
	alien     int                 // guarded by mu; of them strangers'
	load      Load                // guarded by mu; what is counted only
}

// A Load is what a Budget holds, and has refused since it was made.
type Load struct {
	// Sessions stand, MaxSessions may, Known have shown a right, and Busy
	// have a request.
	Sessions, MaxSessions, Known, Busy int
	// Streams are open, Bytes are held.
	Streams int
	Bytes   int64
	// Dropped sessions made room for others, Cut ones had too many bytes
	// here, Refused ones found no room. StreamsRefused, ClaimsRefused: there
	// was no room for a stream, or for a handler's bytes.
	Dropped, Cut, Refused, StreamsRefused, ClaimsRefused int64
}

// NewBudget returns a budget of which nothing is used.
func NewBudget(cfg BudgetConfig) *Budget {
	if cfg.Sessions <= 0 {
		cfg.Sessions = defaultPlaces
	}
	if cfg.Streams <= 0 {
		cfg.Streams = defaultStreams
	}
	if cfg.Bytes <= 0 {
		cfg.Bytes = defaultBytes
	}
	return &Budget{sessions: cfg.Sessions, shared: max(0, cfg.Streams-ownStreams*cfg.Sessions), bytes: newBudget(cfg.Bytes),
		places: make(map[*Place]struct{}), groups: make(map[any]int)}
}

// Load tells how the budget is used.
func (b *Budget) Load() Load {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.load
	l.Sessions, l.MaxSessions, l.Known = len(b.places), b.sessions, len(b.places)-b.strangers
	for p := range b.places {
		l.Streams += p.streams
		if p.busy > 0 {
			l.Busy++
		}
	}
	b.bytes.mu.Lock()
	defer b.bytes.mu.Unlock()
	l.Bytes, l.Cut, l.ClaimsRefused = b.bytes.total+b.bytes.claimed, b.bytes.cuts, b.bytes.refused
	return l
}

// A Place is one circuit's, or one connection's where each has one. Its
// fields are guarded by its budget's mu.
type Place struct {
	budget   *Budget
	cut      func() // must not wait; not guarded
	accepted time.Time

	since   time.Time // when busy became 0
	busy    int       // requests that are worked on
	streams int
	known   bool
	group   any
	left    bool
}

// Admit gives a place to a circuit that has just been opened, at the cost of
// another one if need be, which is cut: nil if there is none to be had. cut
// must end the circuit without waiting. Leave must follow.
func (b *Budget) Admit(cut func()) *Place {
	now := time.Now()
	p := &Place{budget: b, cut: cut, accepted: now, since: now}
	b.mu.Lock()
	var out *Place
	if len(b.places) >= b.sessions {
		if out = b.dispensableLocked(now); out == nil {
			b.load.Refused++
			b.mu.Unlock()
			return nil
		}
		out.leaveLocked()
		b.load.Dropped++
	}
	b.places[p] = struct{}{}
	b.strangers++
	b.mu.Unlock()
	if out != nil {
		out.cut()
	}
	return p
}

// dispensableLocked returns the place that a newcomer gets, nil if none has
// to be given up.
func (b *Budget) dispensableLocked(now time.Time) *Place {
	var best *Place
	var rank int
	var since time.Time
	for p := range b.places {
		r, t := 0, p.since
		switch {
		case p.busy == 0 && !p.known:
			// More than any group has.
			r = 2 + len(b.places)
		case p.busy == 0 && b.strangers < max(1, b.sessions/strangersPlaces):
			r = 1 + b.groups[p.group]
		case p.busy > 0 && !p.known && now.Sub(p.accepted) > strangerTime:
			r, t = 1, p.accepted
		}
		if r > rank || r == rank && r > 0 && t.Before(since) {
			best, rank, since = p, r, t
		}
	}
	return best
}

// Know notes that the peer has shown that it may ask: it is no stranger any
// more. group tells its right from others, can be compared, and says nothing
// of it; nil is one of them. Only the first one counts.
func (p *Place) Know(group any) {
	b := p.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.left || p.known && (p.group != nil || group == nil) {
		return
	}
	if p.known {
		b.ungroupLocked(p.group)
	} else {
		b.strangers--
		b.alien -= p.shared()
	}
	p.known, p.group = true, group
	b.groups[group]++
}

func (b *Budget) ungroupLocked(group any) {
	if b.groups[group]--; b.groups[group] == 0 {
		delete(b.groups, group)
	}
}

// begin and end stand around a request that is worked on.
func (p *Place) begin() {
	p.budget.mu.Lock()
	defer p.budget.mu.Unlock()
	p.busy++
}

func (p *Place) end() {
	p.budget.mu.Lock()
	defer p.budget.mu.Unlock()
	if p.busy--; p.busy == 0 {
		p.since = time.Now()
	}
}

// shared is how many streams it has above its own. budget.mu is held.
func (p *Place) shared() int { return max(0, p.streams-ownStreams) }

// open takes a stream, if there is one to be had. close must follow.
func (p *Place) open() bool {
	b := p.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.streams >= ownStreams {
		free := b.shared - b.streams
		if !p.known {
			free = min(free, b.shared/2-b.alien)
		}
		if p.left || free <= 0 || p.streams > free/streamShare+ownStreams {
			b.load.StreamsRefused++
			return false
		}
	}
	p.countLocked(1)
	return true
}

func (p *Place) close() {
	p.budget.mu.Lock()
	defer p.budget.mu.Unlock()
	p.countLocked(-1)
}

func (p *Place) countLocked(n int) {
	before := p.shared()
	p.streams += n
	if p.left {
		return
	}
	more := p.shared() - before
	p.budget.streams += more
	if !p.known {
		p.budget.alien += more
	}
}

// Leave gives the place back. It may be called twice.
func (p *Place) Leave() {
	p.budget.mu.Lock()
	defer p.budget.mu.Unlock()
	p.leaveLocked()
}

func (p *Place) leaveLocked() {
	b := p.budget
	if p.left {
		return
	}
	p.left = true
	delete(b.places, p)
	b.streams -= p.shared()
	if p.known {
		b.ungroupLocked(p.group)
		return
	}
	b.strangers--
	b.alien -= p.shared()
}

// placeKey is where a request's context has its *Place.
type placeKey struct{}

// WithPlace returns a context of the requests that come on a circuit.
func WithPlace(ctx context.Context, p *Place) context.Context {
	return context.WithValue(ctx, placeKey{}, p)
}

// PlaceOf returns the place of the circuit by which a request came, nil if
// it did not come by one.
func PlaceOf(ctx context.Context) *Place {
	p, _ := ctx.Value(placeKey{}).(*Place)
	return p
}

// Vouch is Know for the circuit by which a request came. Handlers call it
// once they have seen that the request may be asked.
func Vouch(ctx context.Context, group any) {
	if p := PlaceOf(ctx); p != nil {
		p.Know(group)
	}
	if s, ok := ctx.Value(streamKey{}).(*serverStream); ok {
		s.session.holds.know()
	}
}
