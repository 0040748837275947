package main

import (
	"fmt"
	"io"
	"os"
)

// A progress tells a person what is going on: on a terminal in one line that
// changes, and else in lines, without repeating one.
type progress struct {
	out      io.Writer
	terminal bool
	last     string
}

func newProgress(out *os.File) *progress {
	info, err := out.Stat()
	return &progress{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// clear begins the line anew, on a terminal.
const clear = "\r\x1b[K"

func (p *progress) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if text == p.last {
		return
	}
	p.last = text
	if p.terminal {
		fmt.Fprint(p.out, clear, text)
	} else {
		fmt.Fprintln(p.out, text)
	}
}

// done takes the line away: something else is to be printed.
func (p *progress) done() {
	if p.terminal && p.last != "" {
		fmt.Fprint(p.out, clear)
	}
	p.last = ""
}
