package main

import (
	"fmt"
	"io"
	"sync"

	"lafs/onion"
)

// A bootstrapLine shows, on a terminal, how far Tor has come.
type bootstrapLine struct {
	w io.Writer // nil: nothing is shown

	mu    sync.Mutex
	shown bool
	ended bool
}

func (a *app) bootstrapLine() *bootstrapLine {
	if a.quiet || !isTerminal(a.stderr) {
		return &bootstrapLine{}
	}
	return &bootstrapLine{w: a.stderr}
}

const eraseLine = "\r\x1b[K"

// update shows a status. It may be called at any time, by anybody.
func (b *bootstrapLine) update(s onion.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.w == nil || b.ended || s.Bootstrap < 0 {
		return
	}
	text := fmt.Sprintf("Tor %d%%", s.Bootstrap)
	for _, more := range []string{s.Summary, s.Warning} {
		if more != "" {
			text += ": " + printable(more)
		}
	}
	fmt.Fprint(b.w, eraseLine, text)
	b.shown = true
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
