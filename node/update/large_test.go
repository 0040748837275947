package update_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/update"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// A server that has many shares gives less of each in one answer than they
// have: what was written is read all the same, also where servers keep the
// version before.
func TestManyLargeShares(t *testing.T) {
	dir := tmpDir(t)
	synctest.Test(t, func(t *testing.T) {
		g := newStoreGrid(t, dir, 1, 0, 100*time.Millisecond, 1)
		defer g.close()
		a, _ := g.client(1, 12, 1)
		defer a.Close()
		b, _ := g.client(1, 12, 1)
		defer b.Close()
		data := bytes.Repeat([]byte("0123456789abcdef"), 6<<16)
		w, err := a.Create(t.Context(), update.CreateOptions{Key: keys()[0]}, data)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got, err := b.Read(t.Context(), w.ReadOnly())
			if err != nil || !bytes.Equal(got.Data, data) {
				t.Fatalf("Read: %d bytes, %v", len(got.Data), err)
			}
			if err := b.Modify(t.Context(), w, add("end")); err != nil {
				t.Fatal(err)
			}
			data = append(data, "end"...)
		}
	})
}

// Of a share that has more, or fewer, bytes than its version's, or others,
// nobody reads what is not there, and others are read past it.
func TestWrongShares(t *testing.T) {
	for name, lie := range map[string]func(*storage.SlotShare){
		"far too many": func(s *storage.SlotShare) { s.Size = 1 << 62 },
		"a few more":   func(s *storage.SlotShare) { s.Size += 100 },
		"others": func(s *storage.SlotShare) {
			s.Data = bytes.Clone(s.Data)
			for i := 3000; i < len(s.Data); i++ {
				s.Data[i] ^= 1
			}
		},
		"none":  func(s *storage.SlotShare) { s.Data = s.Data[:min(len(s.Data), 3000)] },
		"fewer": func(s *storage.SlotShare) { s.Size = int64(len(s.Data)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newMemGrid(5, 100*time.Millisecond, 1)
				a := g.engine(3, 5, 1)
				defer a.Close()
				data := bytes.Repeat([]byte("content "), 50_000)
				w, err := a.Create(t.Context(), update.CreateOptions{Key: keys()[0]}, data)
				if err != nil {
					t.Fatal(err)
				}
				e := g.lying(2, func(a *storage.SlotAnswer) {
					for n, s := range a.Current {
						lie(&s)
						a.Current[n] = s
					}
				})
				defer e.Close()
				synctest.Wait()
				g.servers[0].rtt = 0 // It is always among those that are read.
				for range 3 {
					got, err := e.Read(t.Context(), w.ReadOnly())
					if err != nil || !bytes.Equal(got.Data, data) {
						t.Fatalf("Read: %d bytes, %v", len(got.Data), err)
					}
				}
			})
		})
	}
}

// Blocks that are wrong, of fewer servers than an object can do without, are
// read past; of more, that is an error and not a wait.
func TestWrongBlocks(t *testing.T) {
	for bad := 1; bad <= 3; bad++ {
		synctest.Test(t, func(t *testing.T) {
			g := newMemGrid(5, 100*time.Millisecond, 1)
			a := g.engine(3, 5, 1)
			defer a.Close()
			format := mutable.MDMF
			data := bytes.Repeat([]byte("content "), 100_000)
			w, err := a.Create(t.Context(), update.CreateOptions{Key: keys()[0], Format: &format}, data)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			e := g.lyingOf(bad, 2, func(a *storage.SlotAnswer) {
				for n, s := range a.Current {
					if len(s.Data) > 40_000 { // what a reading begins with has less
						s.Data = bytes.Clone(s.Data)
						s.Data[len(s.Data)/2] ^= 1
						a.Current[n] = s
					}
				}
			})
			defer e.Close()
			for _, s := range g.servers[:min(bad, 2)] {
				s.rtt = 80 * time.Millisecond // They are among those that are read.
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			got, err := e.Read(ctx, w.ReadOnly())
			part, _, rangeErr := e.ReadRange(ctx, w.ReadOnly(), 300_000, 1000)
			if ctx.Err() != nil || (bad < 3) != (err == nil && bytes.Equal(got.Data, data) && rangeErr == nil && bytes.Equal(part, data[300_000:301_000])) {
				t.Errorf("%d servers: Read: %d bytes, %v; ReadRange: %d bytes, %v", bad, len(got.Data), err, len(part), rangeErr)
			}
		})
	}
}
