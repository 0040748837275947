package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"lafs/onion"
	"lafs/onion/local"
	"lafs/onion/mux"
	"lafs/onion/tor"
	"lafs/onion/tornet"
	"lafs/scripts/realgrid"
)

const (
	servers = 5
	needed  = 3
	total   = 5
)

// A bench is everything that runs while it measures.
type bench struct {
	options
	dir    string
	lafs   string
	grid   *realgrid.Grid
	plain  *plain
	client http.RoundTripper
	report *report
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "lafs-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	network, err := tornet.Start(ctx, tornet.Config{Dir: filepath.Join(dir, "net"), Delay: o.delay, Clients: 2})
	if err != nil {
		return err
	}
	defer network.Close()
	b := &bench{options: o, dir: dir}
	service, client, err := b.attach(ctx, network)
	if err != nil {
		return err
	}
	defer service.Close()
	defer client.Close()
	b.plain, err = startPlain(ctx, service, client, servers)
	defer b.plain.stop()
	if err != nil {
		return err
	}
	if err := b.plain.open(ctx, 1); err != nil {
		return err
	}
	trips, err := b.plain.trip(15)
	if err != nil {
		return err
	}
	b.report = newReport(o.json, trips.median())
	if b.lafs, err = realgrid.Build(ctx, dir); err != nil {
		return err
	}
	nets := network.Clients()
	b.grid, err = realgrid.Start(ctx, realgrid.Options{Dir: dir, Lafs: b.lafs, Servers: servers, Clients: 1,
		ServiceTor: "control=" + nets[0].Control, ClientTor: "control=" + nets[1].Control,
		Needed: needed, Happy: total, Total: total})
	if err != nil {
		return err
	}
	defer b.grid.Close()
	if err := b.rows(ctx); err != nil {
		return err
	}
	return b.report.flush()
}

// attach opens our own connections to the tors that carry the grid.
func (b *bench) attach(ctx context.Context, network *tornet.Net) (service, client *tor.Tor, err error) {
	open := func(i int) (*tor.Tor, error) {
		mode, err := tor.ParseMode("control=" + network.Clients()[i].Control)
		if err != nil {
			return nil, err
		}
		return tor.Start(ctx, tor.Config{Mode: mode, DataDir: filepath.Join(b.dir, fmt.Sprintf("tor%d", i))})
	}
	if service, err = open(0); err != nil {
		return nil, nil, err
	}
	if client, err = open(1); err != nil {
		service.Close()
		return nil, nil, err
	}
	return service, client, nil
}

func (b *bench) rows(ctx context.Context) error {
	if err := b.cliStart(ctx); err != nil {
		return err
	}
	b.client = local.UnixClient(filepath.Join(b.grid.Clients[0].Dir, "private", "gateway.sock"))
	first, err := b.put(ctx, content(1<<10))
	if err != nil {
		return err
	}
	if err := b.coldStart(ctx, first); err != nil {
		return err
	}
	for _, size := range []struct {
		name  string
		bytes int64
	}{{"1 KiB", 1 << 10}, {"1 MiB", 1 << 20}, {"10 MiB", 10 << 20}} {
		if err := b.putAndGet(ctx, size.name, size.bytes); err != nil {
			return err
		}
	}
	return nil
}

// cliStart measures what every command costs before it does anything, and
// the one that asks the running node.
func (b *bench) cliStart(ctx context.Context) error {
	times, err := measure(b.runs, func() error { return exec.CommandContext(ctx, b.lafs, "--version").Run() })
	if err != nil {
		return err
	}
	if err := b.report.add(row{operation: "CLI: lafs --version", times: times}); err != nil {
		return err
	}
	times, err = measure(b.runs, func() error {
		_, err := b.grid.Clients[0].Lafs(ctx, nil, "status", "--json")
		return err
	})
	if err != nil {
		return err
	}
	return b.report.add(row{operation: "CLI: lafs status", times: times})
}

// coldStart measures from starting a client's node, with a tor that is
// connected, to the first byte of a small file; and beside it what a bare
// connection to one service and one trip take.
func (b *bench) coldStart(ctx context.Context, cap string) error {
	node := b.grid.Clients[0]
	var times, bare sample
	for range b.runs {
		node.Stop()
		start := time.Now()
		if err := node.Start(ctx); err != nil {
			return err
		}
		if err := b.getUntil(ctx, cap, 30*time.Second); err != nil {
			return err
		}
		times = append(times, time.Since(start))

		start = time.Now()
		c, err := b.plain.client.Dial(ctx, b.plain.addrs[0], onion.NewLane())
		if err != nil {
			return err
		}
		err = exchange(c, 1, 1)
		bare = append(bare, time.Since(start))
		c.Close()
		if err != nil {
			return err
		}
	}
	return b.report.add(row{operation: "cold start to first byte", times: times, limit: bare, streams: 1})
}

func (b *bench) putAndGet(ctx context.Context, name string, size int64) error {
	var caps []string
	upload := func() error {
		cap, err := b.put(ctx, content(size))
		caps = append(caps, cap)
		return err
	}
	// The first opens the lanes and is not measured: these rows are warm.
	if err := upload(); err != nil {
		return err
	}
	puts, err := measure(b.runs, upload)
	if err != nil {
		return err
	}
	if _, err := b.get(ctx, caps[0]); err != nil {
		return err
	}
	i := 0
	gets, err := measure(b.runs, func() error {
		i++
		n, err := b.get(ctx, caps[i])
		if err == nil && n != size {
			err = fmt.Errorf("got %d bytes of %d", n, size)
		}
		return err
	})
	if err != nil {
		return err
	}
	put, get := row{operation: "put " + name, times: puts, bytes: size}, row{operation: "get " + name, times: gets, bytes: size}
	if size >= 1<<20 {
		lanes := mux.DefaultBulkLanes
		if put.limit, err = b.limit(ctx, servers, lanes, size/needed, 0); err != nil {
			return err
		}
		if get.limit, err = b.limit(ctx, needed, lanes, 0, size/needed); err != nil {
			return err
		}
		put.streams, get.streams = servers*lanes, needed*lanes
	}
	return errors.Join(b.report.add(put), b.report.add(get))
}

// limit measures plain streams, after a run that warms their windows.
func (b *bench) limit(ctx context.Context, n, lanes int, up, down int64) (sample, error) {
	if err := b.plain.open(ctx, lanes); err != nil {
		return nil, err
	}
	if err := b.plain.move(n, lanes, up, down); err != nil {
		return nil, err
	}
	return measure(b.runs, func() error { return b.plain.move(n, lanes, up, down) })
}

// content is new for each call: what is on the grid already is not sent.
func content(size int64) []byte {
	b := make([]byte, size)
	rand.Read(b)
	return b
}

func (b *bench) put(ctx context.Context, data []byte) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://lafs/uri", bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	answer, err := b.do(req)
	return string(answer), err
}

func (b *bench) get(ctx context.Context, cap string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://lafs/uri/"+cap, nil)
	if err != nil {
		return 0, err
	}
	data, err := b.do(req)
	return int64(len(data)), err
}

// getUntil repeats a get until it succeeds: a node that has just started may
// still be learning its servers.
func (b *bench) getUntil(ctx context.Context, cap string, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		_, err := b.get(ctx, cap)
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

func (b *bench) do(req *http.Request) ([]byte, error) {
	resp, err := b.client.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("the gateway answered %s: %s", resp.Status, data)
	}
	return data, err
}
