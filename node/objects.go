package node

import (
	"bytes"
	"context"
	"errors"
	"io"

	"lafs/node/dirnode"
	"lafs/node/grid"
	"lafs/node/update"
	"lafs/shares/caps"
	"lafs/shares/mutable"
)

// maxWhole bounds an immutable object that is read whole, as directories
// are, in bytes.
const maxWhole = 256 << 20

// Objects reads and changes objects of all kinds by their caps: immutable
// ones with a grid, mutable ones with an update engine, which it closes
// neither of. It implements dirnode.Objects and gateway.Mutables. All methods
// may be called at once.
type Objects struct {
	grid   *grid.Grid
	engine *update.Engine
}

// NewObjects joins the two.
func NewObjects(g *grid.Grid, e *update.Engine) *Objects { return &Objects{g, e} }

var errTooLarge = errors.New("the object is too large to be read at once")

// Read returns the whole content of a file.
func (o *Objects) Read(ctx context.Context, c caps.Cap) ([]byte, error) {
	switch c.(type) {
	case *caps.MutableReader, *caps.MutableWriter:
		content, err := o.engine.Read(ctx, c)
		return content.Data, err
	}
	f, err := o.grid.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size() > maxWhole {
		return nil, errTooLarge
	}
	var out bytes.Buffer
	if err := f.Copy(ctx, &out, 0, f.Size(), nil); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// ReadRange returns a part of a mutable file, and its size.
func (o *Objects) ReadRange(ctx context.Context, c caps.Cap, offset, length int64) ([]byte, int64, error) {
	return o.engine.ReadRange(ctx, c, offset, length)
}

// Modify changes a mutable object. Once it has succeeded no later version is
// without the change.
func (o *Objects) Modify(ctx context.Context, w *caps.MutableWriter, change func(base []byte) ([]byte, error)) error {
	return o.engine.Modify(ctx, w, change)
}

// Create makes a mutable object.
func (o *Objects) Create(ctx context.Context, opts dirnode.CreateOptions, content func(w *caps.MutableWriter) ([]byte, error)) (*caps.MutableWriter, error) {
	format := mutable.SDMF
	if opts.MDMF {
		format = mutable.MDMF
	}
	return o.engine.CreateWith(ctx, update.CreateOptions{Format: &format, Key: opts.Key}, content)
}

// Put stores an immutable object: a *caps.CHK, or a *caps.LIT if it is small.
func (o *Objects) Put(ctx context.Context, content []byte) (caps.Cap, error) {
	res, err := o.grid.Upload(ctx, inMemory(content), grid.UploadOptions{})
	if err != nil {
		return nil, err
	}
	return res.Cap, nil
}

// inMemory is a source of bytes that are at hand.
type inMemory []byte

func (m inMemory) Size() int64                  { return int64(len(m)) }
func (m inMemory) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m)), nil }
