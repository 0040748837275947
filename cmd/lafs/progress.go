package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/vbauerster/cupwriter"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// A meter shows on a terminal how far a transfer has come, once it lasts
// longer than a second. The zero meter shows nothing.
type meter struct {
	pool  *mpb.Progress
	bar   *mpb.Bar
	stop  *time.Timer
	phase atomic.Pointer[phase]
}

// A phase is a part of the work, which began at since.
type phase struct {
	name  string
	since time.Time
}

// explainAfter is how long a phase that moves no bytes may last until it is
// said where to look.
const explainAfter = 20 * time.Second

// label is what stands before the bar.
func (p *phase) label(total int64, now time.Time) string {
	if total <= 0 && now.Sub(p.since) >= explainAfter {
		return p.name + " (lafs status tells which servers answer) "
	}
	return p.name + " "
}

// showAfter is how long a transfer may last without being shown.
const showAfter = time.Second

// meter begins one for total bytes, negative when they are not known.
func (a *app) meter(name string, total int64) *meter {
	m := &meter{}
	if a.quiet || !isTerminal(a.stderr) {
		return m
	}
	m.phase.Store(&phase{name, time.Now()})
	delay := make(chan any)
	m.stop = time.AfterFunc(showAfter, func() { close(delay) })
	label := decor.Any(func(s decor.Statistics) string { return m.phase.Load().label(s.Total, time.Now()) })
	m.pool = mpb.New(mpb.WithConsoleWriter(sized{cupwriter.New(a.stderr, false)}),
		mpb.WithWidth(40), mpb.WithRenderDelay(delay), mpb.WithAutoRefresh())
	if total < 0 {
		m.bar = m.pool.AddSpinner(0, mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(label, decor.CurrentKibiByte("% .1f")))
		return m
	}
	// A bar that is made with a total is over when it is reached; this one
	// has phases.
	m.bar = m.pool.AddBar(0, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(label, decor.Any(counters)),
		mpb.AppendDecorators(decor.Any(percentage), decor.Elapsed(decor.ET_STYLE_GO)))
	m.bar.SetTotal(total, false)
	return m
}

// A sized terminal has a size also where it does not tell one, as many on a
// serial line, and some behind ssh: the size that terminals had.
type sized struct{ *cupwriter.Writer }

// GetTermSize never says that there is room for nothing.
func (s sized) GetTermSize() (width, height int, err error) {
	width, height, err = s.Writer.GetTermSize()
	if err != nil || width <= 0 {
		width = 80
	}
	if err != nil || height <= 0 {
		height = 24
	}
	return width, height, nil
}

// counters and percentage are empty in a phase that moves no bytes.
func counters(s decor.Statistics) string {
	if s.Total <= 0 {
		return ""
	}
	return humanSize(s.Current) + " / " + humanSize(s.Total)
}

func percentage(s decor.Statistics) string {
	if s.Total <= 0 {
		return ""
	}
	return fmt.Sprintf("%d%% ", s.Current*100/s.Total)
}

// shown says whether anybody looks at the meter.
func (m *meter) shown() bool { return m.pool != nil }

// set shows another phase of the work, with its own total.
func (m *meter) set(name string, done, total int64) {
	if !m.shown() {
		return
	}
	if m.phase.Load().name != name {
		m.phase.Store(&phase{name, time.Now()})
	}
	m.bar.SetTotal(total, false)
	m.bar.SetCurrent(done)
}

// writer counts what is written through it.
func (m *meter) writer(w io.Writer) io.Writer { return &counted{w: w, m: m} }

// add moves the meter.
func (m *meter) add(n int64) {
	if m.shown() {
		m.bar.IncrInt64(n)
	}
}

// end takes the meter away.
func (m *meter) end() {
	if !m.shown() {
		return
	}
	m.stop.Stop()
	m.bar.Abort(true)
	m.pool.Shutdown()
}

// A counted writer moves a meter. Once all bytes are written it shows the
// phase then, if there is one: who waits for servers is not told of 100%.
type counted struct {
	w    io.Writer
	m    *meter
	n    int64
	all  int64
	then string
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	if c.m.shown() {
		c.m.bar.IncrBy(n)
	}
	if c.then != "" && n > 0 && c.n == c.all {
		c.m.set(c.then, 0, 0)
	}
	return n, err
}
