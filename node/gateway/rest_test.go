package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"lafs/node/gateway"
	"lafs/node/grid"
	"lafs/node/store"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// A late server takes no write before it is let go, and then fails it if it is
// to.
type late struct {
	storage.Server
	let  chan struct{}
	fail error // set before let is closed
}

func (l *late) Write(ctx context.Context, si caps.StorageIndex, n storage.ShareNumber, up *storage.UploadSecret, offset int64, data []byte) ([]storage.Range, error) {
	select {
	case <-l.let:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if l.fail != nil {
		return nil, l.fail
	}
	return l.Server.Write(ctx, si, n, up, offset, data)
}

// Who asks for progress gets the cap as soon as the file is safe, then hears
// what became of the other shares; and the node places them, whether or not
// anybody listens any more.
func TestPutTellsOfTheRest(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fail   error
		leaves bool
		shares int
	}{
		{"placed", nil, false, 3},
		{"not placed", storage.ErrNoSpace, false, 2},
		{"nobody listens", nil, true, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := &late{let: make(chan struct{})}
				var servers []grid.Server
				for i := range 3 {
					s, err := store.Open(store.Config{Dir: filepath.Join(t.TempDir(), "storage")})
					if err != nil {
						t.Fatal(err)
					}
					defer s.Close()
					server := grid.Server{ID: fmt.Sprintf("v0-%d", i), Seed: []byte{byte(i)}, TubID: [20]byte{byte(i)}, Storage: s}
					if i == 1 {
						slow.Server = s
						server.Storage = slow
					}
					servers = append(servers, server)
				}
				g, err := grid.New(grid.Config{Needed: 2, Happy: 2, Total: 3, LeaseSecret: grid.NewLeaseSecret([32]byte{1}),
					Servers: func() []grid.Server { return servers }})
				if err != nil {
					t.Fatal(err)
				}
				defer g.Close()
				let := sync.OnceFunc(func() { close(slow.let) })
				defer let()
				slow.fail = tt.fail
				n := start(t, func(c *gateway.Config) { c.Grid = gateway.OnGrid(g, t.TempDir()) })
				data := make([]byte, 3<<20)
				rand.NewChaCha8([32]byte{}).Read(data)
				resp := n.begin("PUT", "/uri", bytes.NewReader(data), "Accept: "+gateway.ProgressType)
				defer resp.Body.Close()
				updates := json.NewDecoder(resp.Body)
				var u gateway.Update
				for u.Cap == "" {
					u = gateway.Update{}
					if err := updates.Decode(&u); err != nil || u.Error != "" {
						t.Fatalf("before the cap: %+v, %v", u, err)
					}
				}
				if !u.Pending || u.Placed != nil {
					t.Errorf("with the cap: got %+v, want something pending", u)
				}
				cap := u.Cap
				if tt.leaves {
					resp.Body.Close()
				}
				let()
				if u = (gateway.Update{}); !tt.leaves {
					if err := updates.Decode(&u); err != nil || u.Placed == nil || *u.Placed != (gateway.Placement{Shares: tt.shares, Total: 3, Servers: tt.shares}) {
						t.Errorf("of the rest: got %+v, %v, want %d shares on as many servers", u.Placed, err, tt.shares)
					}
				}
				synctest.Wait()
				c, err := caps.Parse(cap)
				if err != nil {
					t.Fatal(err)
				}
				si := c.(*caps.CHK).StorageIndex()
				if held, err := slow.Server.Shares(t.Context(), storage.Immutable, si); err != nil || (len(held) == 1) != (tt.shares == 3) {
					t.Errorf("at the slow server: %v, %v", held, err)
				}
			})
		})
	}
}
