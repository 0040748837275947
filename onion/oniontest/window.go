package oniontest

import "time"

// The window of a Tor circuit in bytes, and the most that travels as one
// where there is a window.
const (
	windowFirst  = 56 << 10
	windowSlow   = 224 << 10 // from here on it grows by windowStep a trip
	windowStep   = 40 << 10
	windowMost   = 448 << 10
	windowedSize = 8 << 10
)

// A window holds back what a circuit does not carry yet. The zero value is
// that of a fresh circuit.
type window struct {
	size   int
	flight int  // bytes in sent
	held   bool // it was what held bytes back when last it was full
	sent   []ack
}

// An ack is bytes that count as under way until then.
type ack struct {
	at time.Time
	n  int
}

// wait returns when n bytes may leave that are to leave at t.
func (w *window) wait(t time.Time, n int) time.Time {
	if w.size == 0 {
		w.size = windowFirst
	}
	for len(w.sent) > 0 && (w.flight+n > w.size || !w.sent[0].at.After(t)) {
		a := w.sent[0]
		w.sent = w.sent[1:]
		w.flight -= a.n
		if a.at.After(t) {
			t, w.held = a.at, true
		}
		switch {
		case !w.held:
			// A window that is not used does not grow.
		case w.size < windowSlow:
			w.size = min(w.size+a.n, windowSlow)
		default:
			w.size = min(w.size+a.n*windowStep/w.size, windowMost)
		}
	}
	if w.flight+n < w.size/2 {
		w.held = false
	}
	return t
}

// leave counts n bytes as under way until they are acknowledged.
func (w *window) leave(n int, acked time.Time) {
	w.flight += n
	w.sent = append(w.sent, ack{acked, n})
}
