package takeover

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"

	"lafs/node/store"
	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/tail"
)

// A member is one container of a slot.
type member struct {
	found
	file *os.File
	*ondisk.Container
}

// A slot is the containers of one slot, as a server on which package tail
// reads.
type slot []member

func (s slot) close() {
	for _, m := range s {
		m.file.Close()
	}
}

// Shares implements tail.Server.
func (s slot) Shares(context.Context, storage.Kind, caps.StorageIndex) (out []storage.ShareNumber, err error) {
	for _, m := range s {
		out = append(out, m.n)
	}
	return out, nil
}

// Read implements tail.Server.
func (s slot) Read(ctx context.Context, _ storage.Kind, _ caps.StorageIndex, n storage.ShareNumber, offset int64, p []byte) (int, error) {
	i := slices.IndexFunc(s, func(m member) bool { return m.n == n })
	if i < 0 {
		return 0, storage.ErrNotFound
	}
	if offset < 0 || offset >= s[i].Length {
		return 0, nil
	}
	return content{io.NewSectionReader(s[i].file, s[i].At, s[i].Length)}.ReadShare(ctx, offset, p)
}

// ReadTestWrite implements tail.Server: nothing is written here.
func (slot) ReadTestWrite(context.Context, caps.StorageIndex, *storage.WriteEnabler, *storage.LeaseSecrets,
	map[storage.ShareNumber]storage.TestWrite, []storage.Span) (bool, map[storage.ShareNumber][][]byte, error) {
	return false, nil, storage.ErrUnauthorized
}

// slot deals with the shares of one slot. Behind them may lie what lafs
// clients voted for, and the share that each replaced: that is taken over
// with them, or what was acknowledged on the strength of it could be undone.
func (r *run) slot(si caps.StorageIndex, s slot) error {
	votes, err := tail.Look(r.ctx, s, si)
	switch {
	case r.ctx.Err() != nil:
		return r.ctx.Err()
	case err != nil:
		why := "what lafs clients keep behind the shares of its slot can not be read"
		if errors.Is(err, storage.ErrStateLost) {
			why = "beside it lie votes of lafs clients and a share of a kind that this lafs does not know: use a newer one"
		}
		for _, m := range s {
			r.left(m.found, why)
		}
		return nil
	}
	var taken []store.Takeover
	for _, m := range s {
		sh, err := r.judge(si, m.found, m.file, m.Container, votes)
		if err != nil {
			return err
		}
		if sh != nil {
			taken = append(taken, *sh)
		}
	}
	if len(taken) == 0 {
		return r.bare(si, s, votes)
	}
	foreign := true
	for _, sh := range taken {
		r.add(sh)
		foreign = foreign && sh.NodeID != r.cfg.TubID
	}
	switch {
	case foreign:
		r.sum.Foreign++
	case votes != nil:
		r.sum.Votes++
	}
	return nil
}

// bare takes the votes of a slot none of whose shares can be taken.
func (r *run) bare(si caps.StorageIndex, s slot, votes *tail.Held) error {
	if votes == nil || r.cfg.Store == nil {
		return nil
	}
	has, err := r.cfg.Store.HasSlot(si)
	if err == nil && !has {
		r.batch = append(r.batch, store.Takeover{Index: si, Number: s[0].n, Path: s[0].path, Container: s[0].Container, Votes: votes})
	}
	return err
}
