package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A terminal that says it has no columns, as a new one does, shows progress
// like others.
func TestProgressWithoutWidth(t *testing.T) {
	for _, size := range []unix.Winsize{{}, {Row: 24}, {Col: 80, Row: 24}} {
		t.Run(fmt.Sprintf("%d columns, %d rows", size.Col, size.Row), func(t *testing.T) {
			t.Parallel()
			master, slave := terminal(t)
			if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &size); err != nil {
				t.Fatal(err)
			}
			a := &app{env: env{stderr: slave}}
			m := a.meter("sending", 4<<20)
			m.set("sending", 1<<20, 4<<20)
			got, buf := "", make([]byte, 1024)
			for !strings.Contains(got, "sending 1.0 MiB / 4.0 MiB") || !strings.Contains(got, "25%") {
				n, err := master.Read(buf)
				if err != nil {
					t.Fatalf("after %q: %v", got, err)
				}
				got += string(buf[:n])
			}
			m.end()
		})
	}
}

// Who waits for servers, and sees no byte move, is told where to look.
func TestPhaseLabel(t *testing.T) {
	start := time.Now()
	p := &phase{"asking", start}
	for _, tt := range []struct {
		total int64
		after time.Duration
		says  bool
	}{{0, time.Second, false}, {0, explainAfter, true}, {5, time.Hour, false}} {
		got := p.label(tt.total, start.Add(tt.after))
		if !strings.HasPrefix(got, "asking ") || strings.Contains(got, "lafs status") != tt.says {
			t.Errorf("label of %d bytes after %v: got %q", tt.total, tt.after, got)
		}
	}
}

// terminal makes one, with no size.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal can be made here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal can be made here: %v", err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}
