package grid

import (
	"context"
	"errors"
	"io"

	"lafs/shares/immutable"
	"lafs/shares/placement"
)

// errNoRoom is a repair that found no place for a share.
var errNoRoom = errors.New("the storage servers that answered do not take all of the missing shares; try again when more of them are up")

// repair makes the missing shares again and sends them where they raise the
// happiness most. It needs no read key: ciphertext is read from the good
// shares and encoded again, which gives the same shares.
//
// A corrupt share stays where it is, since nobody can overwrite it: the new
// one goes to another server.
func (s *search) repair(ctx context.Context, before *CheckResult) (*RepairResult, error) {
	res := &RepairResult{After: before}
	u := s.newRepair()
	if before.Healthy && sends(u.plan()) == 0 {
		return res, nil
	}
	res.Attempted = true
	if !before.Recoverable {
		res.Err = s.notEnough()
		return res, nil
	}
	err := s.sendAgain(ctx, u)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	res.After = s.result()
	res.After.Sharemap = make(map[int][]string)
	for n, cands := range u.held() {
		for _, c := range cands {
			res.After.Sharemap[n] = append(res.After.Sharemap[n], c.server.ID)
		}
	}
	res.After.count()
	res.Successful = err == nil && res.After.Healthy
	if err == nil && !res.Successful {
		err = errNoRoom
	}
	res.Err = repairError(err)
	return res, nil
}

// repairError leaves out what only an upload's errors should say.
func repairError(err error) error {
	if few, ok := errors.AsType[*NotEnoughSharesError](err); ok {
		return few
	}
	if errors.Is(err, ErrDamaged) || errors.Is(err, immutable.ErrCorrupt) {
		return ErrDamaged
	}
	return err
}

// newRepair is an upload of what a check has found to be missing.
func (s *search) newRepair() *upload {
	opts := UploadOptions{Needed: s.cap.Needed, Total: s.cap.Total, Happy: min(s.g.cfg.Happy, s.cap.Total), Progress: func(Progress) {}}
	u := &upload{g: s.g, opts: opts, si: s.si, repairs: true}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.holders {
		c := s.g.newCandidate(s.si, h.server)
		c.answered = true
		if !h.answered || h.failures >= readFailures {
			c.failures, c.lastErr, c.open = giveUpAfter, h.err, false
		}
		u.cands = append(u.cands, c)
	}
	u.asked = len(u.cands)
	for _, r := range s.shares {
		if c := u.cands[s.place(r.h)]; c.failures < giveUpAfter {
			c.has[r.n] = true
		}
	}
	s.takeOut(u)
	return u
}

// place is the number of a server in permuted order. The caller holds mu.
func (s *search) place(h *holder) int {
	for i := range s.holders {
		if s.holders[i] == h {
			return i
		}
	}
	panic("grid: a share at no server")
}

// takeOut takes bad shares out of what a repair counts on. The caller holds
// mu.
func (s *search) takeOut(u *upload) {
	for _, r := range s.shares {
		c := u.cands[s.place(r.h)]
		if r.bad {
			delete(c.has, r.n)
		}
		if r.corrupt {
			c.not[r.n] = true
		}
	}
}

// sendAgain encodes the file anew and sends what is missing, until there is
// nothing to send. One repair at a time: it holds memory for a download while
// it waits for that of an upload.
func (s *search) sendAgain(ctx context.Context, u *upload) error {
	select {
	case s.g.repairs <- struct{}{}:
		defer func() { <-s.g.repairs }()
	case <-ctx.Done():
		return ctx.Err()
	}
	unlock, err := s.g.lockUpload(ctx, s.si)
	if err != nil {
		return err
	}
	defer u.abandonRest(unlock)
	if err := s.openFirst(ctx); err != nil {
		return err
	}
	for {
		s.mu.Lock()
		s.takeOut(u)
		s.mu.Unlock()
		enc, err := s.dec.NewEncoder()
		if err != nil {
			return err
		}
		u.src, u.shareSize = &ciphertext{ctx, s}, enc.ShareSize()
		lay, err := u.place(ctx)
		if err != nil {
			return err
		}
		if sends(lay) == 0 {
			return nil
		}
		if _, err := u.push(ctx, enc, lay); err != nil {
			return err
		}
	}
}

// sends counts the shares that a layout sends.
func sends(lay placement.Layout) int {
	n := 0
	for _, s := range lay.Send {
		n += len(s)
	}
	return n
}

// ciphertext is the Source of a repair: the file as the shares have it.
type ciphertext struct {
	ctx context.Context // of the repair
	s   *search
}

// Size implements Source: encryption adds nothing.
func (c *ciphertext) Size() int64 { return c.s.cap.Size }

// Open implements Source. The search reads ahead of the reader, within its
// part of the memory.
func (c *ciphertext) Open() (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(c.ctx)
	r, w := io.Pipe()
	reading := &cipherReader{PipeReader: r, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(reading.done)
		w.CloseWithError(c.s.copy(ctx, w, 0, c.s.cap.Size, func(Progress) {}))
	}()
	return reading, nil
}

// A cipherReader reads what its own goroutine downloads.
type cipherReader struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

// Close ends the download and waits for it.
func (r *cipherReader) Close() error {
	r.cancel()
	err := r.PipeReader.Close()
	<-r.done
	return err
}
