package takeover

import (
	"context"
	"errors"
	"io"
	"os"

	"lafs/node/store"
	"lafs/shares/caps"
	"lafs/shares/immutable"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// look reads a share file and decides what becomes of it: nil is nothing,
// or nothing more.
func (r *run) look(si caps.StorageIndex, f found) (*store.Takeover, error) {
	file, err := os.Open(f.path)
	if err != nil {
		r.left(f, "it cannot be opened: "+bare(err).Error())
		return nil, nil
	}
	defer file.Close()
	c, err := store.ReadContainer(file, f.size)
	if err != nil {
		r.left(f, bare(err).Error())
		return nil, nil
	}
	if there, err := r.there(c.Kind, si, f); err != nil || there {
		return nil, err
	}
	sh := &store.Takeover{Index: si, Number: f.n, Path: f.path, Container: c}
	if r.cfg.Trust {
		return sh, nil
	}
	opens, err := check(r.ctx, sh, file)
	switch {
	case err == nil:
		return sh, nil
	case r.ctx.Err() != nil:
		return nil, r.ctx.Err()
	case corrupt(err) && !opens:
		r.left(f, err.Error())
		return nil, nil
	case corrupt(err):
		r.sum.Damaged++
		r.damaged = append(r.damaged, damage{c.Kind, si, f.n, err.Error()})
		return sh, nil
	case errors.Is(err, errUnreadable):
		r.left(f, err.Error())
		return nil, nil
	}
	// It is of a kind that is not read here, and may be read elsewhere.
	r.sum.Unchecked++
	return sh, nil
}

// there reports whether an earlier run has dealt with a share.
func (r *run) there(kind storage.Kind, si caps.StorageIndex, f found) (bool, error) {
	if r.cfg.Store == nil {
		return false, nil
	}
	taken, err := r.cfg.Store.Taken(kind, si, f.n)
	if err != nil {
		return false, err
	}
	if taken {
		r.sum.Before++
		return true, nil
	}
	if kind == storage.Immutable {
		return false, nil
	}
	has, err := r.cfg.Store.HasSlot(si)
	if has {
		r.left(f, "the other shares of its slot were taken over before, without it")
	}
	return has, err
}

// check checks the content of a share down from what it says itself.
func check(ctx context.Context, sh *store.Takeover, file *os.File) (opens bool, err error) {
	content := content{io.NewSectionReader(file, sh.At, sh.Length)}
	if sh.Kind == storage.Immutable {
		return immutable.CheckAlone(ctx, int(sh.Number), content)
	}
	_, opens, err = mutable.CheckAlone(ctx, int(sh.Number), content)
	return opens, err
}

func corrupt(err error) bool {
	return errors.Is(err, immutable.ErrCorrupt) || errors.Is(err, mutable.ErrCorrupt)
}

// errUnreadable is a disk that does not give a share back.
var errUnreadable = errors.New("the disk does not give it back")

// A content is the share in a container.
type content struct{ r *io.SectionReader }

// ReadShare implements the readers of both packages.
func (c content) ReadShare(ctx context.Context, offset int64, p []byte) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.ReadAt(p, offset)
	if err != nil && err != io.EOF {
		return n, errUnreadable
	}
	return n, nil
}
