package mux

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"

	"lafs/onion"
)

// A Pool keeps sessions with peers. All methods may be called at once.
type Pool struct {
	nw  onion.Network
	cfg Config

	dialling atomic.Int64 // dials under way

	ctx    context.Context // ends at Close; for dials, which serve many requests
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	closed   bool                  // guarded by mu
	peers    map[peerKey]*Peer     // guarded by mu
	sessions map[*session]struct{} // guarded by mu; all that are not closed
}

type peerKey struct {
	addr  onion.Addr
	group string
}

// NewPool returns a pool without sessions. A nil nw gives onion.ErrNoNetwork.
func NewPool(nw onion.Network, cfg Config) (*Pool, error) {
	if err := onion.Require(nw); err != nil {
		return nil, err
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Pool{nw: nw, cfg: cfg, peers: make(map[peerKey]*Peer), sessions: make(map[*session]struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p, nil
}

// Peer returns the peer at a. The same address and group give the same Peer,
// and so the same lanes; peers of different groups, such as two grids or two
// authorities, never share a circuit. It does no I/O.
func (p *Pool) Peer(a onion.Addr, group string) *Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := peerKey{a, group}
	pe := p.peers[k]
	if pe == nil {
		pe = newPeer(p, a, p.beatLocked(group))
		p.peers[k] = pe
	}
	return pe
}

// beatLocked returns the beat of a group's sessions: what leaves at one time
// must not tell that two groups have one client.
func (p *Pool) beatLocked(group string) *beat {
	for k, pe := range p.peers {
		if k.group == group {
			return pe.beat
		}
	}
	return &beat{gather: clientGather}
}

// Forget makes the pool keep nothing of pe, for a peer that is not asked any
// more: an introducer may name new places as long as it likes. Requests on it
// still work, and its sessions end when they are idle, as ever. A later Peer of
// the same address is another, on other circuits.
func (p *Pool) Forget(pe *Peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.peers, func(_ peerKey, known *Peer) bool { return known == pe })
}

// Close cuts every session, so that requests under way fail, and waits for
// the pool's goroutines. Later requests fail with an error that matches
// onion.ErrClosed.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	p.cancel()
	for s := range p.sessions {
		p.closeLocked(s)
	}
	p.mu.Unlock()
	p.wg.Wait()
	return nil
}

// spawn runs f in a goroutine that Close waits for, unless the pool is
// closed.
func (p *Pool) spawn(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.wg.Go(f)
	return true
}

// mayDial reports whether one more bulk lane may be dialled for a peer that
// has one.
func (p *Pool) mayDial() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	dialling := int(p.dialling.Load())
	return dialling < dialsAtOnce && len(p.sessions)+dialling < p.cfg.Sessions
}

// adopt adds a session that was opened, unless the pool is closed.
func (p *Pool) adopt(s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.sessions[s] = struct{}{}
	return true
}

// drop closes s and forgets it. It does not wait.
func (p *Pool) drop(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeLocked(s)
}

func (p *Pool) closeLocked(s *session) {
	if _, ok := p.sessions[s]; !ok {
		return
	}
	delete(p.sessions, s)
	// Closing waits for yamux's loops, which may wait for the circuit.
	p.wg.Go(func() { s.Close() })
}
