package store

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"

	"lafs/node/durable"
	"lafs/node/store/ondisk"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// readTestWrite is ReadTestWrite for one authority.
func (s *Store) readTestWrite(ctx context.Context, who Authority, si caps.StorageIndex, enabler *storage.WriteEnabler, lease *storage.LeaseSecrets,
	writes map[storage.ShareNumber]storage.TestWrite, spans []storage.Span) (success bool, data map[storage.ShareNumber][][]byte, err error) {
	if err := ctx.Err(); err != nil {
		return false, nil, err
	}
	if enabler == nil || lease == nil {
		return false, nil, storage.ErrBadRequest
	}
	if err := validWrites(writes, spans); err != nil {
		return false, nil, err
	}
	defer s.slots.lock(si)()
	r, err := s.voter(si)
	if err != nil {
		return false, nil, err
	}
	var visible ondisk.Shares
	if r != nil {
		if !r.Allows(enabler) {
			return false, nil, storage.ErrUnauthorized
		}
		visible = r.Visible()
	}
	if data, err = s.readSpans(si, visible, spans); err != nil {
		return false, nil, err
	}
	for n, w := range writes {
		pass, err := s.test(si, n, visible, w.Tests)
		if err != nil || !pass {
			return false, data, err
		}
	}
	if err := s.patch(ctx, r, s.blank(who, si, enabler), writes, lease); ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return false, nil, err
	} else if err != nil {
		return false, nil, s.slotFault(err)
	}
	return true, data, nil
}

func validWrites(writes map[storage.ShareNumber]storage.TestWrite, spans []storage.Span) error {
	bad := func(s storage.Span) bool { return s.Offset < 0 || s.Size < 0 }
	for _, s := range spans {
		if bad(s) {
			return storage.ErrBadRequest
		}
	}
	for _, w := range writes {
		for _, t := range w.Tests {
			if bad(t.Span) {
				return storage.ErrBadRequest
			}
		}
		for _, p := range w.Patches {
			if p.Offset < 0 {
				return storage.ErrBadRequest
			}
			if p.Offset > ondisk.MaxShareSize-int64(len(p.Data)) {
				return storage.ErrTooLarge
			}
		}
		if w.NewLength != nil && *w.NewLength < 0 {
			return storage.ErrBadRequest
		}
	}
	return nil
}

// readSpans reads the spans of every share that is whole.
func (s *Store) readSpans(si caps.StorageIndex, set ondisk.Shares, spans []storage.Span) (map[storage.ShareNumber][][]byte, error) {
	var total int64
	out := map[storage.ShareNumber][][]byte{}
	for n, ref := range set {
		parts := make([][]byte, len(spans))
		for i, span := range spans {
			size := max(0, min(span.Size, ref.Length-span.Offset))
			if total += size; total > storage.MaxSlotRead {
				return nil, storage.ErrTooLarge
			}
			parts[i] = make([]byte, size)
		}
		f, err := s.openRef(si, n, ref)
		if errors.Is(err, ondisk.ErrHeader) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for i, span := range spans {
			if len(parts[i]) == 0 {
				continue
			}
			if _, err := f.ReadAt(parts[i], span.Offset); err != nil {
				f.Close()
				return nil, s.fault("read a share", err)
			}
		}
		f.Close()
		out[n] = parts
	}
	return out, nil
}

// test says whether a share passes; one that is not there has no bytes.
func (s *Store) test(si caps.StorageIndex, n storage.ShareNumber, set ondisk.Shares, tests []storage.Test) (bool, error) {
	if len(tests) == 0 {
		return true, nil
	}
	ref, ok := set[n]
	var f *ondisk.Share
	if ok {
		var err error
		if f, err = s.openRef(si, n, ref); err != nil && !errors.Is(err, ondisk.ErrHeader) {
			return false, err
		} else if err != nil {
			ref, f = ondisk.Ref{}, nil
		} else {
			defer f.Close()
		}
	}
	for _, t := range tests {
		size := max(0, min(t.Size, ref.Length-t.Offset))
		if size != int64(len(t.Specimen)) {
			return false, nil
		}
		got := make([]byte, size)
		if size > 0 {
			if _, err := f.ReadAt(got, t.Offset); err != nil {
				return false, s.fault("read a share", err)
			}
		}
		if string(got) != string(t.Specimen) {
			return false, nil
		}
	}
	return true, nil
}

