package node_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node"
	"lafs/node/dirnode"
	"lafs/node/gateway"
	"lafs/node/grid"
	"lafs/node/store"
	"lafs/node/update"
	"lafs/onion"
	"lafs/onion/mux"
	"lafs/onion/oniontest"
	"lafs/shares/caps"
	"lafs/shares/immutable"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// inTurn takes one step of a slot after the other. A store does so too, but
// with a mutex, for which a bubble's time stands still.
type inTurn struct {
	*store.Store
	turn chan struct{}
}

func (s *inTurn) Slot(ctx context.Context, si caps.StorageIndex, req storage.SlotRequest) (storage.SlotAnswer, error) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return s.Store.Slot(ctx, si, req)
}

// apis are the web APIs of clients on a network in memory, without the
// sockets that a bubble has no time for.
func apis(t *testing.T, net *oniontest.Net, servers, clients int) (handlers []http.Handler, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	places := map[string]onion.Addr{}
	for i := range servers {
		name := fmt.Sprintf("server%d", i)
		key, err := onion.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		if places[name], err = key.Addr(80); err != nil {
			t.Fatal(err)
		}
		st, err := store.Open(store.Config{Dir: filepath.Join(t.TempDir(), name), TubID: tubOf(name)})
		if err != nil {
			t.Fatal(err)
		}
		ls, err := net.Host(name).Listen(ctx, onion.Service{Key: key, Ports: []uint16{80}})
		if err != nil {
			t.Fatal(err)
		}
		served := &inTurn{st, make(chan struct{}, 1)}
		h := gbs.NewHandler(gbs.HandlerConfig{Authorize: func([]byte) (storage.Server, bool) { return served, true }})
		serving.Go(func() {
			defer st.Close()
			_ = mux.Serve(ctx, ls[0], h, mux.ServerConfig{})
		})
	}
	var closers []func() error
	for i := range clients {
		pool, err := mux.NewPool(net.Host(fmt.Sprintf("client%d", i)), mux.Config{})
		if err != nil {
			t.Fatal(err)
		}
		var list []grid.Server
		for name, addr := range places {
			c := gbs.NewClient(pool.Peer(addr, "test"), storage.NewSwissnum("swissnum"))
			list = append(list, grid.Server{ID: "v0-" + name, Seed: []byte(name), TubID: tubOf(name), Storage: c, Slots: c})
		}
		all := func() []grid.Server { return list }
		lease := grid.NewLeaseSecret([32]byte{byte(i)})
		g, err := grid.New(grid.Config{Needed: 3, Happy: 5, Total: 10, Convergence: immutable.NewConvergenceSecret([]byte{byte(i)}), LeaseSecret: lease, Servers: all})
		if err != nil {
			t.Fatal(err)
		}
		e, err := update.New(update.Config{LeaseSecret: lease, Servers: all})
		if err != nil {
			t.Fatal(err)
		}
		o := node.NewObjects(g, e)
		h, err := gateway.New(gateway.Config{Grid: gateway.OnGrid(g, t.TempDir()), Tree: dirnode.New(o, nil), Mutables: o, Hosts: []string{"node"},
			Checker: node.NewChecker(g, e, lease, all)})
		if err != nil {
			t.Fatal(err)
		}
		handlers = append(handlers, h)
		closers = append(closers, e.Close, g.Close, pool.Close)
	}
	return handlers, func() {
		for _, c := range closers {
			if err := c(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		cancel()
		net.Close()
		serving.Wait()
	}
}

func tubOf(name string) [20]byte {
	sum := sha256.Sum256([]byte(name))
	return [20]byte(sum[:])
}

// ask sends a handler one request.
func ask(t *testing.T, h http.Handler, method, target, body string) string {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "node"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code/100 != 2 {
		t.Errorf("%s: got %d %s", method, w.Code, w.Body)
	}
	return w.Body.String()
}

// Round trips of requests on warm sessions. What an immutable file takes of
// its own, to be put and to be got, is the grid's business: up to two, in the
// first of which the directory is looked at too.
func TestTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := oniontest.New(oniontest.Options{RTT: time.Second})
		clients, stop := apis(t, net, 5, 2)
		defer stop()
		a, b := clients[0], clients[1]
		small, file := "small", strings.Repeat("x", 1024)
		root := "/uri/" + ask(t, a, "POST", "/uri?t=mkdir", "")
		for i, h := range clients { // Both kinds of session.
			ask(t, h, "PUT", fmt.Sprintf("%s/a/b/c/%d", root, i), strings.Repeat("y", 1<<20))
			ask(t, h, "GET", root+"/a/b/c/0", "")
		}
		ask(t, a, "PUT", root+"/a/b/c/file", file)
		ask(t, a, "PUT", root+"/a/b/c/small", small)
		time.Sleep(30 * time.Second)
		var m string
		for _, step := range []struct {
			name   string
			want   int
			h      http.Handler
			method string
			target string
			body   string
		}{
			{"mkdir", 1, a, "POST", "/uri?t=mkdir", ""},
			{"put a mutable file", 1, a, "PUT", "/uri?format=SDMF", file},
			{"read it", 1, b, "GET", "mutable", ""},
			{"overwrite it", 1, a, "PUT", "mutable", file},
			{"list", 1, b, "GET", root + "?t=json", ""},
			{"put a small file into a directory", 2, b, "PUT", root + "/small", small},
			{"and another", 2, b, "PUT", root + "/small2", small},
			{"put a file into a directory", 2, b, "PUT", root + "/file", file},
			{"unlink it", 1, b, "DELETE", root + "/file", ""},
			{"get a/b/c/small", 4, b, "GET", root + "/a/b/c/small", ""},
			{"get a/b/c/file", 5, b, "GET", root + "/a/b/c/file", ""},
		} {
			target := step.target
			if target == "mutable" {
				target = "/uri/" + m
			}
			var answer string
			trips := net.Trips(func() { answer = ask(t, step.h, step.method, target, step.body) })
			if trips != step.want {
				t.Errorf("%s took %d trips, want %d", step.name, trips, step.want)
			}
			if step.name == "put a mutable file" {
				m = answer
			}
			time.Sleep(10 * time.Second) // what goes on behind ends
		}
	})
}

// A hundred files put into one directory at once: their shares travel
// together, and their entries gather while a change of the directory is under
// way.
func TestTripsOfManyFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := oniontest.New(oniontest.Options{RTT: time.Second})
		clients, stop := apis(t, net, 5, 1)
		defer stop()
		h := clients[0]
		var all []int
		for round := range 4 { // The first warms the sessions.
			dir := "/uri/" + ask(t, h, "POST", "/uri?t=mkdir", "")
			trips := net.Trips(func() {
				var puts sync.WaitGroup
				for i := range 100 {
					puts.Go(func() {
						ask(t, h, "PUT", fmt.Sprintf("%s/file%d", dir, i), strings.Repeat("x", 1000)+fmt.Sprint(round, i))
					})
				}
				puts.Wait()
			})
			if round > 0 {
				all = append(all, trips)
			}
			time.Sleep(10 * time.Second) // what goes on behind ends
			if list := ask(t, h, "GET", dir+"?t=json", ""); strings.Count(list, `"filenode"`) != 100 {
				t.Errorf("the directory has %d files, want 100", strings.Count(list, `"filenode"`))
			}
		}
		// Whoever looks for the directory while it is being changed may have to
		// look again.
		if slices.Sort(all); all[1] > 6 || all[2] > 10 {
			t.Errorf("a hundred files took %d trips, want at most 6 mostly, and never over 10", all)
		}
	})
}
