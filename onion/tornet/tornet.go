// Package tornet runs a private Tor network of real tor processes on
// loopback: one directory authority, four relays and any number of client
// tors, ready in under 15 seconds, without an Internet. The demo, the tests
// and the benchmarks use it. It is never linked into the product.
//
// The network touches no tor that it did not start: ports are checked free
// before anything starts, every tor answers with its process id on a unix
// socket in the network's own directory, and that id is compared with the
// process started. The tors die with the process that started them.
package tornet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Relays is the number of relays beside the authority. Fewer bootstrap, but
// serve no onion service, or start slowly.
const Relays = 4

// DefaultClients is the number of client tors where Config names none: one
// for services and one for those who visit them.
const DefaultClients = 2

const (
	attempts       = 5                // a port can be taken at the last moment, a consensus be of no use
	attemptTimeout = 60 * time.Second // one attempt needs 5-15 s, a slow machine several times that
	clientTries    = 3
	clientTimeout  = 20 * time.Second // a client needs 1-3 s, and once took 12
)

// Config says what network to start. Only Dir is needed.
type Config struct {
	// Dir holds all files of the network. It is made if absent, must be
	// empty otherwise, and must be short: the control sockets in it may be
	// no longer than 107 bytes.
	Dir string
	// Delay is added to every link, one way, before each relay's ORPort. An
	// onion round trip then takes about 14 times as long.
	Delay time.Duration
	// Clients is the number of client tors; 0 means DefaultClients.
	Clients int
	// Port is the first of up to eleven consecutive ports on 127.0.0.1, for
	// the relays; 0 picks free ones below 32768.
	Port int
	// Executable is the tor to run; empty looks for one.
	Executable string
}

// A ClientTor is a tor that joined the network as client, and can publish
// services too. Both addresses have the form unix:/path; the control socket
// asks for no password, its directory is open to its owner only.
type ClientTor struct {
	Control string `json:"control"`
	Socks   string `json:"socks"`
}

// A Net is a running network. All methods may be called at once.
type Net struct {
	cfg        Config
	exe        string
	madeDir    bool
	supervised bool

	mu      sync.Mutex
	closed  bool
	line    *delayLine
	servers []*process // authority first, then relays
	clients []*client
}

type client struct {
	tor  ClientTor
	name string
	proc *process // nil once killed
}

// Start starts a network and returns when all its clients have bootstrapped.
// ctx bounds the start only. Close ends the network; should the caller die
// without it, the tors die too, but their files stay.
func Start(ctx context.Context, cfg Config) (*Net, error) {
	return start(ctx, cfg, false)
}

