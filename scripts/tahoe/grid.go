package tahoe

import (
	"context"
	"fmt"
	"path/filepath"
)

// A Grid is storage servers of Tahoe-LAFS, each an onion service, and one
// client that knows them.
type Grid struct {
	Servers []*Server
	Client  *Client
}

// GridOptions say what grid to run.
type GridOptions struct {
	// Program is tahoe (Find), Dir the directory to make.
	Program, Dir string
	Servers      int
	// ServerControls are the control ports of the tors that carry the servers,
	// in turns.
	ServerControls []string
	// Client says what client; Program, Dir and Servers are filled in.
	Client ClientOptions
}

// StartGrid makes the nodes and runs them, and returns when the client's web
// API is there. On an error nothing runs.
func StartGrid(ctx context.Context, o GridOptions) (*Grid, error) {
	g := &Grid{}
	if err := g.start(ctx, o); err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

func (g *Grid) start(ctx context.Context, o GridOptions) error {
	for i := range o.Servers {
		s, err := NewServer(ServerOptions{Program: o.Program, Dir: filepath.Join(o.Dir, fmt.Sprintf("server%d", i)), Control: o.ServerControls[i%len(o.ServerControls)]})
		if err != nil {
			return err
		}
		g.Servers = append(g.Servers, s)
	}
	if err := StartAll(ctx, g.Servers); err != nil {
		return err
	}
	var files [][]byte
	for _, s := range g.Servers {
		text, err := s.ServersYAML()
		if err != nil {
			return err
		}
		files = append(files, text)
	}
	list, err := Merge(files...)
	if err != nil {
		return err
	}
	o.Client.Program, o.Client.Dir, o.Client.Servers = o.Program, filepath.Join(o.Dir, "client"), list
	if g.Client, err = NewClient(o.Client); err != nil {
		return err
	}
	return g.Client.Start(ctx)
}

// Close kills every node.
func (g *Grid) Close() {
	for _, s := range g.Servers {
		s.Kill()
	}
	if g.Client != nil {
		g.Client.Kill()
	}
}
