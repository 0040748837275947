package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Requests of one copy at a time. What small files cost is round trips, so
// many are asked for at once; of large ones a few fill every circuit.
const (
	atOnce      = 24
	largeAtOnce = 4
	large       = 1 << 20 // bytes
)

// A copier is one call of cp.
type copier struct {
	a     *app
	find  *finder
	node  *runningNode
	o     cpOptions
	slots chan struct{} // one entry per request
	large chan struct{} // one entry per request about a large file
	meter *meter
	start time.Time

	most    int64 // things
	planted atomic.Int64

	mu                         sync.Mutex // guards what follows, and the standard error
	copied, same, left, failed int
	copiedBytes, sameBytes     int64
	notes                      []string // kept until the meter is gone
}

func (a *app) copier(find *finder, o cpOptions) *copier {
	return &copier{a: a, find: find, node: a.running(), o: o, slots: make(chan struct{}, atOnce), large: make(chan struct{}, largeAtOnce), meter: &meter{}, start: time.Now(), most: mostThings}
}

// begin shows progress over so many bytes.
func (c *copier) begin(total int64) {
	if !c.o.verbose {
		c.meter = c.a.meter("copying", total)
	}
}

// slot waits for a place among the requests, for one about so many bytes.
func (c *copier) slot(ctx context.Context, size int64) (release func(), err error) {
	places := c.slots
	if size > large {
		places = c.large
	}
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// counting moves the meter by what is read from r.
func (c *copier) counting(r io.Reader) io.Reader {
	return io.TeeReader(r, c.meter.writer(io.Discard))
}

// did notes that a thing was copied.
func (c *copier) did(s *thing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.copied++
	c.copiedBytes += s.size()
	c.tell("copied %s", s.says)
}

// had notes that a thing is there already, as it should be.
func (c *copier) had(s *thing) {
	c.meter.add(s.size())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.same++
	c.sameBytes += s.size()
	c.tell("unchanged %s", s.says)
}

// skip leaves something out.
func (c *copier) skip(what, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left++
	c.note("skipped %s: %s", what, why)
}

// fail notes that one thing could not be copied, while others can.
func (c *copier) fail(what string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed++
	c.note("not copied %s: %v", what, err)
}

// note says a line, at the latest at the end. Called with mu held.
func (c *copier) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if c.meter.shown() {
		c.notes = append(c.notes, line)
		return
	}
	fmt.Fprintln(c.a.stderr, line)
}

// stop takes the meter away and says what was kept back for it.
func (c *copier) stop() {
	c.meter.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, line := range c.notes {
		fmt.Fprintln(c.a.stderr, line)
	}
	c.notes = nil
}

// tell says a line when the user wants to know. Called with mu held.
func (c *copier) tell(format string, args ...any) {
	if c.o.verbose {
		fmt.Fprintf(c.a.stderr, format+"\n", args...)
	}
}

// report says what came of it, and returns what is no success.
func (c *copier) report() error {
	c.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.a.quiet {
		summary(c.a.stderr, plural(c.copied, "file")+" copied,", c.copiedBytes, time.Since(c.start))
		if c.same > 0 {
			fmt.Fprintf(c.a.stderr, "%s unchanged, %s not moved again\n", plural(c.same, "file"), humanSize(c.sameBytes))
		}
	}
	switch {
	case c.failed > 0:
		return fmt.Errorf("%s could not be copied", plural(c.failed, "file"))
	case c.left > 0:
		return errSkipped
	}
	return nil
}

// end is the end of a copy that went through.
func (c *copier) end(what string) error {
	if err := c.report(); err != nil {
		return err
	}
	return c.a.say("Success: %s", what)
}
