package mux

import "time"

const (
	// freshWindow is what is asked of a circuit whose speed is not known yet,
	// in bytes: more than it brings in two trips.
	freshWindow = 256 << 10
	// minWindow keeps a slow circuit in use, so that its speed stays known;
	// maxWindow is what the fastest carry in one trip and a little more.
	minWindow, maxWindow = 64 << 10, 1 << 20
	// firstTrip stands for the round trip until one was measured.
	firstTrip = 600 * time.Millisecond
)

// A flow is one direction of a session: what requests on it have yet to move,
// and how fast it moves. Its owner guards it. It lives in memory only.
type flow struct {
	owed  int64
	rate  float64   // bytes a second; 0: not known
	since time.Time // when the sample under way began
	moved int64     // bytes since then
}

// begin counts n bytes more. Of a flow that was idle nothing moves for a trip.
func (f *flow) begin(n int64, now time.Time, trip time.Duration) {
	if f.owed == 0 {
		f.since, f.moved = now.Add(trip), 0
	}
	f.owed += n
}

// moves counts n bytes as moved, and reports whether the rate was measured
// anew: over a trip, or over what there was to move if that was less.
func (f *flow) moves(n int64, now time.Time, trip time.Duration) bool {
	f.drop(n)
	f.moved += n
	took := now.Sub(f.since)
	if took < trip && f.owed > 0 {
		return false
	}
	r := float64(f.moved) / max(took, trip).Seconds()
	switch {
	case r > f.rate:
		f.rate = r
	case f.owed > 0:
		f.rate = (3*f.rate + r) / 4
	}
	f.since, f.moved = now, 0
	return true
}

// drop forgets n bytes that do not move any more.
func (f *flow) drop(n int64) { f.owed = max(0, f.owed-n) }

// window is how many bytes may be owed: what the circuit moves in two trips
// and a little, so that it is never idle and can show that it got faster.
func (f *flow) window(trip time.Duration) int64 {
	if f.rate == 0 {
		return freshWindow
	}
	return min(int64(2*f.rate*trip.Seconds())+minWindow, maxWindow)
}

// after is how long the flow takes for what is owed and n bytes more, if one
// of unknown speed has the speed usual.
func (f *flow) after(n int64, usual float64) time.Duration {
	rate := f.rate
	if rate == 0 {
		rate = usual
	}
	return time.Duration(float64(f.owed+n) / rate * float64(time.Second))
}