func start(ctx context.Context, cfg Config, supervised bool) (*Net, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	exe, err := findTor(cfg.Executable)
	if err != nil {
		return nil, err
	}
	n := &Net{cfg: cfg, exe: exe, supervised: supervised}
	if n.madeDir, err = claimDir(cfg.Dir); err != nil {
		return nil, err
	}
	if err := n.bringUp(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// checked fills in the defaults and validates.
func (c Config) checked() (Config, error) {
	if c.Clients == 0 {
		c.Clients = DefaultClients
	}
	switch {
	case c.Dir == "":
		return c, errors.New("no directory given for the tor network")
	case c.Clients < 0 || c.Clients > 64:
		return c, fmt.Errorf("%d client tors: want 1 to 64", c.Clients)
	case c.Delay < 0 || c.Delay > 2*time.Second:
		return c, fmt.Errorf("delay of %v a link: want 0 to 2 s", c.Delay)
	case c.Port != 0 && (c.Port < 1024 || c.Port > maxPort-portsNeeded):
		return c, fmt.Errorf("first port %d: want 1024 to %d", c.Port, maxPort-portsNeeded)
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return c, err
	}
	c.Dir = dir
	if s := controlPath(dir, "client999"); len(s) > maxSocketPath {
		return c, fmt.Errorf("directory path is %d bytes too long: unix sockets in it would pass %d bytes; choose a shorter one", len(s)-maxSocketPath, maxSocketPath)
	}
	for _, r := range dir {
		if r <= ' ' || r == '"' || r == '\\' || r == '#' || r == 0x7f {
			return c, errors.New("directory path has a blank, quote, backslash or #, which tor's configuration cannot hold")
		}
	}
	return c, nil
}

// bringUp starts the servers, again on fresh ports where that went wrong, and
// then the clients.
func (n *Net) bringUp(ctx context.Context) error {
	keys, err := newAuthorityKeys(time.Now())
	if err != nil {
		return err
	}
	if err := n.save(false); err != nil {
		return err
	}
	if err := os.WriteFile(n.path(emptyFile), nil, 0o600); err != nil {
		return err
	}
	for try := 1; ; try++ {
		err = n.startServers(ctx, keys)
		if err == nil {
			break
		}
		n.stopServers()
		if try == attempts || ctx.Err() != nil || errors.Is(err, errPortTaken) {
			return err
		}
	}
	if err := n.saveSeed(); err != nil {
		return err
	}
	return n.startClients(ctx)
}

func (n *Net) startServers(ctx context.Context, keys *authorityKeys) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	for _, name := range serverNames() {
		if err := os.RemoveAll(n.path(name)); err != nil {
			return err
		}
	}
	ports, err := holdPorts(n.cfg.Port, n.cfg.Delay > 0)
	if err != nil {
		return err
	}
	defer ports.release()
	lay := newLayout(n.cfg, keys, ports)
	if err := lay.write(keys); err != nil {
		return err
	}
	if n.cfg.Delay > 0 {
		n.line = newDelayLine(n.cfg.Delay)
		for i, l := range ports.takeAdvertised() {
			n.line.serve(l, ports.real(i))
		}
	}
	ports.release()
	for _, name := range serverNames() {
		p, err := n.launch(name)
		if err != nil {
			return err
		}
		n.mu.Lock()
		n.servers = append(n.servers, p)
		n.mu.Unlock()
	}
	if err := n.save(false); err != nil {
		return err
	}
	for _, p := range n.servers {
		if err := p.verify(ctx); err != nil {
			return err
		}
	}
	if err := voteNow(ctx, n.servers); err != nil {
		return err
	}
	return waitConsensus(ctx, n.path(authorityName), n.servers)
}

func (n *Net) stopServers() {
	n.mu.Lock()
	servers, line := n.servers, n.line
	n.servers, n.line = nil, nil
	n.mu.Unlock()
	for _, p := range servers {
		p.kill()
	}
	if line != nil {
		line.close()
	}
}

// Clients returns the client tors in the order of their start.
func (n *Net) Clients() []ClientTor {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []ClientTor
	for _, c := range n.clients {
		out = append(out, c.tor)
	}
	return out
}

// TorrcFragment is the path of a torrc fragment with which any tor joins
// this network as client or service: it names the authority and leaves data
// directory, control and SOCKS ports to the reader.
func (n *Net) TorrcFragment() string { return n.path(fragmentFile) }

// Seed is a directory of cached network documents. A tor whose empty data
// directory gets copies of them before it starts need not fetch them.
func (n *Net) Seed() string { return n.path(seedDir) }

// Close kills every tor of the network, waits for them, and removes all
// files. It may be called more than once.
func (n *Net) Close() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil
	}
	n.closed = true
	var procs []*process
	for _, c := range n.clients {
		if c.proc != nil {
			procs = append(procs, c.proc)
		}
	}
	n.clients = nil
	n.mu.Unlock()
	for _, p := range procs {
		p.kill()
	}
	n.stopServers()
	return removeFiles(n.cfg.Dir, n.madeDir)
}

func (n *Net) path(name string) string { return filepath.Join(n.cfg.Dir, name) }
