package grid

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"lafs/shares/caps"
	"lafs/shares/immutable"
	"lafs/shares/placement"
	"lafs/shares/storage"
)

// ErrNotImmutable is a cap that names something else than an immutable file
// or directory.
var ErrNotImmutable = errors.New("the cap does not name an immutable file or directory")

// CheckOptions say what a check does beyond asking who holds which shares.
type CheckOptions struct {
	// Verify reads every share whole and checks every hash of it.
	Verify bool
	// Repair makes missing shares again and spreads them, if the file is not
	// healthy, or if it sits on fewer servers than happy asks for while
	// others are there.
	Repair bool
	// AddLease renews our lease wherever shares of the file are.
	AddLease bool
}

// A CorruptShare is a share whose bytes are wrong.
type CorruptShare struct {
	// ServerID is the server that holds it, "v0-...".
	ServerID string
	Index    caps.StorageIndex
	Number   int
}

// A CheckResult is what a check found: the words are those of Tahoe-LAFS's
// check results (TAHOE.md). Numbers count different shares but where they say
// otherwise.
type CheckResult struct {
	// Index is where the shares are. Meaningless if Literal.
	Index caps.StorageIndex
	// Literal is a file that is its own cap: always healthy, and all else is
	// zero.
	Literal bool
	// Summary says it in a line.
	Summary string
	// Healthy: all of the file's shares are there. Recoverable: enough are.
	Healthy, Recoverable bool
	// Happiness is how many servers hold different good shares.
	Happiness int
	// Good shares there are, Needed are k and Expected are N.
	Good, Needed, Expected int
	// GoodHosts counts servers that hold a good share.
	GoodHosts int
	// Wrong counts shares of other versions: never any of an immutable file.
	Wrong int
	// Recoverable and Unrecoverable versions: 1 and 0, or 0 and 1.
	RecoverableVersions, UnrecoverableVersions int
	// Corrupt lists the shares that were found to be, by server and number.
	Corrupt []CorruptShare
	// Responding lists the ids of the servers that answered, in permuted
	// order.
	Responding []string
	// Sharemap lists, for each good share, the ids of the servers with it.
	Sharemap map[int][]string
	// Repair is nil unless CheckOptions asked for it.
	Repair *RepairResult
}

// A RepairResult is what became of a repair. What was found before it is the
// CheckResult that it belongs to.
type RepairResult struct {
	// Attempted is false where nothing was to be repaired.
	Attempted bool
	// Successful: it was attempted, and the file is healthy now.
	Successful bool
	// After is what is known after it: no share was read again. It is the
	// result before if nothing was attempted.
	After *CheckResult
	// Err is why an attempt failed, nil if it did not:
	// *NotEnoughSharesError, ErrDamaged.
	Err error
}

// Check finds out how an immutable file stands, with its read or verify cap
// or that of a directory over it. Without Verify it asks every known server
// once, all at once, and believes what they say; leases go with the
// questions. With Verify it reads every share, from many servers at once, in
// bounded memory. Corrupt shares are reported to their servers. Nothing is
// ever decrypted.
//
// A file that can not be recovered is a result, not an error. Errors:
// ErrNotImmutable, the context's.
func (g *Grid) Check(ctx context.Context, c caps.Cap, opts CheckOptions) (*CheckResult, error) {
	if dir, ok := c.(*caps.Directory); ok {
		c = dir.File()
	}
	switch c := c.(type) {
	case *caps.LIT:
		return literalResult(opts), nil
	case *caps.CHK:
		return g.check(ctx, c.Verifier().(*caps.CHKVerifier), opts)
	case *caps.CHKVerifier:
		return g.check(ctx, c, opts)
	}
	return nil, ErrNotImmutable
}

func literalResult(opts CheckOptions) *CheckResult {
	res := &CheckResult{Literal: true, Healthy: true, Recoverable: true, Summary: "Healthy (LIT)", Sharemap: map[int][]string{}}
	if opts.Repair {
		res.Repair = &RepairResult{After: res}
	}
	return res
}

