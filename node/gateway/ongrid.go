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

func (o *onGrid) Upload(ctx context.Context, src Source, progress func(Progress)) (caps.Cap, error) {
	var opts grid.UploadOptions
	if progress != nil {
		opts.Progress = func(p grid.Progress) { progress(Progress(p)) }
	}
	res, err := o.grid.Upload(ctx, src, opts)
	if err != nil {
		return nil, err
	}
	return res.Cap, nil
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
