package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lafs/onion"
)

func TestHuman(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 10 << 20: "10.0 MiB", 3 << 29: "1.5 GiB", 1<<63 - 1: "8.0 EiB",
	} {
		if got := humanSize(n); got != want {
			t.Errorf("humanSize(%d): got %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0.0 s", 3200 * time.Millisecond: "3.2 s", 59 * time.Second: "59 s", 5 * time.Minute: "5 min", 3 * time.Hour: "3 h", 72 * time.Hour: "3 days",
	} {
		if got := humanTime(d); got != want {
			t.Errorf("humanTime(%v): got %q, want %q", d, got, want)
		}
	}
}

func TestExitStatus(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{errInterrupted, 1},
		{statusError(404, "nothing there"), 2},
		{fmt.Errorf("get: %w", statusError(404, "nothing there")), 2},
		{statusError(410, "gone"), 1},
	} {
		if got := exitStatus(tt.err); got != tt.want {
			t.Errorf("exitStatus(%v): got %d, want %d", tt.err, got, tt.want)
		}
	}
}

// What another program says cannot steer the terminal.
func TestBootstrapLine(t *testing.T) {
	var out syncBuffer
	b := &bootstrapLine{w: &out}
	b.update(onion.Status{Bootstrap: 45, Summary: "Loading\x1b]0;x\x07 relays"})
	b.end()
	b.update(onion.Status{Bootstrap: 50})
	got := out.String()
	if !strings.Contains(got, "Tor 45%: Loading") || strings.Contains(got, "\x07") || strings.Contains(got, "50") {
		t.Errorf("shown: %q", got)
	}
	if !strings.HasSuffix(got, eraseLine) {
		t.Error("the line is left on the terminal")
	}
}

// What the log says begins a line of its own, and a start that takes long is
// told once, on a terminal or not.
func TestSlowStart(t *testing.T) {
	for _, tt := range []struct {
		name     string
		terminal bool
		ends     time.Duration
		want     int
	}{{"slow", true, time.Hour, 1}, {"slow, no terminal", false, time.Hour, 1}, {"quick", false, time.Minute, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out syncBuffer
				b := &bootstrapLine{log: &out}
				if tt.terminal {
					b.w = &out
				}
				log, err := logger(b, "warn")
				if err != nil {
					t.Fatal(err)
				}
				stop := b.watch(log)
				b.update(onion.Status{Bootstrap: 14, Summary: "Handshaking", Warning: "no route"})
				time.Sleep(tt.ends)
				b.end()
				stop()
				got := out.String()
				if n := strings.Count(got, `still starting, and goes on trying" tor="14%: Handshaking: no route"`); n != tt.want {
					t.Errorf("warned %d times, want %d: %q", n, tt.want, got)
				}
				if tt.terminal && !strings.Contains(got, eraseLine+"time=") {
					t.Errorf("the log stands on the line of the start: %q", got)
				}
			})
		})
	}
}