func (g *Grid) check(ctx context.Context, c *caps.CHKVerifier, opts CheckOptions) (*CheckResult, error) {
	dec, err := immutable.NewVerifier(c)
	if err != nil {
		return nil, err
	}
	s := g.newSearch(c, dec)
	defer s.close()
	s.start(0, 0)
	if opts.AddLease {
		s.addLeases()
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	if opts.Verify {
		if err := s.verify(ctx); err != nil {
			return nil, err
		}
	}
	res := s.result()
	if opts.Repair {
		res.Repair, err = s.repair(ctx, res)
	}
	return res, err
}

// addLeases renews our lease at all servers, at the same time as they are
// asked what they hold. Those that hold nothing say so.
func (s *search) addLeases() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending += len(s.holders)
	for _, h := range s.holders {
		s.work.Go(func() {
			ctx, cancel := context.WithTimeout(s.ctx, askTimeout)
			defer cancel()
			err := h.server.Storage.AddLease(ctx, s.si, s.g.cfg.LeaseSecret.leaseFor(s.si, h.server))
			if err != nil && !errors.Is(err, storage.ErrNotFound) {
				s.g.cfg.Log.Info("a lease was not renewed", "server", h.server.label(), "file", s.si, "err", err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.pending--
			s.wake()
		})
	}
}

// settle waits until every server has answered or was given up.
func (s *search) settle(ctx context.Context) error {
	for {
		s.mu.Lock()
		pending, changed := s.pending, s.changed
		s.mu.Unlock()
		if pending == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// result counts what is known.
func (s *search) result() *CheckResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	res := &CheckResult{Index: s.si, Needed: s.cap.Needed, Expected: s.cap.Total, Sharemap: make(map[int][]string)}
	for _, h := range s.holders {
		if h.answered && h.failures < readFailures {
			res.Responding = append(res.Responding, h.server.ID)
		}
	}
	for _, r := range s.shares {
		switch {
		case r.corrupt:
			res.Corrupt = append(res.Corrupt, CorruptShare{r.h.server.ID, s.si, r.n})
		case !r.bad && r.h.failures < readFailures:
			res.Sharemap[r.n] = append(res.Sharemap[r.n], r.h.server.ID)
		}
	}
	slices.SortFunc(res.Corrupt, func(a, b CorruptShare) int {
		return cmp.Or(cmp.Compare(a.ServerID, b.ServerID), cmp.Compare(a.Number, b.Number))
	})
	res.count()
	return res
}

// count fills in what follows from the sharemap.
func (res *CheckResult) count() {
	hosts := make(map[string]bool)
	for n, ids := range res.Sharemap {
		slices.Sort(ids)
		res.Sharemap[n] = slices.Compact(ids)
		for _, id := range ids {
			hosts[id] = true
		}
	}
	res.Good, res.GoodHosts = len(res.Sharemap), len(hosts)
	res.Happiness = placement.Happiness(res.Sharemap)
	res.Healthy, res.Recoverable = res.Good >= res.Expected, res.Good >= res.Needed
	if res.Recoverable {
		res.RecoverableVersions = 1
	} else {
		res.UnrecoverableVersions = 1
	}
	res.Summary = "Healthy"
	if !res.Healthy {
		res.Summary = fmt.Sprintf("Not Healthy: %d shares (enc %d-of-%d)", res.Good, res.Needed, res.Expected)
	}
}

// byHolder lists the shares that are not known to be bad by server.
func (s *search) byHolder() map[*holder][]*remote {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[*holder][]*remote)
	for _, r := range s.shares {
		if !r.bad {
			out[r.h] = append(out[r.h], r)
		}
	}
	return out
}

// verifyServers is how many servers are read at once.
const verifyServers = 20

// verify reads every share that was found.
func (s *search) verify(ctx context.Context) error {
	account := s.g.account()
	turns := make(chan struct{}, verifyServers)
	var servers sync.WaitGroup
	var wrongCap atomic.Bool
	for h, shares := range s.byHolder() {
		servers.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			for _, r := range shares {
				err := s.verifyShare(ctx, account, r)
				if errors.Is(err, immutable.ErrWrongCap) {
					wrongCap.Store(true)
					return
				}
				if ctx.Err() != nil || !s.verified(h, r, err) {
					return
				}
			}
		})
	}
	servers.Wait()
	if wrongCap.Load() {
		return immutable.ErrWrongCap
	}
	return ctx.Err()
}

// verified notes what reading a share whole came to, and reports whether its
// server is worth reading further.
func (s *search) verified(h *holder, r *remote, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
	case errors.Is(err, immutable.ErrCorrupt):
		s.corrupt(r)
	case errors.Is(err, storage.ErrNotFound):
		r.bad = true
	default:
		// Nobody knows what it holds: it counts as if it had not answered.
		s.g.cfg.Log.Info("a storage server could not be verified", "server", h.server.label(), "share", r.n, "file", s.si, "err", err)
		h.failures, h.err = readFailures, err
		return false
	}
	return true
}

// openMemory is what opening a share holds at most, in bytes.
const openMemory = 512 << 10

// verifyShare reads one share to its end and checks every hash, with a
// decoder of its own, which believes no other share.
func (s *search) verifyShare(ctx context.Context, a *account, r *remote) error {
	dec, err := immutable.NewVerifier(s.cap)
	if err != nil {
		return err
	}
	reader := patientReader{s.reader(r)}
	opening, err := a.take(ctx, openMemory, 1)
	if err != nil {
		return err
	}
	share, err := dec.OpenShare(ctx, r.n, reader)
	opening.release()
	if err != nil {
		return err
	}
	block := max(1, dec.SegmentSize()/int64(s.cap.Needed))
	count := int(max(1, spanBytes/block))
	window, err := a.take(ctx, max(block*int64(count), openMemory), 1)
	if err != nil {
		return err
	}
	defer window.release()
	for first := 0; first < dec.NumSegments(); first += count {
		if _, err := share.Blocks(ctx, first, min(count, dec.NumSegments()-first)); err != nil {
			return err
		}
	}
	return share.CheckTrees(ctx)
}

// A patientReader reads again where a connection breaks: a verification has
// no other share to turn to.
type patientReader struct{ immutable.ShareReader }

// ReadShare implements immutable.ShareReader.
func (pr patientReader) ReadShare(ctx context.Context, offset int64, p []byte) (n int, err error) {
	for try := range readFailures {
		if try > 0 && !pause(ctx, retryDelay) {
			return 0, ctx.Err()
		}
		rctx, cancel := context.WithTimeout(ctx, readTimeout)
		n, err = pr.ShareReader.ReadShare(rctx, offset, p)
		cancel()
		if !broken(err) {
			return n, err
		}
	}
	return n, err
}
