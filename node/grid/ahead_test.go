package grid_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/nodetest"
	"lafs/onion/oniontest"
	"lafs/shares/caps"
)

// However a download ends, and whatever of it was asked for ahead, it gives
// back its memory, and no server is taken to owe it anything.
func TestDownloadsGiveBack(t *testing.T) {
	for i, tt := range []struct {
		name    string
		segment int64
		memory  int64
	}{
		{"segments as today's", 0, 0},
		{"segments as they were", 128 << 10, 0},
		{"segments of another size", 300_000, 0},
		{"no memory to ask ahead", 0, 6 << 20},
		{"little memory", 128 << 10, 9 << 20},
	} {
		if underRace && i > 1 {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := nodetest.New(t, nodetest.Options{Needed: 3, Happy: 4, Total: 5, MaxSegmentSize: tt.segment, Memory: tt.memory,
					Net: oniontest.Options{RTT: 500 * time.Millisecond}})
				c := g.Clients[0]
				for _, size := range []int{700_000, 2_000_000, 13_000_000} {
					data := content(size)
					cap, err := c.Put(t.Context(), data)
					if err != nil {
						t.Fatal(err)
					}
					half, quarter := int64(size)/2, int64(size)/4
					for name, get := range map[string]func(ctx context.Context) error{
						"all":   func(ctx context.Context) error { return same(ctx, c, cap, 0, data) },
						"a bit": func(ctx context.Context) error { return same(ctx, c, cap, half, data[half:half+quarter]) },
						"a writer that fails": func(ctx context.Context) error {
							if err := c.Copy(ctx, failing{}, cap); !errors.Is(err, errFull) {
								return errors.Join(errors.New("the writer's error is lost"), err)
							}
							return nil
						},
						"given up": func(ctx context.Context) error {
							ctx, cancel := context.WithTimeout(ctx, 700*time.Millisecond)
							defer cancel()
							if err := c.Copy(ctx, io.Discard, cap); err != nil && !errors.Is(err, context.DeadlineExceeded) {
								return err
							}
							return nil
						},
						"one server dead": func(ctx context.Context) error {
							g.Servers[1].Kill()
							defer g.Servers[1].Start()
							return same(ctx, c, cap, 0, data)
						},
						"one server lies": func(ctx context.Context) error {
							return same(ctx, c, cap, 0, data)
						},
					} {
						if name == "one server lies" {
							if err := g.Servers[2].Corrupt(quarter / 3); err != nil {
								t.Fatal(err)
							}
						}
						ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
						err := get(ctx)
						cancel()
						if err != nil {
							t.Errorf("%d bytes, %s: %v", size, name, err)
						}
						if memory, owed := c.Held(); memory != 0 || owed != 0 {
							t.Errorf("%d bytes, %s: %d bytes of memory are held, and %d owed", size, name, memory, owed)
						}
					}
				}
			})
		})
	}
}

// same reads the bytes from offset and compares them.
func same(ctx context.Context, c *nodetest.Client, cap caps.Cap, offset int64, want []byte) error {
	f, err := c.Open(ctx, cap)
	if err != nil {
		return err
	}
	defer f.Close()
	var got bytes.Buffer
	if err := f.Copy(ctx, &got, offset, int64(len(want)), nil); err != nil {
		return err
	}
	if !bytes.Equal(got.Bytes(), want) {
		return errors.New("it reads other bytes")
	}
	return nil
}
