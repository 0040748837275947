package grid_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"lafs/node/grid"
	"lafs/onion"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// frugal takes no more than some shares of a file.
type frugal struct {
	*memServer
	takes int
}

func (f frugal) Allocate(ctx context.Context, si caps.StorageIndex, shares []storage.ShareNumber, size int64, upload *storage.UploadSecret, l *storage.LeaseSecrets) (storage.Allocation, error) {
	return f.memServer.Allocate(ctx, si, shares[:min(f.takes, len(shares))], size, upload, l)
}

func gridOf(t *testing.T, k, happy, n int, servers ...storage.Server) *grid.Grid {
	t.Helper()
	var list []grid.Server
	for i, s := range servers {
		list = append(list, grid.Server{ID: fmt.Sprintf("v0-%d", i), Nickname: fmt.Sprintf("server %d", i), Seed: []byte{byte(i)}, TubID: [20]byte{byte(i)}, Storage: s})
	}
	g, err := grid.New(grid.Config{
		Needed: k, Happy: happy, Total: n, MaxSegmentSize: 4096,
		LeaseSecret: grid.NewLeaseSecret([32]byte{1}),
		Servers:     func() []grid.Server { return list },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

// Tahoe-LAFS's directories may have happy below needed.
func TestHappyBelowNeeded(t *testing.T) {
	tg := newGrid(t, 1, 3, 1, 10)
	data := content(20_000)
	res := tg.put(t, data)
	if len(res.Sharemap) != 10 || res.Happiness != 1 {
		t.Errorf("got %+v", res)
	}
	tg.check(t, res.Cap, data)
}

// An upload is no success while fewer shares than the file needs are there,
// even where fewer servers than that make it happy.
func TestTooFewSharesAreNoSuccess(t *testing.T) {
	var failing [2]*memServer
	for i := range failing {
		failing[i] = newMemServer()
		writes := 0
		failing[i].setFault(func(_ context.Context, call string) error {
			if call == "write" {
				if writes++; writes > 1 {
					return storage.ErrNoSpace
				}
			}
			return nil
		})
	}
	for _, tt := range []struct {
		name    string
		servers []storage.Server
	}{
		{"takes one", []storage.Server{frugal{newMemServer(), 1}}},
		{"full in the middle", []storage.Server{failing[0], failing[1]}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := gridOf(t, 3, 1, 3, tt.servers...)
			res, err := g.Upload(t.Context(), bytesSource(content(100)), grid.UploadOptions{})
			var unhappy *grid.UnhappyError
			if !errors.As(err, &unhappy) {
				t.Fatalf("got %+v, %v; want an UnhappyError", res, err)
			}
			if unhappy.Happiness >= 1 && !strings.Contains(err.Error(), "can't be read with fewer than 3") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Who reads "did not answer" looks for the fault at the servers.
func TestTorDownIsSaid(t *testing.T) {
	tg := newGrid(t, 3, 2, 2, 3)
	cap := tg.put(t, content(1000)).Cap
	for _, m := range tg.servers {
		m.setFault(func(context.Context, string) error {
			return fmt.Errorf("%w: reach x: %w", storage.ErrUnreachable, onion.ErrTorDown)
		})
	}
	_, getErr := tg.get(t.Context(), cap, 0, -1)
	_, putErr := tg.Upload(t.Context(), bytesSource(content(2000)), grid.UploadOptions{})
	for _, err := range []error{getErr, putErr} {
		if err == nil || !strings.HasPrefix(err.Error(), onion.ErrTorDown.Error()) || !strings.Contains(err.Error(), "lafs status") {
			t.Errorf("got %v", err)
		}
	}
}

// Requests that are given up in time do not say why they got no answer: the
// network does.
func TestNetworkIsAsked(t *testing.T) {
	s := newMemServer()
	s.setFault(func(context.Context, string) error { return context.DeadlineExceeded })
	g, err := grid.New(grid.Config{
		LeaseSecret: grid.NewLeaseSecret([32]byte{1}),
		Servers:     func() []grid.Server { return []grid.Server{{ID: "v0-a", Storage: s}} },
		Network:     func() error { return errors.New("Tor is asleep") },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	_, err = g.Upload(t.Context(), bytesSource(content(2000)), grid.UploadOptions{})
	if err == nil || !strings.HasPrefix(err.Error(), "Tor is asleep. ") {
		t.Errorf("got %v", err)
	}
}
