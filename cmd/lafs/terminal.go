package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"golang.org/x/term"
)

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// printable takes out what could steer a terminal: the text came from
// another program.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

// shown writes a name for a person: as it is where every character can be
// printed, otherwise with those that cannot as \u{...}. No name steers a
// terminal, breaks a line, or looks like another.
func shown(name string) string {
	var b strings.Builder
	for _, r := range name {
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// humanSize writes a number of bytes for a person.
func humanSize(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, units := float64(n)/1024, []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	for len(units) > 1 && value >= 1024 {
		value /= 1024
		units = units[1:]
	}
	return fmt.Sprintf("%.1f %s", value, units[0])
}

// humanTime writes a duration for a person.
func humanTime(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

// summary says on w what was moved in what time.
func summary(w io.Writer, verb string, n int64, took time.Duration) {
	fmt.Fprintf(w, "%s %s in %s", verb, humanSize(n), humanTime(took))
	if s := took.Seconds(); n >= 64<<10 && s > 0 {
		fmt.Fprintf(w, " (%s/s)", humanSize(int64(float64(n)/s)))
	}
	fmt.Fprintln(w)
}
