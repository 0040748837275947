package client_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"lafs/introducer"
	"lafs/introducer/client"
	"lafs/introducer/server"
	"lafs/onion"
	"lafs/onion/mux"
	"lafs/onion/oniontest"
)

// serve publishes an introducer on h until stop is called.
func serve(t *testing.T, h *oniontest.Host, key *onion.Key, secret *introducer.Secret, store *memory) (stop func()) {
	t.Helper()
	s, err := server.New(server.Config{Store: store, PublishSecret: secret})
	if err != nil {
		t.Fatal(err)
	}
	ls, err := h.Listen(t.Context(), onion.Service{Key: key, Ports: []uint16{80}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); mux.Serve(ctx, ls[0], s.Handler(), mux.ServerConfig{}) }()
	return func() { cancel(); <-done }
}

// peers is what a node makes of its pool.
func peers(t *testing.T, nw onion.Network) (func(onion.Addr, string) http.RoundTripper, *mux.Pool) {
	t.Helper()
	pool, err := mux.NewPool(nw, mux.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return func(a onion.Addr, group string) http.RoundTripper {
		return pool.Peer(a, group).RoundTripper(mux.Small)
	}, pool
}

// Over onion circuits: a server announces, a client learns of it, and hears
// of the next renewal; while nothing happens nothing is sent; what dies comes
// back.
func TestOverOnion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := oniontest.New(oniontest.Options{RTT: 500 * time.Millisecond})
		defer nw.Close()
		key, addr := newPlace(t)
		secret := introducer.GenerateSecret()
		furl := introducer.NewFURL(addr, secret)
		store := new(memory)
		host := nw.Host("introducer")
		stop := serve(t, host, key, secret, store)

		n := newNode(t)
		srvPeers, srvPool := peers(t, nw.Host("server"))
		defer srvPool.Close()
		_, stopServer := run(t, client.Config{Peer: srvPeers, Publication: n.publication(), Introducers: map[string]*introducer.FURL{"a": furl}})
		defer stopServer()
		reader := nw.Host("reader")
		readerPeers, readerPool := peers(t, reader)
		defer readerPool.Close()
		c, stopReader := run(t, client.Config{Peer: readerPeers, Introducers: map[string]*introducer.FURL{"a": furl.ReadOnly()}})
		defer stopReader()
		time.Sleep(10 * time.Second)
		if got := known(c); got[n.id()] != 1 {
			t.Fatalf("ten seconds later: got %v and %+v, want the server", got, c.Status())
		}

		before := reader.Counters()
		time.Sleep(50 * time.Minute)
		if after := reader.Counters(); after != before {
			t.Errorf("an idle subscription is not silent: %+v, then %+v", before, after)
		}

		// Circuits die, and with them the introducer's process.
		stop()
		host.Crash()
		time.Sleep(time.Minute)
		if c.Status()[0].Connected {
			t.Error("the introducer is gone and shown as connected")
		}
		stop = serve(t, host, key, secret, store)
		time.Sleep(20 * time.Minute)
		if got := known(c); !c.Status()[0].Connected || got[n.id()] != 1 {
			t.Errorf("after the restart: got %v and %+v", got, c.Status())
		}
		time.Sleep(49 * hour)
		if got := known(c); got[n.id()] < 2 {
			t.Errorf("two days later: got %v, want a renewal", got)
		}
		stopReader()
		stopServer()
		stop()
	})
}

// A server's announcement and a client's subscription never share a circuit.
func TestGroupsShareNoCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := oniontest.New(oniontest.Options{RTT: 500 * time.Millisecond})
		defer nw.Close()
		key, addr := newPlace(t)
		furl := introducer.NewFURL(addr, introducer.GenerateSecret())
		stop := serve(t, nw.Host("introducer"), key, furl.PublishSecret(), new(memory))
		defer stop()
		h := nw.Host("both")
		p, pool := peers(t, h)
		defer pool.Close()
		c, stopNode := run(t, client.Config{Peer: p, Publication: newNode(t).publication(), Introducers: map[string]*introducer.FURL{"a": furl}})
		defer stopNode()
		time.Sleep(10 * time.Second)
		if s := c.Status()[0]; !s.Connected || s.Announced != 1 {
			t.Fatalf("got %+v, want connected and announced", s)
		}
		if lanes := h.Lanes(); len(lanes) != 2 {
			t.Errorf("got %d lanes, want one for each", len(lanes))
		}
	})
}
