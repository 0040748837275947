package grid_test

import (
	"errors"
	"testing"

	"lafs/node/grid"
	"lafs/shares/caps"
	"lafs/shares/immutable"
)

// A cap with a wrong number in it is the fault of no server: none is told
// that its share is corrupt.
func TestWrongCap(t *testing.T) {
	for name, change := range map[string]func(c *caps.CHK){
		"k":            func(c *caps.CHK) { c.Needed-- },
		"a larger k":   func(c *caps.CHK) { c.Needed++ },
		"N":            func(c *caps.CHK) { c.Total++ },
		"size":         func(c *caps.CHK) { c.Size++ },
		"a small size": func(c *caps.CHK) { c.Size /= 10 },
		"a large size": func(c *caps.CHK) { c.Size *= 1000 },
	} {
		t.Run(name, func(t *testing.T) {
			tg := newGrid(t, 5, 3, 5, 10)
			wrong := *tg.put(t, content(50_000)).Cap.(*caps.CHK)
			change(&wrong)
			if got, err := tg.get(t.Context(), &wrong, 0, -1); !errors.Is(err, immutable.ErrWrongCap) || len(got) > 0 {
				t.Errorf("get: got %d bytes, %v, want ErrWrongCap", len(got), err)
			}
			if _, err := tg.Check(t.Context(), wrong.Verifier(), grid.CheckOptions{Verify: true}); !errors.Is(err, immutable.ErrWrongCap) {
				t.Errorf("Check: got %v, want ErrWrongCap", err)
			}
			tg.Close()
			for i, m := range tg.servers {
				m.mu.Lock()
				if m.advised > 0 {
					t.Errorf("server %d was told that its share is corrupt", i)
				}
				m.mu.Unlock()
			}
		})
	}
}
