package update_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/update"
)

// Who makes an object while too few of all servers answer is told after the
// time that one try takes: there are no others for another.
func TestCreateWithTooFewServers(t *testing.T) {
	dir := tmpDir(t)
	for _, tt := range []struct {
		name          string
		servers, down int
		most          time.Duration
	}{
		{"all are on the list", 5, 2, 90 * time.Second},
		{"others could be", 7, 5, 10 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newStoreGrid(t, dir, tt.servers, 0, time.Second, 1)
				defer g.close()
				e, _ := g.client(3, 5, 1)
				defer e.Close()
				for i := range tt.down {
					g.set(i, dead)
				}
				start := time.Now()
				_, err := e.Create(t.Context(), update.CreateOptions{}, []byte("content"))
				if !errors.Is(err, update.ErrTooFewServers) {
					t.Fatalf("Create: got %v, want too few servers", err)
				}
				if _, ok := errors.AsType[*update.NotDoneError](err); !ok || strings.Contains(err.Error(), "\n") {
					t.Errorf("Create: got %q, want one line that says that nothing was made", err)
				}
				if took := time.Since(start); took > tt.most {
					t.Errorf("Create gave up after %v, want at most %v", took, tt.most)
				} else {
					t.Logf("gave up after %v: %v", took, err)
				}
			})
		})
	}
}
