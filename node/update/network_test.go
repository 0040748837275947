package update_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/grid"
	"lafs/node/store"
	"lafs/node/update"
	"lafs/onion"
	"lafs/onion/mux"
	"lafs/onion/oniontest"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// A netGrid is real stores, on disks, behind the real wire over an onion
// network in memory.
type netGrid struct {
	net     *oniontest.Net
	hosts   []*oniontest.Host
	engines []*update.Engine
	close   func()
}

const netPort = 80

// oneByOne lets steps wait for each other on a channel. The store has a mutex
// for that, under which its index waits for a timer, and a bubble's time
// stands still while anybody waits for a mutex.
type oneByOne struct {
	*store.Store
	turn chan struct{}
}

func (s *oneByOne) ReadTestWrite(ctx context.Context, si caps.StorageIndex, enabler *storage.WriteEnabler, lease *storage.LeaseSecrets,
	writes map[storage.ShareNumber]storage.TestWrite, spans []storage.Span) (bool, map[storage.ShareNumber][][]byte, error) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return s.Store.ReadTestWrite(ctx, si, enabler, lease, writes, spans)
}

func (s *oneByOne) Shares(ctx context.Context, kind storage.Kind, si caps.StorageIndex) ([]storage.ShareNumber, error) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return s.Store.Shares(ctx, kind, si)
}

func (s *oneByOne) Read(ctx context.Context, kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber, offset int64, p []byte) (int, error) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return s.Store.Read(ctx, kind, si, n, offset, p)
}

func (s *oneByOne) Slot(ctx context.Context, si caps.StorageIndex, req storage.SlotRequest) (storage.SlotAnswer, error) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return s.Store.Slot(ctx, si, req)
}

func newNetGrid(t *testing.T, servers, clients int, rtt time.Duration) *netGrid {
	t.Helper()
	return newPlainNetGrid(t, servers, 0, clients, rtt)
}

// A voteless store leaves votes to its clients.
type voteless struct{ *oneByOne }

func (voteless) OnlyTahoe() bool { return true }

