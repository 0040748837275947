package oniontest

import (
	"sync/atomic"
	"time"
)

// Faults are what is wrong with one host at present. "In" is towards the
// host, "Out" away from it, whoever dialled. A change takes effect at once,
// on connections that stand too. The zero value is a healthy host.
type Faults struct {
	// TorDown makes the host's own dials and Listens fail with
	// onion.ErrTorDown, and its Status say so.
	TorDown bool
	// DialError makes dials to this host fail with it, such as
	// onion.ErrRefused, after the trips that a dial takes.
	DialError error
	// DialHangs makes dials to this host wait until their context ends.
	DialHangs bool
	// StallIn and StallOut hold bytes back; they go on, none lost, when the
	// stall ends.
	StallIn, StallOut bool
	// LoseIn and LoseOut make bytes vanish, the end of a connection among
	// them, while the sender takes them for sent. LoseOut on a server is the
	// answer lost. What follows on a connection that lost bytes is lost too,
	// also when the fault is over.
	LoseIn, LoseOut bool
	// CutInAfter and CutOutAfter cut one connection, once: the one that
	// carries the byte after so many, counted over all connections since
	// Faults was called. What came before is delivered. 0 is never.
	CutInAfter, CutOutAfter int64
	// Delay is added each way.
	Delay time.Duration
	// Bandwidth, if not 0, replaces Options.Bandwidth where it is less.
	Bandwidth int64
}

// A faultState is a Faults with what was counted since it was set.
type faultState struct {
	Faults
	in, out atomic.Int64
}

// cutPoint returns how many of n more bytes pass before the cut, and whether
// it falls among them.
func cutPoint(count *atomic.Int64, limit int64, n int) (int, bool) {
	if limit <= 0 {
		return n, false
	}
	after := count.Add(int64(n))
	before := after - int64(n)
	if before > limit || after <= limit {
		return n, false
	}
	// Whoever comes next starts beyond the limit, so the cut happens once.
	count.Add(1)
	return int(limit - before), true
}
