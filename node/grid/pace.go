package grid

import (
	"sync"
	"time"

	"lafs/shares/storage"
)

const (
	// usualTrip and usualRate (bytes a second) stand for what is not known of
	// a server yet: several warm lanes.
	usualTrip = 600 * time.Millisecond
	usualRate = 1 << 20
	// paceLasts is how long what was learned of a server's speed is believed.
	paceLasts = 10 * time.Minute
	// slowestRate keeps expectations finite.
	slowestRate = 4 << 10
)

// A pace is how fast one server gives, as downloads have seen it. It is kept
// in memory and nowhere else: it tells whom we read from.
type pace struct {
	mu    sync.Mutex
	rate  float64   // guarded by mu; bytes a second; 0: not known
	at    time.Time // guarded by mu; when that was learned
	owed  int64     // guarded by mu; bytes asked for that have not come, all downloads together
	users int       // guarded by mu; downloads that are owed some of it
	due   time.Time // guarded by mu; when the first of them must have come
	then  int64     // guarded by mu; what had come from the server, ever, when they were asked for
	last  time.Time // guarded by mu; when a piece last came
	since time.Time // guarded by mu; when the sample under way began
	moved int64     // guarded by mu; bytes since then
}

// pace returns what is known of a server.
func (g *Grid) pace(s Server) *pace {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.paces[s.ID]
	if p == nil {
		p = new(pace)
		g.paces[s.ID] = p
	}
	return p
}

// heard is what is known of the way to a server.
func heard(s Server) (h storage.Heard) {
	if l, ok := s.Storage.(storage.Line); ok {
		h = l.Heard()
	}
	if h.Trip == 0 {
		h.Trip = usualTrip
	}
	return h
}

// expect tells the way to a server how much is about to move.
func expect(s Server, bytes int64) {
	if l, ok := s.Storage.(storage.Line); ok {
		l.Expect(bytes)
	}
}

// ask counts n bytes more that were asked for, and returns how long they
// will take.
func (p *pace) ask(n int64, h storage.Heard) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := p.afterLocked(n, h.Trip, p.rateLocked())
	if p.owed == 0 {
		p.due, p.then = time.Now().Add(h.Trip), h.Moved
		p.since, p.moved = time.Time{}, 0
	}
	p.owed += n
	return took
}

// after is how long n bytes would take if they were asked for now, of a
// server that is no faster than most.
func (p *pace) after(n int64, trip time.Duration, most float64) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.afterLocked(n, trip, min(p.rateLocked(), most))
}

func (p *pace) afterLocked(n int64, trip time.Duration, rate float64) time.Duration {
	return trip + time.Duration(float64(p.owed+n)/rate*float64(time.Second))
}

// known is the rate in bytes a second, as far as it is.
func (p *pace) known() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rateLocked()
}

func (p *pace) rateLocked() float64 {
	if p.rate == 0 || time.Since(p.at) > paceLasts {
		return usualRate
	}
	return p.rate
}

// room reports whether n bytes more, beside own of the same download, keep
// within its part of what is asked of the server at once: enough for three
// trips, the same for each download.
func (p *pace) room(n, own int64, trip time.Duration, most float64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if own == 0 {
		return true
	}
	all := max(2*n, int64(3*min(p.rateLocked(), most)*trip.Seconds())+n)
	return own+n <= all/int64(max(p.users, 1))
}

// join and leave count a download that is owed something.
func (p *pace) join() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users++
}

func (p *pace) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users--
}

// came notes that n bytes of some request have come.
func (p *pace) came(n int64, trip time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.last = now
	if p.since.IsZero() {
		p.since, p.moved = now, 0
		return
	}
	p.moved += n
	took := now.Sub(p.since)
	if took < trip/2 {
		return
	}
	r := float64(p.moved) / took.Seconds()
	if p.rate > 0 {
		r = (p.rate + r) / 2
	}
	p.learn(r)
	p.since, p.moved = now, 0
}

func (p *pace) learn(rate float64) { p.rate, p.at = max(rate, slowestRate), time.Now() }

// drop ends a request for n bytes, however it went.
func (p *pace) drop(n int64, trip time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owed = max(0, p.owed-n)
	if p.owed == 0 && !p.since.IsZero() && time.Since(p.since) < trip/2 {
		// A burst shows what the server can do at least.
		p.learn(max(p.rate, float64(p.moved)/(trip/2).Seconds()))
	}
}

// late reports whether what is owed is late: nothing came for one and a half
// trips though it was due, or so little has come since then that it would
// take more than twice as long as the server's rate promised. The rate is
// then what it has shown.
func (p *pace) late(h storage.Heard) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.owed == 0 {
		return false
	}
	last := h.Last
	for _, t := range []time.Time{p.due, p.last} {
		if t.After(last) {
			last = t
		}
	}
	took := time.Since(p.due)
	if time.Since(last) > h.Trip+h.Trip/2 {
		p.learn(min(p.rateLocked(), float64(p.owed)/(took+h.Trip).Seconds()))
		return true
	}
	if took < h.Trip/2 || h.Moved == 0 {
		return false
	}
	shown := max(float64(h.Moved-p.then)/took.Seconds(), slowestRate)
	owed := float64(p.owed)
	if owed/shown < 2*owed/p.rateLocked()+h.Trip.Seconds() {
		return false
	}
	p.learn(shown)
	return true
}

// silent reports whether nothing came for one and a half trips though it was
// due.
func (p *pace) silent(h storage.Heard) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := h.Last
	for _, t := range []time.Time{p.due, p.last} {
		if t.After(last) {
			last = t
		}
	}
	return p.owed > 0 && time.Since(last) > h.Trip+h.Trip/2
}
