package update_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/update"
)

// Readings of what the same engine is writing, again and again, take the
// versions that it has seen chosen since they began, and do not ask until
// they meet a moment without a writing. What they bring is never older than
// what was acknowledged before.
func TestReadingBesideWriting(t *testing.T) {
	dir := tmpDir(t)
	synctest.Test(t, func(t *testing.T) {
		g := newStoreGrid(t, dir, 5, 0, time.Second, 1)
		defer g.close()
		e, _ := g.client(3, 5, 1)
		defer e.Close()
		w, err := e.Create(t.Context(), update.CreateOptions{}, []byte("0"))
		if err != nil {
			t.Fatal(err)
		}
		var acked atomic.Int64
		var done atomic.Bool
		var all sync.WaitGroup
		all.Go(func() {
			for !done.Load() {
				var n int
				err := e.Modify(t.Context(), w, func(old []byte) ([]byte, error) {
					n, _ = strconv.Atoi(string(old))
					n++
					return []byte(strconv.Itoa(n)), nil
				})
				if err != nil {
					t.Errorf("write: %v", err)
				}
				acked.Store(int64(n))
			}
		})
		var longest, sum time.Duration
		for i := range 40 {
			time.Sleep(time.Duration(i) * 37 * time.Millisecond)
			before, began := acked.Load(), time.Now()
			got, err := e.Read(t.Context(), w)
			if err != nil {
				t.Fatalf("read: %v", err)
			}
			if n, _ := strconv.ParseInt(string(got.Data), 10, 64); n < before {
				t.Errorf("read %d after %d was acknowledged", n, before)
			}
			longest, sum = max(longest, time.Since(began)), sum+time.Since(began)
		}
		done.Store(true)
		all.Wait()
		t.Logf("%d writings; the longest reading took %v, all %v", acked.Load(), longest, sum)
		if longest > 6*time.Second {
			t.Errorf("a reading took %v, want at most six trips of a second", longest)
		}
	})
}
