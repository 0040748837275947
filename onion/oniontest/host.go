package oniontest

import (
	"context"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"lafs/onion"
)

// A Host is one machine with its own Tor; it implements onion.Network. All
// methods may be called at once.
type Host struct {
	net    *Net
	name   string
	faults atomic.Pointer[faultState]

	in, out, dials, accepted atomic.Int64

	mu    sync.Mutex
	ends  map[*conn]struct{} // guarded by mu; this host's ends that are open
	lanes map[onion.Lane]int // guarded by mu; dials of each lane
}

var _ onion.EarlyDialer = (*Host)(nil)

// Counters are what a host has done so far.
type Counters struct {
	Dials    int   // tried by this host, failed ones too
	Accepted int   // connections that reached one of its listeners
	In, Out  int64 // bytes read by it, and written by it
	Open     int   // its ends of connections that are open now
}

// Counters returns the counts up to now.
func (h *Host) Counters() Counters {
	h.mu.Lock()
	open := len(h.ends)
	h.mu.Unlock()
	return Counters{
		Dials: int(h.dials.Load()), Accepted: int(h.accepted.Load()),
		In: h.in.Load(), Out: h.out.Load(), Open: open,
	}
}

// Lanes returns how many dials this host made with each lane.
func (h *Host) Lanes() map[onion.Lane]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.lanes)
}

// Faults replaces what is wrong with the host.
func (h *Host) Faults(f Faults) {
	st := &faultState{Faults: f}
	h.faults.Store(st)
	for _, c := range h.open() {
		c.in.wake()
		c.out.wake()
	}
}

// Crash cuts the host's connections and withdraws its services at once. The
// other ends see a reset after the way of half a round trip. The host can
// Listen and Dial again, as after a restart.
func (h *Host) Crash() {
	h.net.mu.Lock()
	var ls []*listener
	for _, l := range h.net.services {
		if l.host == h {
			ls = append(ls, l)
		}
	}
	h.net.mu.Unlock()
	for _, l := range ls {
		l.Close()
	}
	h.CutAll()
}

// CutAll cuts the host's connections; its services stay.
func (h *Host) CutAll() {
	for _, c := range h.open() {
		c.cut(time.Now(), time.Now().Add(h.net.opts.RTT/2))
	}
}

// Status is a connected network's, unless Faults say TorDown.
func (h *Host) Status() onion.Status {
	st := onion.Status{Mode: "memory", Bootstrap: 100, Summary: "in memory"}
	if h.faults.Load().TorDown {
		st.Bootstrap, st.Warning = 0, "Tor is down"
	}
	return st
}

// Dial implements onion.Network. Nothing published gives onion.ErrNotFound,
// a port that the service does not have onion.ErrRefused.
func (h *Host) Dial(ctx context.Context, a onion.Addr, lane onion.Lane) (net.Conn, error) {
	if err := h.begin(ctx, lane, h.net.opts.ConnectTrips); err != nil {
		return nil, err
	}
	return h.join(ctx, a)
}

// DialEarly implements onion.EarlyDialer: the question takes half of the last
// trip to the service, with what was written by then behind it.
func (h *Host) DialEarly(ctx context.Context, a onion.Addr, lane onion.Lane, e *onion.Early) error {
	if err := h.begin(ctx, lane, h.net.opts.ConnectTrips-1); err != nil {
		return err
	}
	answer, cancel := context.WithTimeout(ctx, h.net.opts.RTT)
	defer cancel()
	c, err := h.join(ctx, a)
	if err != nil {
		<-answer.Done()
		return err
	}
	sent := 0
	for {
		next := e.Next(answer, sent)
		if len(next) == 0 {
			break
		}
		n, err := c.Write(next)
		if sent += n; err != nil {
			break
		}
	}
	if <-answer.Done(); ctx.Err() != nil {
		c.Close()
		return ctx.Err()
	}
	return e.Join(ctx, c, sent)
}

// begin counts a dial and waits so many trips.
func (h *Host) begin(ctx context.Context, lane onion.Lane, trips int) error {
	h.dials.Add(1)
	h.mu.Lock()
	h.lanes[lane]++
	h.mu.Unlock()
	if h.faults.Load().TorDown {
		return onion.ErrTorDown
	}
	return wait(ctx, time.Duration(trips)*h.net.opts.RTT)
}

// join makes the connection, if the service is there.
func (h *Host) join(ctx context.Context, a onion.Addr) (net.Conn, error) {
	l, err := h.net.find(a)
	if err != nil {
		return nil, err
	}
	f := l.host.faults.Load()
	if f.DialHangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if f.DialError != nil {
		return nil, f.DialError
	}
	near, far := connect(h, l.host)
	if !l.offer(far) {
		near.Close()
		far.Close()
		return nil, onion.ErrRefused
	}
	return near, nil
}

// Listen implements onion.Network. It publishes at once.
func (h *Host) Listen(ctx context.Context, s onion.Service) ([]net.Listener, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.Key == nil || len(s.Ports) == 0 {
		return nil, onion.ErrBadKey
	}
	if h.faults.Load().TorDown {
		return nil, onion.ErrTorDown
	}
	ls, err := h.net.publish(h, s)
	if err != nil {
		return nil, err
	}
	out := make([]net.Listener, len(ls))
	for i, l := range ls {
		out[i] = l
	}
	return out, nil
}

func (h *Host) open() []*conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	cs := make([]*conn, 0, len(h.ends))
	for c := range h.ends {
		cs = append(cs, c)
	}
	return cs
}

func (h *Host) add(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ends[c] = struct{}{}
}

func (h *Host) remove(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.ends, c)
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
