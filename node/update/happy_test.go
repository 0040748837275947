package update_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/update"
)

// A change is acknowledged when as many servers hold it as Config.Happy
// says, where so many answer in time, and else when a quorum does.
func TestHappy(t *testing.T) {
	dir := tmpDir(t)
	for _, tt := range []struct{ happy, down, want int }{{5, 0, 5}, {5, 1, 4}, {0, 0, 4}} {
		synctest.Test(t, func(t *testing.T) {
			g := newStoreGrid(t, dir, 5, 0, time.Second, 1)
			g.happy = tt.happy
			defer g.close()
			l := follow(g, keys()[0], 3, 10)
			e, _ := g.client(3, 10, 1)
			defer e.Close()
			w, err := e.Create(t.Context(), update.CreateOptions{Key: keys()[0]}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.down > 0 {
				g.set(0, dead)
				time.Sleep(time.Minute)
			}
			g.set(1, slow)
			for n := range 5 {
				if err := e.Modify(t.Context(), w, add(fmt.Sprintf("%d\n", n))); err != nil {
					t.Fatal(err)
				}
				if got := l.holders(); got < tt.want {
					t.Errorf("happy %d, %d down: acknowledged when %d servers held it, want %d", tt.happy, tt.down, got, tt.want)
				}
			}
		})
	}
}
