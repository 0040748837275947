// Package realgrid runs a whole grid as a person would: lafs processes, one
// a node, over a private Tor network of real tor processes. The tests of
// this folder and the benchmark use it.
package realgrid

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"golang.org/x/sync/errgroup"

	"lafs/scripts/daemon"
)

// Options say what grid to run.
type Options struct {
	// Dir is an empty folder for the nodes; it is the caller's to remove.
	Dir string
	// Lafs is the program.
	Lafs string
	// ServiceTors are --tor modes of the servers, in turns; the introducer has
	// the first. ClientTor is that of the clients.
	ServiceTors          []string
	ClientTor            string
	Servers, Clients     int
	Needed, Happy, Total int
}

// A Grid is an introducer, storage servers and clients, all running.
type Grid struct {
	Introducer *Process
	Servers    []*Process
	Clients    []*Process
}

// Build makes lafs as it is shipped, without cgo, and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "lafs")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, "lafs/cmd/lafs")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build lafs: %w\n%s", err, out)
	}
	return path, nil
}

// Start creates the nodes and runs them. On an error nothing runs.
func Start(ctx context.Context, o Options) (*Grid, error) {
	g := &Grid{Introducer: &Process{Dir: filepath.Join(o.Dir, "introducer"), lafs: o.Lafs}}
	if _, err := runLafs(ctx, o.Lafs, g.Introducer.Dir, nil, "create-introducer", "--tor", o.ServiceTors[0]); err != nil {
		return nil, err
	}
	forServers := filepath.Join(g.Introducer.Dir, "private", "introducer.furl")
	forClients := filepath.Join(g.Introducer.Dir, "private", "subscriber.furl")
	shares := []string{"--shares-needed", strconv.Itoa(o.Needed), "--shares-happy", strconv.Itoa(o.Happy), "--shares-total", strconv.Itoa(o.Total)}
	for i := range o.Servers {
		p := &Process{Dir: filepath.Join(o.Dir, fmt.Sprintf("server%d", i)), lafs: o.Lafs}
		tor := o.ServiceTors[i%len(o.ServiceTors)]
		if _, err := runLafs(ctx, o.Lafs, p.Dir, nil, "create-node", "--tor", tor,
			"--nickname", fmt.Sprintf("server%d", i), "--introducer-file", forServers, "--webport", "none"); err != nil {
			return nil, err
		}
		g.Servers = append(g.Servers, p)
	}
	for i := range o.Clients {
		p := &Process{Dir: filepath.Join(o.Dir, fmt.Sprintf("client%d", i)), lafs: o.Lafs}
		args := append([]string{"create-client", "--tor", o.ClientTor, "--introducer-file", forClients, "--webport", "none"}, shares...)
		if _, err := runLafs(ctx, o.Lafs, p.Dir, nil, args...); err != nil {
			return nil, err
		}
		g.Clients = append(g.Clients, p)
	}
	err := g.startAll(ctx)
	for _, p := range g.Clients {
		if err == nil {
			err = p.AwaitServers(ctx, o.Servers)
		}
	}
	if err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

// AwaitServers returns when the node knows so many storage servers.
func (p *Process) AwaitServers(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, daemon.StartTimeout)
	defer cancel()
	for {
		out, err := p.Lafs(ctx, nil, "status", "--json")
		if err != nil {
			return err
		}
		var status struct{ Servers []struct{} }
		if err := json.Unmarshal(out, &status); err != nil {
			return fmt.Errorf("read the node's status: %w", err)
		}
		if len(status.Servers) >= n {
			return nil
		}
	}
}

func (g *Grid) startAll(ctx context.Context) error {
	if err := g.Introducer.Start(ctx); err != nil {
		return fmt.Errorf("introducer: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range append(append([]*Process(nil), g.Servers...), g.Clients...) {
		group.Go(func() error {
			if err := p.Start(ctx); err != nil {
				return fmt.Errorf("%s: %w", filepath.Base(p.Dir), err)
			}
			return nil
		})
	}
	return group.Wait()
}

// Close kills every node.
func (g *Grid) Close() {
	for _, p := range append(append([]*Process{g.Introducer}, g.Servers...), g.Clients...) {
		p.Kill()
	}
}
