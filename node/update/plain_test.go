package update_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/update"
	"lafs/shares/caps"
	"lafs/shares/mutable"
)

// TestPlainWriters is TestWriters where all servers, or some, know only
// Tahoe-LAFS's protocol.
func TestPlainWriters(t *testing.T) {
	runs, writers, rtts := 1, []int{4}, []time.Duration{600 * time.Millisecond}
	if many := long(t); many > 0 {
		runs, writers, rtts = many, []int{4, 8}, []time.Duration{0, 200 * time.Millisecond, 600 * time.Millisecond}
	}
	for _, plain := range []int{5, 2} {
		for _, n := range writers {
			for _, rtt := range rtts {
				for _, wrong := range trouble {
					t.Run(fmt.Sprintf("%d of 5 servers, %d writers, %v, %s", plain, n, rtt, wrong.name), func(t *testing.T) {
						dir := tmpDir(t)
						for run := range runs {
							if t.Failed() {
								return
							}
							synctest.Test(t, func(t *testing.T) {
								writersRun(t, newStoreGrid(t, dir, 5, plain, rtt, uint64(run)), n, wrong.do, uint64(run))
							})
						}
					})
				}
			}
		}
	}
}

// TestPlainHistories is TestHistories on such grids. What servers hold is
// looked at there; here it is what clients see.
func TestPlainHistories(t *testing.T) {
	schedules := 20
	if n := long(t); n > 0 {
		schedules = n
	}
	playHistories(t, schedules, func(h *history) { h.plain = 5 - 3*int(h.seed%2) })
}

// TestPlainTrips: round trips on warm sessions to servers that know only
// Tahoe-LAFS's protocol, over the real wire. In the mixed grid one of five
// does, and a writer does not wait for it.
func TestPlainTrips(t *testing.T) {
	for _, plain := range []int{5, 1} {
		for _, format := range []mutable.Format{mutable.SDMF, mutable.MDMF} {
			synctest.Test(t, func(t *testing.T) { plainTrips(t, plain, format) })
		}
	}
}

func plainTrips(t *testing.T, plain int, format mutable.Format) {
	g := newPlainNetGrid(t, 5, plain, 2, time.Second)
	defer g.close()
	a, b := g.engines[0], g.engines[1]
	content := bytes.Repeat([]byte("0123456789"), 2000)
	opts := update.CreateOptions{Format: &format}
	warm, err := a.Create(t.Context(), opts, content)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Read(t.Context(), warm); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Second)
	var w *caps.MutableWriter
	read := map[int]int{5: 2, 1: 1}[plain] // trips of a first reading: four others are enough to read
	for _, step := range []struct {
		name string
		want int
		do   func() error
	}{
		{"create", 1, func() (err error) { w, err = a.Create(t.Context(), opts, content); return err }},
		{"read", read, func() error { _, err := b.Read(t.Context(), w.ReadOnly()); return err }},
		{"read again", 1, func() error { _, err := b.Read(t.Context(), w.ReadOnly()); return err }},
		{"modify what is known", 1, func() error { return a.Modify(t.Context(), w, add("x")) }},
		{"modify what was read", 1, func() error { return b.Modify(t.Context(), warm, add("y")) }},
		{"modify what is not known", 2, func() error { return b.Modify(t.Context(), w, add("z")) }},
		{"modify twice at once", 2, func() error {
			return errors.Join(b.Modify(t.Context(), w, add("u")), b.Modify(t.Context(), w, add("v")))
		}},
		{"modify again", 1, func() error { return b.Modify(t.Context(), w, add("z")) }},
		{"read with the write cap", 1, func() error { _, err := b.Read(t.Context(), w); return err }},
	} {
		trips := g.net.Trips(func() {
			if err := step.do(); err != nil {
				t.Errorf("%d plain, %v: %s: %v", plain, format, step.name, err)
			}
		})
		if trips != step.want {
			t.Errorf("%d plain, %v: %s took %d trips, want %d", plain, format, step.name, trips, step.want)
		}
		time.Sleep(10 * time.Second) // what goes on behind ends
	}
	got, err := a.Read(t.Context(), w)
	if want := string(content) + "xzuvz"; err != nil || string(got.Data) != want {
		t.Errorf("%d plain, %v: %d bytes at the end, %v", plain, format, len(got.Data), err)
	}
}
