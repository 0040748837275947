// Package nodetest is a whole grid in one process for tests: real stores on
// real files, the storage protocol over mux over an onion network in memory,
// and clients with their own network each.
//
// It works inside a testing/synctest bubble, where latency costs nothing and
// round trips can be counted. When the test ends, everything is closed, every
// share on every disk is checked against the caps that the grid's clients
// made, and goroutines that are left over fail the test.
package nodetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lafs/node/grid"
	"lafs/onion/mux"
	"lafs/onion/oniontest"
	"lafs/shares/caps"
	"lafs/shares/immutable"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// Options say what grid to make.
type Options struct {
	// Servers and Clients are how many of each; 0 means 5 and 1.
	Servers, Clients int
	// Needed, Happy and Total are k, happy and N; 0 means 3, 5 and 10.
	Needed, Happy, Total int
	// MaxSegmentSize in bytes; 0 means 1 MiB.
	MaxSegmentSize int64
	// Memory of each client's transfers, in bytes; 0 means the default.
	Memory int64
	// Net says how the network behaves.
	Net oniontest.Options
	// Mux is the clients' pools' configuration.
	Mux mux.Config
	// Dir is where the stores are; "" means a place of the test's own.
	Dir string
}

// A Grid is servers and clients on one network.
type Grid struct {
	Net     *oniontest.Net
	Servers []*Server
	Clients []*Client

	t    *testing.T
	mu   sync.Mutex
	caps map[caps.StorageIndex]*caps.CHK // guarded by mu; what Put has made
}

// A Client is one client with a pool of sessions of its own.
type Client struct {
	*grid.Grid
	// Host is its place on the network.
	Host *oniontest.Host

	in   *Grid
	pool *mux.Pool
}

// New makes a grid and starts it. What it starts ends with the test.
func New(t *testing.T, opts Options) *Grid {
	t.Helper()
	setDefault(&opts.Servers, 5)
	setDefault(&opts.Clients, 1)
	setDefault(&opts.Needed, 3)
	setDefault(&opts.Happy, 5)
	setDefault(&opts.Total, 10)
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	g := &Grid{Net: oniontest.New(opts.Net), t: t, caps: make(map[caps.StorageIndex]*caps.CHK)}
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		g.close()
		if err := goleak.Find(leaks); err != nil && !inBubble() {
			t.Errorf("goroutines are left: %v", err)
		}
		for _, err := range g.CheckDisks() {
			t.Error(err)
		}
	})
	for i := range opts.Servers {
		s, err := g.newServer(fmt.Sprintf("server%d", i), i, opts.Dir)
		if err != nil {
			t.Fatalf("start server %d: %v", i, err)
		}
		g.Servers = append(g.Servers, s)
	}
	for i := range opts.Clients {
		c, err := g.newClient(fmt.Sprintf("client%d", i), i, opts)
		if err != nil {
			t.Fatalf("start client %d: %v", i, err)
		}
		g.Clients = append(g.Clients, c)
	}
	return g
}

func setDefault(v *int, to int) {
	if *v == 0 {
		*v = to
	}
}

func (g *Grid) newClient(name string, number int, opts Options) (*Client, error) {
	c := &Client{Host: g.Net.Host(name), in: g}
	pool, err := mux.NewPool(c.Host, opts.Mux)
	if err != nil {
		return nil, err
	}
	c.pool = pool
	var servers []grid.Server
	for _, s := range g.Servers {
		servers = append(servers, grid.Server{
			ID: s.ID, Nickname: s.Name, Seed: []byte(s.ID), TubID: s.tubID,
			Storage: gbs.NewClient(pool.Peer(s.Addr, "test"), storage.NewSwissnum(s.swissnum)),
		})
	}
	c.Grid, err = grid.New(grid.Config{
		Needed: opts.Needed, Happy: opts.Happy, Total: opts.Total, MaxSegmentSize: opts.MaxSegmentSize, Memory: opts.Memory,
		Convergence: immutable.NewConvergenceSecret([]byte("a secret of all clients")),
		LeaseSecret: grid.NewLeaseSecret([32]byte{byte(number)}),
		Servers:     func() []grid.Server { return servers },
	})
	return c, err
}

