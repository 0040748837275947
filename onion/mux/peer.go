package mux

import (
	"net/http"
	"sync"
	"time"

	"lafs/onion"
)

// A Peer is one onion service, with the lanes that lead to it. All methods
// may be called at once.
type Peer struct {
	pool *Pool
	addr onion.Addr
	beat *beat // of all sessions of its group

	mu       sync.Mutex // guards the lanes' fields too, and the sessions'
	small    *lane
	bulk     []*lane
	waiting  []*ticket     // bulk requests without a lane, in their order
	looking  bool          // dispatch will look again
	moved    int64         // bytes of bulk answers
	trip     time.Duration // the round trip; 0: not measured yet
	replaced time.Time     // when a slow lane last was
	lastErr  error         // of the latest request; nil if it went well
	lastUsed time.Time     // when a request last ended
	since    time.Time     // when the peer last became connected or unconnected
	up       bool          // a lane had a session when last looked at
}

func newPeer(p *Pool, a onion.Addr, b *beat) *Peer {
	pe := &Peer{pool: p, addr: a, beat: b}
	pe.small = newLane(pe)
	return pe
}

// A PeerStatus is how a peer is doing, for a person to read. It holds no
// address.
type PeerStatus struct {
	// Connected says that a session stands, as far as is known: nothing is
	// sent to find out.
	Connected bool
	// Lanes is the number of sessions.
	Lanes int
	// LastError is what the latest request met, empty if it went well.
	LastError string
	// LastUsed is when a request last ended; zero if none has.
	LastUsed time.Time
	// Since is when Connected last changed; zero if it never was true.
	Since time.Time
}

// Status returns the peer's status. It does no I/O.
func (pe *Peer) Status() PeerStatus {
	pe.mu.Lock()
	defer pe.mu.Unlock()
	pe.noteLocked()
	st := PeerStatus{Connected: pe.up, Lanes: pe.lanesUp(), LastUsed: pe.lastUsed, Since: pe.since}
	if pe.lastErr != nil {
		st.LastError = pe.lastErr.Error()
	}
	return st
}

// noteLocked notices when the peer became connected or unconnected.
func (pe *Peer) noteLocked() {
	if up := pe.lanesUp() > 0; up != pe.up {
		pe.up, pe.since = up, time.Now()
	}
}

func (pe *Peer) lanesUp() int {
	n := 0
	for _, ln := range append([]*lane{pe.small}, pe.bulk...) {
		if ln.live() {
			n++
		}
	}
	return n
}

// ended records how a request went.
func (pe *Peer) ended(err error) {
	pe.mu.Lock()
	defer pe.mu.Unlock()
	pe.lastErr, pe.lastUsed = err, time.Now()
	pe.noteLocked()
}

// RoundTripper returns what carries requests of class c to the peer. Requests
// have URLs like http://lafs/path; the host is the same word on the wire
// whatever it says. Redirects are not followed, headers outside the fixed
// list not sent.
//
// A request that meets a dead session goes again over a new one, without the
// caller's noticing more than delay, when not a byte of it had been sent, or
// when it may be repeated: GET, HEAD, and any request whose Header has an
// Idempotency-Key (which is not sent). One with a body goes again only if it
// has GetBody. Otherwise the error matches ErrLost.
//
// Response bodies must be closed. Closing one that was not read to the end,
// or cancelling the request's context, resets the stream: both ends are free
// at once. To that end the Close of a request's body may be called while its
// Read waits.
func (pe *Peer) RoundTripper(c Class) http.RoundTripper { return &roundTripper{pe, c} }

// pickSmall returns the lane for small requests; the next one is counted on it
// until release.
func (pe *Peer) pickSmall() *lane {
	pe.mu.Lock()
	defer pe.mu.Unlock()
	pe.small.busy++
	return pe.small
}

// forget drops a bulk lane that went idle.
func (pe *Peer) forget(ln *lane) {
	for i, b := range pe.bulk {
		if b == ln {
			pe.bulk = append(pe.bulk[:i:i], pe.bulk[i+1:]...)
			return
		}
	}
}
