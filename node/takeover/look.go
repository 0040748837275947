package takeover

import (
	"context"
	"errors"
	"io"
	"os"

	"lafs/node/store"
	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/immutable"
	"lafs/shares/mutable"
	"lafs/shares/storage"
	"lafs/shares/storage/tail"
)

// open reads a file's container; nil if it is none.
func (r *run) open(f found) (*os.File, *ondisk.Container) {
	file, err := os.Open(f.path)
	if err != nil {
		r.left(f, "it cannot be opened: "+bare(err).Error())
		return nil, nil
	}
	c, err := ondisk.ReadContainer(file, f.size)
	if err != nil {
		file.Close()
		r.left(f, bare(err).Error())
		return nil, nil
	}
	return file, c
}

// judge decides what becomes of a share: nil is nothing, or nothing more.
func (r *run) judge(si caps.StorageIndex, f found, file *os.File, c *ondisk.Container, votes *tail.Held) (*store.Takeover, error) {
	sh := &store.Takeover{Index: si, Number: f.n, Path: f.path, Container: c, Votes: votes}
	alone := votes != nil && votes.Shares[f.n].Size == 0
	if there, err := r.there(c.Kind, si, f, votes != nil); err != nil || there {
		return nil, err
	}
	if r.cfg.Trust || alone {
		return sh, nil
	}
	opens, err := check(r.ctx, sh, file)
	switch {
	case err == nil:
		return sh, nil
	case r.ctx.Err() != nil:
		return nil, r.ctx.Err()
	case corrupt(err) && !opens, errors.Is(err, errUnreadable):
		r.left(f, err.Error())
		if votes != nil {
			votes.Shares[f.n] = tail.HeldShare{} // the votes stand all the same
		}
		return nil, nil
	case corrupt(err):
		r.sum.Damaged++
		r.damaged = append(r.damaged, damage{c.Kind, si, f.n, err.Error()})
		return sh, nil
	}
	// It is of a kind that is not read here, and may be read elsewhere.
	r.sum.Unchecked++
	return sh, nil
}

// there reports whether an earlier run has dealt with a share. voted: there
// are votes on its slot, and not all that lies there is a share that readers
// see.
func (r *run) there(kind storage.Kind, si caps.StorageIndex, f found, voted bool) (bool, error) {
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
	if has && voted {
		r.sum.Before++
	} else if has {
		r.left(f, "the other shares of its slot were taken over before, without it")
	}
	return has, err
}

// check checks the content of a share down from what it says itself.
func check(ctx context.Context, sh *store.Takeover, file *os.File) (opens bool, err error) {
	size := sh.Length
	if sh.Votes != nil {
		size = min(size, sh.Votes.Shares[sh.Number].Size)
	}
	content := content{io.NewSectionReader(file, sh.At, size)}
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