// Put uploads data and notes the cap for the check of the disks.
func (c *Client) Put(ctx context.Context, data []byte) (caps.Cap, error) {
	res, err := c.PutSource(ctx, Bytes(data))
	if err != nil {
		return nil, err
	}
	return res.Cap, nil
}

// PutSource is Put of any source.
func (c *Client) PutSource(ctx context.Context, src grid.Source) (*grid.UploadResult, error) {
	res, err := c.Upload(ctx, src, grid.UploadOptions{})
	if err != nil {
		return nil, err
	}
	if chk, ok := res.Cap.(*caps.CHK); ok {
		c.in.mu.Lock()
		defer c.in.mu.Unlock()
		c.in.caps[chk.StorageIndex()] = chk
	}
	return res, nil
}

// Get downloads a whole file.
func (c *Client) Get(ctx context.Context, cap caps.Cap) ([]byte, error) {
	var out bytes.Buffer
	err := c.Copy(ctx, &out, cap)
	return out.Bytes(), err
}

// Copy downloads a whole file into w.
func (c *Client) Copy(ctx context.Context, w io.Writer, cap caps.Cap) error {
	f, err := c.Open(ctx, cap)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Copy(ctx, w, 0, -1, nil)
}

// inBubble reports whether time is synctest's, which starts in 2000. There,
// synctest itself fails the test when goroutines are left.
func inBubble() bool { return time.Now().Year() < 2020 }

// Bytes is a source in memory.
type Bytes []byte

// Size implements grid.Source.
func (b Bytes) Size() int64 { return int64(len(b)) }

// Open implements grid.Source.
func (b Bytes) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }

// close ends clients, servers and network, in this order.
func (g *Grid) close() {
	for _, c := range g.Clients {
		if err := c.Grid.Close(); err != nil {
			g.t.Errorf("close client: %v", err)
		}
		if err := c.pool.Close(); err != nil {
			g.t.Errorf("close pool: %v", err)
		}
	}
	for _, s := range g.Servers {
		s.Kill()
	}
	if err := g.Net.Close(); err != nil {
		g.t.Errorf("close network: %v", err)
	}
}

// CheckDisks reads every share file of every server and proves it with the
// cap that it belongs to, if Put has made that one. Shares that Corrupt has
// changed are left out. It is called at the test's end, when nothing runs.
func (g *Grid) CheckDisks() []error {
	var errs []error
	for _, s := range g.Servers {
		for _, f := range s.ShareFiles() {
			if s.corrupted[f.Path] {
				continue
			}
			if err := g.checkShare(f); err != nil {
				errs = append(errs, fmt.Errorf("%s: share %d: %w", s.Name, f.Number, err))
			}
		}
	}
	return errs
}

func (g *Grid) checkShare(f ShareFile) error {
	chk := g.caps[f.Index]
	if chk == nil {
		return nil // of an upload that was not finished, or not by Put
	}
	file, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	dec, err := immutable.NewDecoder(chk)
	if err != nil {
		return err
	}
	share, err := dec.OpenShare(context.Background(), f.Number, diskReader{file})
	if err != nil {
		return err
	}
	for seg := range dec.NumSegments() {
		if _, err := share.Blocks(context.Background(), seg, 1); err != nil {
			return err
		}
	}
	return nil
}

// A diskReader reads a share in its file.
type diskReader struct{ file *os.File }

func (d diskReader) ReadShare(_ context.Context, offset int64, p []byte) (int, error) {
	n, err := d.file.ReadAt(p, dataOffset+offset)
	if err == io.EOF {
		err = nil
	}
	return n, err
}
