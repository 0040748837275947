package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A Trouble is a warning or an error of the node's log, for the status.
// Times are in memory only.
type Trouble struct {
	Level string    `json:"level"` // warn or error
	Text  string    `json:"text"`
	Last  time.Time `json:"last"`
	Count int       `json:"count"`
}

const (
	// maxTroubles is how many different ones are kept.
	maxTroubles = 16
	// logBurst is how many of one kind reach the log within logEvery: peers
	// can bring about most of them as often as they like, and must not fill
	// the disk with them.
	logBurst = 10
	logEvery = time.Minute
)

// troubles keeps the last warnings and errors that passed through a log, and
// counts them. Of their attributes it keeps only what names nobody and
// nothing: which part, what it did, and what the system answered.
type troubles struct {
	now func() time.Time

	mu     sync.Mutex
	list   []kept               // guarded by mu; the newest last
	counts map[slog.Level]int64 // guarded by mu
}

// A kept trouble knows how many of its kind went to the log in the minute
// that began at since, and how many have not.
type kept struct {
	Trouble
	since        time.Time
	passed, held int
}

func newTroubles(now func() time.Time) *troubles {
	return &troubles{now: now, counts: map[slog.Level]int64{}}
}

// note takes one record. It reports whether the log gets it too, and how many
// like it were held back before.
func (t *troubles) note(r slog.Record) (pass bool, held int) {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "doing", "part":
			text += ", " + a.Value.String()
		case "error", "err":
			// Other errors may name a server or a share.
			var errno syscall.Errno
			if err, ok := a.Value.Any().(error); ok && errors.As(err, &errno) {
				text += ": " + errno.Error()
			}
		}
		return true
	})
	level := "warn"
	if r.Level >= slog.LevelError {
		level = "error"
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[r.Level]++
	now := t.now()
	entry := kept{Trouble: Trouble{Level: level, Text: text}, since: now}
	if i := slices.IndexFunc(t.list, func(o kept) bool { return o.Text == text && o.Level == level }); i >= 0 {
		entry = t.list[i]
		t.list = slices.Delete(t.list, i, i+1)
	} else if len(t.list) == maxTroubles {
		t.list = slices.Delete(t.list, 0, 1)
	}
	entry.Last = now
	entry.Count++
	if d := now.Sub(entry.since); d < 0 || d >= logEvery {
		entry.since, entry.passed = now, 0
	}
	if pass = entry.passed < logBurst; pass {
		entry.passed++
		held, entry.held = entry.held, 0
	} else {
		entry.held++
	}
	t.list = append(t.list, entry)
	return pass, held
}

// recent are the troubles, the newest first.
func (t *troubles) recent() []Trouble {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Trouble, 0, len(t.list))
	for _, e := range slices.Backward(t.list) {
		out = append(out, e.Trouble)
	}
	return out
}

// counted are the warnings and errors since the start.
func (t *troubles) counted() (warnings, errs int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for level, n := range t.counts {
		if level >= slog.LevelError {
			errs += n
		} else {
			warnings += n
		}
	}
	return warnings, errs
}

// handler passes records on to next, and warnings and errors through t, which
// holds back those that come too often.
func (t *troubles) handler(next slog.Handler) slog.Handler { return &troubleHandler{t, next} }

type troubleHandler struct {
	t    *troubles
	next slog.Handler
}

func (h *troubleHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn || h.next.Enabled(ctx, l)
}

func (h *troubleHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		pass, held := h.t.note(r)
		if !pass {
			return nil
		}
		if held > 0 {
			r = r.Clone()
			r.AddAttrs(slog.Int("held_back", held))
		}
	}
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

func (h *troubleHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &troubleHandler{h.t, h.next.WithAttrs(attrs)}
}

func (h *troubleHandler) WithGroup(name string) slog.Handler {
	return &troubleHandler{h.t, h.next.WithGroup(name)}
}
