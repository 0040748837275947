package main

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"lafs/onion"
)

// A bootstrapLine shows, on a terminal, how far Tor has come. What the log
// says meanwhile is written through it.
type bootstrapLine struct {
	w   io.Writer // nil: nothing is shown
	log io.Writer

	mu    sync.Mutex
	last  string
	shown bool
	ended bool
}

func (a *app) bootstrapLine() *bootstrapLine {
	b := &bootstrapLine{log: a.stderr}
	if !a.quiet && isTerminal(a.stderr) {
		b.w = a.stderr
	}
	return b
}

// Write writes to the log. The line makes room and comes back with the next
// news.
func (b *bootstrapLine) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shown {
		fmt.Fprint(b.w, eraseLine)
		b.shown = false
	}
	return b.log.Write(p)
}

// slowStart is the time after which a start is worth a warning: most take a
// minute at the most.
const slowStart = 2 * time.Minute

// watch warns once if the end does not come in time. Its result ends it.
func (b *bootstrapLine) watch(log *slog.Logger) (stop func() bool) {
	return time.AfterFunc(slowStart, func() {
		b.mu.Lock()
		last, ended := b.last, b.ended
		b.mu.Unlock()
		if !ended {
			log.Warn("the node is still starting, and goes on trying", "tor", last)
		}
	}).Stop
}

const eraseLine = "\r\x1b[K"

// update shows a status. It may be called at any time, by anybody.
func (b *bootstrapLine) update(s onion.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended || s.Bootstrap < 0 {
		return
	}
	b.last = fmt.Sprintf("%d%%", s.Bootstrap)
	for _, more := range []string{s.Summary, s.Warning} {
		if more != "" {
			b.last += ": " + printable(more)
		}
	}
	if b.w != nil {
		fmt.Fprint(b.w, eraseLine, "Tor ", b.last)
		b.shown = true
	}
}

// end takes the line away; nothing is shown after it.
func (b *bootstrapLine) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shown {
		fmt.Fprint(b.w, eraseLine)
	}
	b.ended, b.shown = true, false
}