// onlyTahoe is a server that does not know requests of ours.
func onlyTahoe(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/lafs/") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// newPlainNetGrid is a netGrid of which the first servers know only
// Tahoe-LAFS's protocol.
func newPlainNetGrid(t *testing.T, servers, plain, clients int, rtt time.Duration) *netGrid {
	t.Helper()
	g := &netGrid{net: oniontest.New(oniontest.Options{RTT: rtt})}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	var closers []func() error
	type place struct {
		addr onion.Addr
		id   [32]byte
	}
	var places []place
	dir := t.TempDir()
	for i := range servers {
		name := fmt.Sprintf("server%d", i)
		host := g.net.Host(name)
		g.hosts = append(g.hosts, host)
		key, err := onion.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		addr, err := key.Addr(netPort)
		if err != nil {
			t.Fatal(err)
		}
		id := sha256.Sum256([]byte(name))
		st, err := store.Open(store.Config{Dir: filepath.Join(dir, name), TubID: [20]byte(id[:20])})
		if err != nil {
			t.Fatal(err)
		}
		ls, err := host.Listen(ctx, onion.Service{Key: key, Ports: []uint16{netPort}})
		if err != nil {
			t.Fatal(err)
		}
		inTurn := storage.Server(&oneByOne{st, make(chan struct{}, 1)})
		if i < plain {
			inTurn = voteless{inTurn.(*oneByOne)}
		}
		handler := http.Handler(gbs.NewHandler(gbs.HandlerConfig{Authorize: func(sw []byte) (storage.Server, bool) {
			return inTurn, subtle.ConstantTimeCompare(sw, []byte("swissnum")) == 1
		}}))
		if i < plain {
			handler = onlyTahoe(handler)
		}
		serving.Go(func() {
			defer st.Close()
			_ = mux.Serve(ctx, ls[0], handler, mux.ServerConfig{})
		})
		places = append(places, place{addr, id})
	}
	for i := range clients {
		pool, err := mux.NewPool(g.net.Host(fmt.Sprintf("client%d", i)), mux.Config{})
		if err != nil {
			t.Fatal(err)
		}
		var list []grid.Server
		for _, p := range places {
			c := gbs.NewClient(pool.Peer(p.addr, "test"), storage.NewSwissnum("swissnum"))
			list = append(list, grid.Server{ID: fmt.Sprintf("v0-%x", p.id[:16]), Seed: p.id[:], TubID: [20]byte(p.id[:20]), Storage: c, Slots: c})
		}
		e, err := update.New(update.Config{LeaseSecret: grid.NewLeaseSecret([32]byte{byte(i)}), Servers: func() []grid.Server { return list }})
		if err != nil {
			t.Fatal(err)
		}
		g.engines = append(g.engines, e)
		closers = append(closers, e.Close, pool.Close)
	}
	g.close = func() {
		for _, c := range closers {
			if err := c(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		cancel()
		g.net.Close()
		serving.Wait()
	}
	return g
}

// Round trips on warm sessions, over the real wire and real stores.
func TestTrips(t *testing.T) {
	for _, format := range []mutable.Format{mutable.SDMF, mutable.MDMF} {
		synctest.Test(t, func(t *testing.T) {
			g := newNetGrid(t, 5, 2, time.Second)
			defer g.close()
			a, b := g.engines[0], g.engines[1]
			content := bytes.Repeat([]byte("0123456789"), 2000)
			opts := update.CreateOptions{Format: &format}
			warm, err := a.Create(t.Context(), opts, content)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Read(t.Context(), warm); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
			var w *caps.MutableWriter
			for _, step := range []struct {
				name string
				want int
				do   func() error
			}{
				{"create", 1, func() (err error) { w, err = a.Create(t.Context(), opts, content); return err }},
				{"read", 1, func() error { _, err := b.Read(t.Context(), w.ReadOnly()); return err }},
				{"read again", 1, func() error { _, err := b.Read(t.Context(), w.ReadOnly()); return err }},
				{"modify what is known", 1, func() error { return a.Modify(t.Context(), w, add("x")) }},
				{"modify what was read", 1, func() error { return b.Modify(t.Context(), warm, add("y")) }},
				{"modify what is not known", 2, func() error { return b.Modify(t.Context(), w, add("z")) }},
				{"modify what another changed", 3, func() error { return a.Modify(t.Context(), w, add("z")) }},
				{"modify again", 1, func() error { return a.Modify(t.Context(), w, add("z")) }},
				{"read of the other", 1, func() error { _, err := a.Read(t.Context(), w); return err }},
			} {
				trips := g.net.Trips(func() {
					if err := step.do(); err != nil {
						t.Errorf("%v: %s: %v", format, step.name, err)
					}
				})
				if trips != step.want {
					t.Errorf("%v: %s took %d trips, want %d", format, step.name, trips, step.want)
				}
				time.Sleep(5 * time.Second) // what goes on behind ends
			}
			got, err := a.Read(t.Context(), w)
			if want := string(content) + "xzzz"; err != nil || string(got.Data) != want {
				t.Errorf("%v: %d bytes at the end, %v", format, len(got.Data), err)
			}
		})
	}
}

// Four engines write through the real wire while a server goes down.
func TestWritersOverTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newNetGrid(t, 5, 4, 300*time.Millisecond)
		defer g.close()
		w, err := g.engines[0].Create(t.Context(), update.CreateOptions{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(3*time.Second, g.hosts[2].Crash)
		var all sync.WaitGroup
		const each = 10
		for i, e := range g.engines {
			for n := range each {
				all.Go(func() {
					if err := e.Modify(t.Context(), w, add(fmt.Sprintf("%d of %d\n", n, i))); err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
		got, err := g.engines[3].Read(t.Context(), w)
		if n := bytes.Count(got.Data, []byte("\n")); err != nil || n != 4*each {
			t.Errorf("%d of %d entries, %v", n, 4*each, err)
		}
	})
}
