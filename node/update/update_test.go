package update_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/update"
	"lafs/shares/caps"
	"lafs/shares/mutable"
)

func add(line string) func([]byte) ([]byte, error) {
	return func(old []byte) ([]byte, error) { return append(bytes.Clone(old), line...), nil }
}

func TestLife(t *testing.T) {
	for _, format := range []mutable.Format{mutable.SDMF, mutable.MDMF} {
		t.Run(format.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newMemGrid(5, time.Second, 1)
				a, b := g.engine(3, 10, 1), g.engine(3, 10, 2)
				defer a.Close()
				defer b.Close()
				ctx := t.Context()
				w, err := a.Create(ctx, update.CreateOptions{Format: &format}, []byte("one\n"))
				if err != nil {
					t.Fatalf("Create: %v", err)
				}
				if err := b.Modify(ctx, w, add("two\n")); err != nil {
					t.Fatalf("Modify: %v", err)
				}
				if err := a.Modify(ctx, w, add("three\n")); err != nil {
					t.Fatalf("Modify: %v", err)
				}
				got, err := b.Read(ctx, w.ReadOnly())
				if err != nil || string(got.Data) != "one\ntwo\nthree\n" {
					t.Errorf("Read: %q, %v", got.Data, err)
				}
				part, size, err := b.ReadRange(ctx, w, 4, 3)
				if err != nil || string(part) != "two" || size != 14 {
					t.Errorf("ReadRange: %q of %d, %v", part, size, err)
				}
				own := errors.New("not today")
				if err := b.Modify(ctx, w, func([]byte) ([]byte, error) { return nil, own }); !errors.Is(err, own) {
					t.Errorf("Modify with a failing change: %v, want %v", err, own)
				}
				if err := a.Delete(ctx, w); err != nil {
					t.Fatalf("Delete: %v", err)
				}
				if _, err := b.Read(ctx, w); !errors.Is(err, update.ErrDeleted) {
					t.Errorf("Read of a deleted object: %v", err)
				}
				if err := b.Modify(ctx, w, add("x")); !errors.Is(err, update.ErrDeleted) {
					t.Errorf("Modify of a deleted object: %v", err)
				}
			})
		})
	}
}

// TestReaderWrites: who has read an object with its read cap writes to it
// with the write cap.
func TestReaderWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newMemGrid(5, time.Second, 1)
		a, b := g.engine(3, 10, 1), g.engine(3, 10, 2)
		defer a.Close()
		defer b.Close()
		w, err := a.Create(t.Context(), update.CreateOptions{}, []byte("one\n"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Read(t.Context(), w.ReadOnly()); err != nil {
			t.Fatal(err)
		}
		if err := b.Modify(t.Context(), w, add("two\n")); err != nil {
			t.Errorf("Modify: %v", err)
		}
	})
}

func TestLarge(t *testing.T) {
	for _, format := range []mutable.Format{mutable.SDMF, mutable.MDMF} {
		synctest.Test(t, func(t *testing.T) {
			g := newMemGrid(10, 100*time.Millisecond, 1)
			a, b := g.engine(3, 10, 1), g.engine(3, 10, 2)
			defer a.Close()
			defer b.Close()
			data := bytes.Repeat([]byte("0123456789abcdef"), 50_000)
			w, err := a.Create(t.Context(), update.CreateOptions{Format: &format}, data)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Modify(t.Context(), w, add("end")); err != nil {
				t.Fatal(err)
			}
			data = append(data, "end"...)
			got, err := a.Read(t.Context(), w)
			if err != nil || !bytes.Equal(got.Data, data) {
				t.Errorf("%v: Read: %d bytes, %v", format, len(got.Data), err)
			}
			part, size, err := a.ReadRange(t.Context(), w.ReadOnly(), 300_001, 200_000)
			if err != nil || !bytes.Equal(part, data[300_001:500_001]) || size != int64(len(data)) {
				t.Errorf("%v: ReadRange: %d of %d, %v", format, len(part), size, err)
			}
		})
	}
}

func TestNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newMemGrid(5, time.Second, 1)
		e := g.engine(3, 10, 1)
		defer e.Close()
		key, err := mutable.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		w := key.WriteCap(mutable.SDMF)
		if _, err := e.Read(t.Context(), w); !errors.Is(err, update.ErrNotFound) {
			t.Errorf("Read: %v", err)
		}
		var notDone *update.NotDoneError
		if err := e.Modify(t.Context(), w, add("x")); !errors.Is(err, update.ErrNotFound) || !errors.As(err, &notDone) {
			t.Errorf("Modify: %v", err)
		}
		if _, err := e.Create(t.Context(), update.CreateOptions{Key: key}, nil); err != nil {
			t.Errorf("Create: %v", err)
		}
		if _, err := e.Create(t.Context(), update.CreateOptions{Key: key}, nil); !errors.Is(err, update.ErrExists) {
			t.Errorf("Create again: %v", err)
		}
		for _, s := range g.servers[:3] {
			s.set(stalled)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := e.Modify(ctx, w, add("x")); err == nil {
			t.Error("Modify with three of five servers gone is done")
		}
		var c caps.Cap = w.ReadOnly()
		if _, err := e.Read(ctx, c); err == nil {
			t.Error("Read after the deadline succeeds")
		}
	})
}
