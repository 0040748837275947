package gbs_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"lafs/onion"
	"lafs/onion/mux"
	"lafs/onion/oniontest"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
	"lafs/shares/storage/storagetest"
)

// serve runs h as an onion service on a network in memory and returns a
// client's way to it.
func serve(t *testing.T, h http.Handler, opts oniontest.Options) *mux.Peer {
	t.Helper()
	n := oniontest.New(opts)
	key, err := onion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	addr, err := key.Addr(80)
	if err != nil {
		t.Fatal(err)
	}
	ls, err := n.Host("server").Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mux.Serve(ctx, ls[0], h, mux.ServerConfig{}) }()
	pool, err := mux.NewPool(n.Host("client"), mux.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pool.Close()
		cancel()
		<-done
		n.Close()
	})
	return pool.Peer(addr, "grid")
}

func TestContractOverMux(t *testing.T) {
	now, clock := movable()
	storagetest.Run(t, func(t *testing.T) storage.Server {
		h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, now))})
		return gbs.NewClient(serve(t, h, oniontest.Options{}), storage.NewSwissnum(swissnum))
	}, storagetest.Clock(clock))
}

// TestRoundTrips: each method costs one on a warm session.
func TestRoundTrips(t *testing.T) {
	const rtt = time.Second
	synctest.Test(t, func(t *testing.T) {
		h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, time.Now))})
		c := gbs.NewClient(serve(t, h, oniontest.Options{RTT: rtt}), storage.NewSwissnum(swissnum))
		ctx, si := t.Context(), caps.StorageIndex{1}
		up, lease := storage.GenerateUploadSecret(), &storage.LeaseSecrets{}
		c.Version(ctx)
		for _, tt := range []struct {
			name string
			call func() error
		}{
			{"Version", func() error { _, err := c.Version(ctx); return err }},
			{"Allocate", func() error {
				_, err := c.Allocate(ctx, si, []storage.ShareNumber{0, 1}, 1000, up, lease)
				return err
			}},
			{"Write", func() error { _, err := c.Write(ctx, si, 0, up, 0, make([]byte, 1000)); return err }},
			{"Abort", func() error { return c.Abort(ctx, si, 1, up) }},
			{"Shares", func() error { _, err := c.Shares(ctx, storage.Immutable, si); return err }},
			{"Read", func() error {
				_, err := c.Read(ctx, storage.Immutable, si, 0, 0, make([]byte, 2000))
				return err
			}},
			{"AddLease", func() error { return c.AddLease(ctx, si, lease) }},
			{"AdviseCorrupt", func() error { return c.AdviseCorrupt(ctx, storage.Immutable, si, 0, "reason") }},
		} {
			start := time.Now()
			if err := tt.call(); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			// bbolt waits up to 2 ms for others to commit with.
			if trips := time.Since(start).Seconds() / rtt.Seconds(); trips < 1 || trips > 1.01 {
				t.Errorf("%s: got %.3f round trips, want 1", tt.name, trips)
			}
		}
	})
}

// The first request to a server leaves with the dial where it may go twice,
// and behind it where it may not.
func TestRoundTripsCold(t *testing.T) {
	const rtt = time.Second
	up, lease, si := storage.GenerateUploadSecret(), &storage.LeaseSecrets{}, caps.StorageIndex{1}
	for _, tt := range []struct {
		name  string
		trips int // of which connecting takes 3
		call  func(ctx context.Context, c *gbs.Client) error
	}{
		{"Version", 3, func(ctx context.Context, c *gbs.Client) error { _, err := c.Version(ctx); return err }},
		{"Allocate", 3, func(ctx context.Context, c *gbs.Client) error {
			_, err := c.Allocate(ctx, si, []storage.ShareNumber{0}, 1000, up, lease)
			return err
		}},
		{"StoreWhole", 3, func(ctx context.Context, c *gbs.Client) error {
			_, err := c.StoreWhole(ctx, si, map[storage.ShareNumber][]byte{0: make([]byte, 1000)}, up, lease)
			return err
		}},
		{"ReadWhole", 3, func(ctx context.Context, c *gbs.Client) error {
			_, err := c.ReadWhole(ctx, si, 1000, nil)
			return err
		}},
		{"a slot's reading", 3, func(ctx context.Context, c *gbs.Client) error {
			_, err := c.Slot(ctx, si, storage.SlotRequest{Message: agree.Read{}})
			return err
		}},
		{"a slot's promise", 4, func(ctx context.Context, c *gbs.Client) error {
			_, err := c.Slot(ctx, si, storage.SlotRequest{Message: agree.Prepare{Ballot: agree.Ballot{N: 1, Nonce: 1}}, Enabler: &storage.WriteEnabler{}, Lease: lease})
			return err
		}},
		{"ReadTestWrite", 4, func(ctx context.Context, c *gbs.Client) error {
			_, _, err := c.ReadTestWrite(ctx, si, &storage.WriteEnabler{}, lease, nil, nil)
			return err
		}},
		{"AdviseCorrupt", 4, func(ctx context.Context, c *gbs.Client) error {
			if err := c.AdviseCorrupt(ctx, storage.Immutable, si, 0, "reason"); !errors.Is(err, storage.ErrNotFound) {
				return err
			}
			return nil
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, time.Now))})
			c := gbs.NewClient(serve(t, h, oniontest.Options{RTT: rtt, ConnectTrips: 3}), storage.NewSwissnum(swissnum))
			start := time.Now()
			if err := tt.call(t.Context(), c); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			if got := int((time.Since(start) + rtt/2) / rtt); got != tt.trips {
				t.Errorf("%s: got %d round trips, want %d", tt.name, got, tt.trips)
			}
		})
	}
}
