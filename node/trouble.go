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

// maxTroubles is how many different ones are kept.
const maxTroubles = 16

// troubles keeps the last warnings and errors that passed through a log, and
// counts them. Of their attributes it keeps only what names nobody and
// nothing: which part, what it did, and what the system answered.
type troubles struct {
	now func() time.Time

	mu     sync.Mutex
	list   []Trouble            // guarded by mu; the newest last
	counts map[slog.Level]int64 // guarded by mu
}

func newTroubles(now func() time.Time) *troubles {
	return &troubles{now: now, counts: map[slog.Level]int64{}}
}

// note takes one record.
func (t *troubles) note(r slog.Record) {
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
	entry := Trouble{Level: level, Text: text}
	if i := slices.IndexFunc(t.list, func(o Trouble) bool { return o.Text == text && o.Level == level }); i >= 0 {
		entry = t.list[i]
		t.list = slices.Delete(t.list, i, i+1)
	} else if len(t.list) == maxTroubles {
		t.list = slices.Delete(t.list, 0, 1)
	}
	entry.Last = t.now()
	entry.Count++
	t.list = append(t.list, entry)
}

// recent are the troubles, the newest first.
func (t *troubles) recent() []Trouble {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := slices.Clone(t.list)
	slices.Reverse(out)
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

// handler passes records on to next, and warnings and errors through t.
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
		h.t.note(r)
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
