package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// A row is one operation's result.
type row struct {
	operation string
	times     sample
	failed    error // of ours; then times are those before
	bytes     int64 // of plaintext, 0 where speed says nothing
	// What the operation takes at the least: so many of the trips measured
	// beside it, or the limit, which is what; neither where nothing says.
	ideal int
	trip  sample
	limit sample
	what  string
	// atMost is in trips where ideal is, and else times the limit; 0 where
	// nothing is asked.
	atMost float64
	cost   cost
	theirs result
	alone  bool // Tahoe-LAFS has nothing like it
	// whole is the trip of the whole run, where none was measured beside.
	whole time.Duration
}

// beside is the trip that the row's times are counted in.
func (w row) beside() time.Duration {
	if len(w.trip) > 0 {
		return w.trip.median()
	}
	return w.whole
}

// least is what the operation takes at the least, 0 where nothing says.
func (w row) least() time.Duration {
	if w.ideal > 0 {
		return time.Duration(w.ideal) * w.trip.median()
	}
	return w.limit.median()
}

// ratio is in units of least.
func (w row) ratio() float64 { return over(w.times.median(), w.least()) }

// faster is how many times longer Tahoe-LAFS took; where it was stopped
// before it had done the operation once, at least so many times.
func (w row) faster() float64 {
	if len(w.theirs.times) > 0 {
		return over(w.theirs.times.median(), w.times.median())
	}
	return over(w.theirs.stopped, w.times.median())
}

// missed says what was asked of the row and is not so, "" if all is.
func (w row) missed() string {
	if w.failed != nil {
		return "failed"
	}
	var all []string
	taken := w.ratio() * float64(max(1, w.ideal))
	if w.atMost > 0 && w.least() > 0 && taken > w.atMost {
		all = append(all, "limit")
	}
	if f := w.faster(); f > 0 && (f < w.theirs.atLeast || f <= 1) {
		all = append(all, "Tahoe")
	}
	return strings.Join(all, ", ")
}

// asked says whether anything was asked of the row that can be told.
func (w row) asked() bool {
	return w.failed != nil || w.atMost > 0 && w.least() > 0 || w.faster() > 0
}

func over(a, b time.Duration) float64 {
	if b <= 0 {
		return 0
	}
	return a.Seconds() / b.Seconds()
}

// A column of the table.
type column struct {
	head  string
	width int // in text; 0: whatever it takes
	cell  func(row) string
}

// columns are wide enough for what a run gives.
var columns = []column{
	{"operation", -39, func(w row) string { return w.operation }},
	{"p50 s", 7, func(w row) string { return seconds(w.times.median()) }},
	{"p95 s", 7, func(w row) string { return seconds(w.times.p95()) }},
	{"trips", 6, func(w row) string { return number(over(w.times.median(), w.beside()), "%.2f") }},
	{"MB/s", 6, func(w row) string {
		if w.bytes < 1<<20 || len(w.times) == 0 {
			return ""
		}
		return number(float64(w.bytes)/1e6/w.times.median().Seconds(), "%.2f")
	}},
	{"CPU s", 6, func(w row) string { return costs(w, w.cost.client.Seconds(), "%.2f") }},
	{"servers", 7, func(w row) string { return costs(w, w.cost.servers.Seconds(), "%.2f") }},
	{"MiB", 4, func(w row) string { return costs(w, float64(w.cost.memory>>20), "%.0f") }},
	{"limit s", 7, func(w row) string { return seconds(w.least()) }},
	{"ratio", 5, func(w row) string { return number(w.ratio(), "%.2f") }},
	{"at most", 10, func(w row) string {
		unit := "%.4gx"
		if w.ideal > 0 {
			unit = "%.4g trips"
		}
		return number(w.atMost, unit)
	}},
	{"Tahoe s", 13, theirCell},
	{"faster", 7, func(w row) string {
		if len(w.theirs.times) == 0 {
			return number(w.faster(), ">%.1fx")
		}
		return number(w.faster(), "%.1fx")
	}},
	{"least", 5, func(w row) string { return number(w.theirs.atLeast, "%.3gx") }},
	{"held", -12, func(w row) string {
		switch {
		case w.missed() != "":
			return "NO: " + w.missed()
		case w.asked():
			return "yes"
		}
		return ""
	}},
	{"the limit is", 0, note},
}

// theirCell is the median of Tahoe-LAFS's times, or why there is none.
func theirCell(w row) string {
	t := w.theirs
	switch {
	case w.alone:
		return ""
	case len(t.times) > 0:
		return seconds(t.times.median())
	case t.stopped > 0:
		return ">" + seconds(t.stopped)
	case t.failed != nil:
		return "failed"
	}
	return t.missing
}

// note says what the limit is, and what else there is to say.
func note(w row) string {
	var all []string
	switch {
	case w.ideal == 1:
		all = append(all, "1 trip")
	case w.ideal > 1:
		all = append(all, fmt.Sprintf("%d trips", w.ideal))
	case w.what != "":
		all = append(all, w.what)
	}
	if w.failed != nil {
		all = append(all, fmt.Sprintf("failed after %d runs: %v", len(w.times), w.failed))
	}
	if t := w.theirs; !w.alone {
		if n := len(t.times); n > 0 && n < len(w.times) {
			all = append(all, fmt.Sprintf("Tahoe: %d of %d runs", n, len(w.times)))
		}
		if t.stopped > 0 {
			all = append(all, "Tahoe: stopped after "+seconds(t.stopped)+" s")
		}
		if t.failed != nil {
			all = append(all, fmt.Sprintf("Tahoe: %v", t.failed))
		}
	}
	return strings.Join(strings.Fields(strings.Join(all, "; ")), " ")
}

func costs(w row, n float64, format string) string {
	if w.cost.memory == 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
}

func seconds(d time.Duration) string { return number(d.Seconds(), "%.3f") }

// number is empty for 0, which nothing that is measured is.
func number(n float64, format string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
}

// textLine is a line of the table, in text: widths of negative columns fill
// up on the right.
func textLine(cell func(column) string) string {
	var b strings.Builder
	for i, c := range columns {
		if i > 0 {
			b.WriteByte(' ')
		}
		text := cell(c)
		pad := strings.Repeat(" ", max(0, max(c.width, -c.width)-utf8.RuneCountInString(text)))
		if c.width > 0 {
			text = pad + text
		} else {
			text += pad
		}
		b.WriteString(text)
	}
	return strings.TrimRight(b.String(), " ") + "\n"
}

// markdownLine is a line of the table for README.md.
func markdownLine(cell func(column) string) string {
	var b strings.Builder
	for _, c := range columns {
		b.WriteString("| " + strings.ReplaceAll(cell(c), "|", "\\|") + " ")
	}
	return b.String() + "|\n"
}
