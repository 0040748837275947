// Package oniontest is an onion.Network in memory: hosts that publish
// services and dial each other, with latency, bandwidth and faults that a
// test sets and changes while things run.
//
// It does no real I/O and starts no goroutine, so that it works inside a
// testing/synctest bubble, where a second of latency costs nothing and is
// exact: with no jitter, the round trips that an operation waits for, one
// after the other, are its virtual duration divided by Options.RTT (Trips).
// All randomness comes from Options.Seed and the order of the dials.
package oniontest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"lafs/onion"
)

// Options say how the network behaves. The zero value has no latency and no
// bound on bandwidth.
type Options struct {
	// RTT is the round trip between any two hosts; half of it each way.
	RTT time.Duration
	// Jitter is the most that is added to the way of one write, at random.
	// Bytes of one connection never overtake each other.
	Jitter time.Duration
	// Bandwidth is in bytes a second, per connection and direction; 0 is
	// without bound.
	Bandwidth int64
	// Windows gives each direction of a connection the window of a Tor
	// circuit, as measured on one: 56 KiB are under way at first, twice as
	// much after each trip up to 224 KiB, then 40 KiB more a trip up to 448
	// KiB.
	Windows bool
	// ConnectTrips is the number of round trips that a Dial takes; 0 means 1.
	ConnectTrips int
	// Buffer is the number of bytes that one direction of a connection holds,
	// on its way and unread together, before Write blocks; 0 means 4 MiB.
	Buffer int
	// Seed makes the jitter.
	Seed int64
}

const (
	defaultBuffer = 4 << 20
	// backlog is the number of connections that wait for Accept; one more is
	// refused.
	backlog = 1024
)

// A Net is the network that its hosts share. All methods may be called at
// once.
type Net struct {
	opts Options

	mu       sync.Mutex
	hosts    map[string]*Host         // guarded by mu
	services map[onion.Addr]*listener // guarded by mu
	keys     map[string][]*listener   // guarded by mu; by public key
	blocked  map[onion.Addr]error     // guarded by mu
	conns    int64                    // guarded by mu; numbers the connections
	slow     map[int64]int64          // guarded by mu; bandwidths, by number
	closed   bool                     // guarded by mu
}

// New returns a network without hosts.
func New(opts Options) *Net {
	if opts.ConnectTrips == 0 {
		opts.ConnectTrips = 1
	}
	if opts.Buffer == 0 {
		opts.Buffer = defaultBuffer
	}
	return &Net{
		opts:     opts,
		hosts:    make(map[string]*Host),
		services: make(map[onion.Addr]*listener),
		keys:     make(map[string][]*listener),
		blocked:  make(map[onion.Addr]error),
		slow:     make(map[int64]int64),
	}
}

// Throttle gives one connection a bandwidth of its own in both directions, in
// bytes a second, from the next byte on; 0 ends that. Connections are numbered
// from 1 in the order in which they come to stand.
func (n *Net) Throttle(conn int, bandwidth int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.slow[int64(conn)] = bandwidth
}

func (n *Net) throttled(conn int64) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.slow[conn]
}

// Host returns the host of that name, the same one each time.
func (n *Net) Host(name string) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[name]
	if h == nil {
		h = &Host{net: n, name: name, ends: make(map[*conn]struct{}), lanes: make(map[onion.Lane]int)}
		h.faults.Store(new(faultState))
		n.hosts[name] = h
	}
	return h
}

// Block makes every later dial to a fail with err, such as
// onion.ErrUnreachable; nil ends that. Connections that stand are not
// touched.
func (n *Net) Block(a onion.Addr, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		delete(n.blocked, a)
		return
	}
	n.blocked[a] = err
}

// Trips runs f and returns how many round trips it waited for one after the
// other: the time that passed divided by the RTT, rounded. It means something
// inside a synctest bubble and without jitter and bandwidth bounds.
func (n *Net) Trips(f func()) int {
	if n.opts.RTT <= 0 {
		panic("oniontest: Trips needs an RTT")
	}
	start := time.Now()
	f()
	return int((time.Since(start) + n.opts.RTT/2) / n.opts.RTT)
}

// Close crashes every host. Dials and Listens then fail with
// onion.ErrClosed.
func (n *Net) Close() error {
	n.mu.Lock()
	n.closed = true
	hosts := make([]*Host, 0, len(n.hosts))
	for _, h := range n.hosts {
		hosts = append(hosts, h)
	}
	n.mu.Unlock()
	for _, h := range hosts {
		h.Crash()
	}
	return nil
}

// find returns the listener that a dial to a reaches.
func (n *Net) find(a onion.Addr) (*listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, onion.ErrClosed
	}
	if err := n.blocked[a]; err != nil {
		return nil, err
	}
	if l := n.services[a]; l != nil {
		return l, nil
	}
	if len(n.keys[string(a.PublicKey())]) > 0 {
		return nil, onion.ErrRefused
	}
	return nil, onion.ErrNotFound
}

func (n *Net) publish(h *Host, s onion.Service) ([]*listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, onion.ErrClosed
	}
	var ls []*listener
	for _, port := range s.Ports {
		a, err := s.Key.Addr(port)
		if err != nil {
			return nil, err
		}
		if n.services[a] != nil {
			return nil, fmt.Errorf("publish %s: the address is published already", a.Short())
		}
		ls = append(ls, newListener(h, a))
	}
	for _, l := range ls {
		n.services[l.addr] = l
	}
	id := string(s.Key.PublicKey())
	n.keys[id] = append(n.keys[id], ls...)
	return ls, nil
}

func (n *Net) withdraw(l *listener) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.services[l.addr] != l {
		return
	}
	delete(n.services, l.addr)
	id := string(l.addr.PublicKey())
	n.keys[id] = slices.DeleteFunc(n.keys[id], func(o *listener) bool { return o == l })
	if len(n.keys[id]) == 0 {
		delete(n.keys, id)
	}
}

func (n *Net) number() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns++
	return n.conns
}