// patch carries out the writes of a request that passed its tests. What was
// voted for stays beside what is written here.
func (s *Store) patch(ctx context.Context, old *ondisk.Record, blank ondisk.Record, writes map[storage.ShareNumber]storage.TestWrite, lease *storage.LeaseSecrets) error {
	c := s.begin(old, blank)
	defer c.end()
	r := c.next
	before := r.Visible()
	r.Foreign = maps.Clone(before)
	if r.Foreign == nil {
		r.Foreign = ondisk.Shares{}
	}
	for n, w := range writes {
		if err := c.patchShare(ctx, n, w); err != nil {
			return err
		}
	}
	if len(r.Foreign) == 0 {
		lease = nil
	}
	if maps.Equal(before, r.Foreign) {
		if lease == nil {
			return nil
		}
		return s.index.renewLease(r.Index, ondisk.HashLease(lease), s.cfg.Now())
	}
	r.IsForeign, r.Seen = true, false
	if err := c.commit(lease); err != nil {
		return err
	}
	if len(r.Foreign) == 0 && r.State == (agree.State{}) {
		return s.removeSlot(r)
	}
	return nil
}

// maxGap is how far beyond a share's end a request may write that does not
// bring what lies between: Tahoe-LAFS's clients leave a few KiB. A share is
// copied for each request that patches it, and one of zeros alone would cost
// its writer nothing, and this server its length each time.
const maxGap = 1 << 20

// patchShare writes the share that n is after w. It ends with ctx.
func (c *change) patchShare(ctx context.Context, n storage.ShareNumber, w storage.TestWrite) error {
	set := c.next.Foreign
	if w.NewLength != nil && *w.NewLength == 0 {
		delete(set, n)
		return nil
	}
	ref, there := set[n]
	// peak is what the share has before it is cut.
	peak, brought := ref.Length, int64(0)
	for _, p := range w.Patches {
		peak = max(peak, p.Offset+int64(len(p.Data)))
		brought += int64(len(p.Data))
	}
	if peak > ref.Length+brought+maxGap {
		return storage.ErrNoSpace
	}
	length := peak
	if w.NewLength != nil {
		length = min(length, *w.NewLength)
	}
	if there && len(w.Patches) == 0 && length == ref.Length {
		return nil
	}
	var from *ondisk.Share
	if there {
		var err error
		// Of a share that is broken nobody has read the bytes that stay.
		if from, err = c.s.openRef(c.next.Index, n, ref); err != nil && !errors.Is(err, ondisk.ErrHeader) {
			return err
		} else if err == nil {
			defer from.Close()
		}
	}
	err := c.writeFile(n, c.next.Step, length, func(f file) error {
		if from != nil {
			old := during{ctx, io.NewSectionReader(from, 0, min(ref.Length, length))}
			if _, err := io.Copy(io.NewOffsetWriter(f, ondisk.HeaderSize), old); err != nil {
				return err
			}
		}
		for _, p := range w.Patches {
			data := p.Data[:max(0, min(int64(len(p.Data)), length-p.Offset))]
			if _, err := f.WriteAt(data, ondisk.HeaderSize+p.Offset); err != nil {
				return err
			}
		}
		return f.Truncate(ondisk.HeaderSize + length)
	})
	set[n] = ondisk.Ref{Step: c.next.Step, Length: length}
	return err
}

// A during is a reader that ends with a context: copying a long share takes
// a while, and who asked for it may be gone.
type during struct {
	ctx context.Context
	r   io.Reader
}

func (d during) Read(p []byte) (int, error) {
	if err := d.ctx.Err(); err != nil {
		return 0, err
	}
	return d.r.Read(p)
}

// removeSlot forgets a slot that holds nothing and promised nothing.
func (s *Store) removeSlot(r *ondisk.Record) error {
	// The index first: what it knows and has no record is lost.
	if err := s.index.dropSlot(r.Index); err != nil {
		return err
	}
	s.mu.Lock()
	s.account(r.Who).Disk -= totalsOf(r).disk
	delete(s.touched, r.Index)
	s.mu.Unlock()
	dir := s.slotDir(r.Index)
	// The shares are gone for good before the record is: files of later steps
	// without one are those of a slot that lost it, see hadRecord.
	if err := durable.SyncDir(dir); err != nil {
		return err
	}
	if err := os.Remove(s.recordPath(r.Index)); err != nil {
		return err
	}
	if err := durable.SyncDir(dir); err != nil {
		return err
	}
	s.index.carriedOut(r.Index[:])
	if err := os.Remove(dir); err != nil {
		return err
	}
	day := fileDay(s.cfg.Now())
	return os.Chtimes(filepath.Dir(dir), day, day)
}
