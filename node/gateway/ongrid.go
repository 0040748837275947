package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"syscall"

	"lafs/node/grid"
	"lafs/shares/caps"
)

// OnGrid is the Grid that g is. Inputs are spooled in dir, encrypted.
func OnGrid(g *grid.Grid, dir string) Grid { return &onGrid{g, dir} }

type onGrid struct {
	grid *grid.Grid
	dir  string
}

func (o *onGrid) Spool(r io.Reader) (Source, error) {
	s, err := grid.SpoolSource(r, o.dir)
	if errors.Is(err, syscall.ENOSPC) {
		return nil, refuse(http.StatusInsufficientStorage, "the node's disk has no space left to prepare the file")
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Upload waits for happiness alone where somebody hears of the rest, and else
// for every server.
func (o *onGrid) Upload(ctx context.Context, src Source, progress func(Progress)) (caps.Cap, error) {
	var opts grid.UploadOptions
	rest := make(chan Placement, 1)
	if progress != nil {
		opts.Progress = func(p grid.Progress) {
			progress(Progress{Phase: p.Phase, Done: p.Done, Total: p.Total, Saved: p.Saved})
		}
		opts.Rest = func(res *grid.UploadResult, err error) {
			if err == nil {
				rest <- placementOf(res)
			}
			close(rest)
		}
	}
	res, err := o.grid.Upload(ctx, src, opts)
	if err != nil {
		return nil, err
	}
	if res.Pending > 0 {
		progress(Progress{Phase: "stored", Done: src.Size(), Total: src.Size(), Saved: res.Saved, Rest: rest})
	}
	return res.Cap, nil
}

// placementOf counts where the shares of an upload are.
func placementOf(res *grid.UploadResult) Placement {
	p := Placement{Shares: len(res.Sharemap)}
	servers := make(map[string]bool)
	for _, ids := range res.Sharemap {
		for _, id := range ids {
			servers[id] = true
		}
	}
	if c, ok := res.Cap.(*caps.CHK); ok {
		p.Total = c.Total
	}
	p.Servers = len(servers)
	return p
}

func (o *onGrid) Open(ctx context.Context, c caps.Cap) (File, error) {
	f, err := o.grid.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	return onFile{f}, nil
}

type onFile struct{ *grid.File }

func (f onFile) Copy(ctx context.Context, w io.Writer, offset, length int64) error {
	return f.File.Copy(ctx, w, offset, length, nil)
}
