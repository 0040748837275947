package update_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/update"
	"lafs/shares/mutable"
)

// A reading soon after a write of the same engine brings no content that is
// here, and finds all the same what another has written since.
func TestReadingWhatWasJustWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newNetGrid(t, 5, 2, time.Second)
		defer g.close()
		a, b := g.engines[0], g.engines[1]
		format := mutable.SDMF
		content := bytes.Repeat([]byte("0123456789"), 3000) // shares of 10 kB, ten of them
		w, err := a.Create(t.Context(), update.CreateOptions{Format: &format}, content)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Modify(t.Context(), w, add("x")); err != nil {
			t.Fatal(err)
		}
		want := string(content) + "x"
		read := func(name string, trips int, least, most int64) {
			t.Helper()
			time.Sleep(5 * time.Second)
			before := g.net.Host("client0").Counters().In
			took := g.net.Trips(func() {
				got, err := a.Read(t.Context(), w)
				if err != nil || string(got.Data) != want {
					t.Errorf("%s: %d bytes, %v", name, len(got.Data), err)
				}
			})
			time.Sleep(5 * time.Second)
			if in := g.net.Host("client0").Counters().In - before; in < least || in > most || took != trips {
				t.Errorf("%s: %d bytes came in %d trips; want %d to %d in %d", name, in, took, least, most, trips)
			}
		}
		read("just written", 1, 5_000, 30_000)
		if took := g.net.Trips(func() {
			got, size, err := a.ReadRange(t.Context(), w, 29_995, 100)
			if err != nil || size != 30_001 || string(got) != want[29_995:] {
				t.Errorf("a range: %q of %d bytes, %v", got, size, err)
			}
		}); took != 1 {
			t.Errorf("a range took %d trips", took)
		}
		if err := b.Modify(t.Context(), w, add("y")); err != nil {
			t.Fatal(err)
		}
		want += "y"
		read("written by another since", 2, 30_000, 120_000)
		read("just read", 1, 5_000, 30_000)
		time.Sleep(time.Minute)
		read("long ago", 1, 90_000, 150_000)
	})
}
