package client_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"lafs/introducer"
	"lafs/introducer/client"
	"lafs/introducer/server"
	"lafs/onion"
)

// A wire is a listener whose connections are pipes, and the way to it.
type wire struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.done:
		return nil, net.ErrClosed
	}
}
func (w *wire) Close() error   { w.once.Do(func() { close(w.done) }); return nil }
func (w *wire) Addr() net.Addr { return &net.UnixAddr{} }

func (w *wire) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case w.conns <- there:
		return here, nil
	case <-w.done:
		return nil, onion.ErrUnreachable
	}
}

// A world is a network of HTTP handlers at onion addresses.
type world struct {
	t  *testing.T
	mu sync.Mutex
	at map[onion.Addr]*place
}

type place struct {
	wire  *wire
	rt    *http.Transport
	srv   *http.Server
	ended chan struct{}
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, at: make(map[onion.Addr]*place)}
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, p := range w.at {
			p.stop()
		}
	})
	return w
}

func (p *place) stop() {
	p.rt.CloseIdleConnections()
	p.srv.Close()
	<-p.ended
}

// up runs h at a, in place of what ran there.
func (w *world) up(a onion.Addr, h http.Handler) {
	w.down(a)
	p := &place{wire: &wire{conns: make(chan net.Conn), done: make(chan struct{})}, ended: make(chan struct{})}
	p.rt = &http.Transport{DialContext: p.wire.dial}
	p.srv = &http.Server{Handler: h}
	go func() { defer close(p.ended); p.srv.Serve(p.wire) }()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at[a] = p
}

func (w *world) down(a onion.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.at[a]; p != nil {
		p.stop()
		delete(w.at, a)
	}
}

type unreachable struct{}

func (unreachable) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, onion.ErrUnreachable
}

func (w *world) peer(a onion.Addr, _ string) http.RoundTripper {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.at[a]; p != nil {
		return p.rt
	}
	return unreachable{}
}

func newFURL(t *testing.T) *introducer.FURL {
	t.Helper()
	_, addr := newPlace(t)
	return introducer.NewFURL(addr, introducer.GenerateSecret())
}

func newPlace(t *testing.T) (*onion.Key, onion.Addr) {
	t.Helper()
	k, err := onion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	a, err := k.Addr(80)
	if err != nil {
		t.Fatal(err)
	}
	return k, a
}

// A memory is an introducer's Store.
type memory struct {
	mu   sync.Mutex
	text []byte
}

func (m *memory) Load() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.text), nil
}

func (m *memory) Save(text []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.text = bytes.Clone(text)
	return nil
}

// honest runs a true introducer.
func (w *world) honest(f *introducer.FURL, store *memory) *server.Server {
	w.t.Helper()
	s, err := server.New(server.Config{Store: store, PublishSecret: f.PublishSecret()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.up(f.Address(), s.Handler())
	return s
}

// A node is a storage server that announces; it is its own Seqnum.
type node struct {
	t     *testing.T
	key   ed25519.PrivateKey
	place *onion.Key
	addr  onion.Addr

	mu    sync.Mutex
	last  uint64
	fails int // how often Next still fails
}

func newNode(t *testing.T) *node {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	place, addr := newPlace(t)
	return &node{t: t, key: key, place: place, addr: addr}
}

func (n *node) id() string { return introducer.NewServerID(n.key.Public().(ed25519.PublicKey)) }

func (n *node) Next(above uint64) (uint64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fails > 0 {
		n.fails--
		return 0, errors.New("no space left")
	}
	n.last = max(n.last, above) + 1
	return n.last, nil
}

func (n *node) announcement(seqnum uint64) *introducer.Announcement {
	sw, err := introducer.NewSwissnum("abcdefghijklmnopqrstuvwxyz234567")
	if err != nil {
		n.t.Fatal(err)
	}
	return &introducer.Announcement{Seqnum: seqnum, Address: n.addr, Swissnum: sw,
		PermutationSeed: make([]byte, 20), Protocols: []int{introducer.ProtocolGBS}}
}

func (n *node) signed(seqnum uint64) ([]byte, error) {
	return introducer.Sign(n.announcement(seqnum), n.key, n.place)
}

func (n *node) sign(seqnum uint64) []byte {
	n.t.Helper()
	raw, err := n.signed(seqnum)
	if err != nil {
		n.t.Fatal(err)
	}
	return raw
}

func (n *node) publication() *client.Publication {
	return &client.Publication{Sign: n.signed, Seqnum: n}
}

// A cache is a Cache in memory.
type cache struct {
	mu    sync.Mutex
	texts map[string][]byte
	saves int
}

func newCache() *cache { return &cache{texts: make(map[string][]byte)} }

func (c *cache) Load(petname string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.texts[petname]), nil
}

func (c *cache) Save(petname string, text []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.texts[petname] = bytes.Clone(text)
	c.saves++
	return nil
}

// run runs a client until stop is called.
func run(t *testing.T, cfg client.Config) (c *client.Client, stop func()) {
	t.Helper()
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); <-done }) }
	t.Cleanup(stop)
	return c, stop
}

const hour = time.Hour
