// Package mux carries HTTP over onion circuits: one yamux session on each
// circuit, one HTTP/1.1 exchange on each yamux stream. Opening a stream costs
// no round trip, so a request on a warm session takes exactly one, however
// many go at once. Where no session stands, those that may go twice leave
// with the question for the circuit, which saves one.
//
// A Pool keeps, for each peer and group, one lane for small requests and a
// few for bulk; a lane is a session on a circuit of its own. Bulk lanes are
// dialled as far as they pay, and each gets requests as its circuit carries
// them, by its own rate. Sessions open on the first request and close after some idle minutes; an idle session says
// nothing. On the wire go the headers of a fixed list and no others, on both
// sides.
package mux

import (
	"errors"
	"log/slog"
	"time"

	"lafs/onion"
)

// A Class says which kind of lane a request travels on.
type Class int

const (
	// Small is for requests whose body and answer are short: under 64 KiB.
	Small Class = iota
	// Bulk is for all others. They never share a lane with small ones.
	Bulk
)

func (c Class) String() string {
	if c == Bulk {
		return "bulk"
	}
	return "small"
}

// Lanes that a pool may have. A Tor circuit carries at most 0.4 to 0.8 MB a
// round trip, so more lanes are more speed; each is also a rendezvous circuit
// that the service, its guard and our own guard carry, and seconds of work to
// open.
const (
	// DefaultBulkLanes is the number of bulk lanes that a peer may have. With
	// four to each of five services 10 MiB take 1.6 s where one takes 2.7 s
	// and eight no less than four.
	DefaultBulkLanes = 4
	// MaxBulkLanes is the most that may be asked for: beyond it circuits fail
	// to open and little is gained.
	MaxBulkLanes = 8
	// DefaultSessions bounds the sessions of one node: a small lane and four
	// for bulk to a dozen servers. Beyond it a peer gets no second bulk lane.
	DefaultSessions = 64
)

// dialsAtOnce bounds the dials under way while second lanes are dialled: each
// makes three circuits.
const dialsAtOnce = 24

// streamsPerLane bounds the requests that are under way on one lane; more
// wait. It is below the servers' own bound, so that no stream is refused.
const streamsPerLane = 128

const (
	// dialTimeout is longer than the time that Tor takes to give up on a
	// service by itself.
	dialTimeout = 2 * time.Minute
	// idleMin and idleMax bound the random time after which an idle session
	// closes: random so that it says nothing about when the use ended.
	idleMin, idleMax = 5 * time.Minute, 15 * time.Minute
	// A dial that failed is not repeated before backoffMin, doubled with each
	// further failure up to backoffMax, and with as much again at random.
	backoffMin, backoffMax = time.Second, 30 * time.Second
	// suspectAfter is how long a session may be silent while a request waits
	// before the caller's giving up retires the session.
	suspectAfter = 20 * time.Second
	// maxAnswerHeader bounds the header of an answer, in bytes.
	maxAnswerHeader = 16 << 10
	// maxAttempts bounds how often one request is sent or tried to be.
	maxAttempts = 3
)

// Errors that a caller may branch on. Both match onion.ErrUnreachable.
var (
	// ErrLost: the session broke while the request was under way. Whether
	// the peer acted on it is not known.
	ErrLost error = &unreachable{"the session with the onion service was lost"}
	// ErrFormat: the peer speaks another session format, or none.
	ErrFormat error = &unreachable{"the onion service does not speak lafs's session format"}
)

type unreachable struct{ text string }

func (e *unreachable) Error() string        { return e.text }
func (e *unreachable) Is(target error) bool { return target == onion.ErrUnreachable }

var errPoolClosed = errors.New("the pool of sessions was closed")

// A Config sets a Pool. The zero value is the product's default.
type Config struct {
	// BulkLanes is the most bulk lanes a peer has, up to MaxBulkLanes; 0 means
	// DefaultBulkLanes.
	BulkLanes int
	// Sessions bounds the sessions of all peers: where there are as many, no
	// peer gets a second bulk lane; 0 means DefaultSessions.
	Sessions int
	// Log gets what goes wrong, without addresses; nil discards.
	Log *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.BulkLanes < 0 || c.BulkLanes > MaxBulkLanes || c.Sessions < 0 {
		return c, errors.New("mux: BulkLanes or Sessions is out of range")
	}
	if c.Sessions == 0 {
		c.Sessions = DefaultSessions
	}
	if c.BulkLanes == 0 {
		c.BulkLanes = DefaultBulkLanes
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
