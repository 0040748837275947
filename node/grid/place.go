package grid

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"lafs/shares/caps"
	"lafs/shares/immutable"
	"lafs/shares/placement"
	"lafs/shares/storage"
)

// An upload is one upload under way. Its fields belong to the goroutine that
// runs it; what senders learn is handed over when they have ended.
type upload struct {
	g         *Grid
	opts      UploadOptions
	si        caps.StorageIndex
	shareSize int64
	src       Source
	seen      *seen // what it gave before; nil: of a repair
	params    immutable.Params
	key       *caps.ReadKey
	cands     []*candidate  // in permuted order
	asked     int           // the first so many of cands are in play
	pushed    int           // shares sent
	repairs   bool          // it is a repair: what can be placed is success
	cap       *caps.CHK     // once it is known
	rest      *rest         // nil if Upload waits for all
	told      bool          // Upload has returned
	spare     io.ReadCloser // the source once more, for servers left behind; nil if there are none
	resumable bool          // the same file gets the same key again
	whole     [][]byte      // all shares, of a small file
	saved     int64         // bytes of shares that an earlier upload had sent
	sentBytes int64         // of whole

	beforeWait func() // unless nil, called before place waits for long

	out    outage        // waiting between passes
	waits  int           // how often it has waited for other uploads of the file
	waited time.Duration // how long
}

// A candidate is one server as this upload knows it.
type candidate struct {
	server   Server
	secret   *storage.UploadSecret
	lease    *storage.LeaseSecrets
	answered bool         // it has answered our first question
	open     bool         // it may take more shares
	waived   bool         // it is late, and the upload does without it
	failures int          // failed questions and sendings
	lastErr  error        // the last failure
	has      map[int]bool // shares it holds whole
	sent     map[int]bool // those of has that we sent
	ready    map[int]bool // shares that it has reserved space for
	begun    map[int]bool // shares of which it has some bytes
	// missing is what of a share that was begun has not arrived, where the
	// server tells.
	missing map[int][]storage.Range
	not     map[int]bool // shares that it holds corrupt, and can not take

	refused   []storage.ShareNumber // what it did not take when it was last asked
	roomAsked bool                  // it was asked how much room it has
	room      bool                  // it has room for what it refused
}

func (g *Grid) newCandidate(si caps.StorageIndex, s Server) *candidate {
	return &candidate{
		server: s,
		secret: g.cfg.LeaseSecret.uploadFor(si, s),
		lease:  g.cfg.LeaseSecret.leaseFor(si, s),
		open:   true,
		has:    make(map[int]bool),
		sent:   make(map[int]bool),
		ready:  make(map[int]bool),
		begun:  make(map[int]bool), missing: make(map[int][]storage.Range),
		not: make(map[int]bool),
	}
}

// known is what plans know of the candidate.
func (c *candidate) known() placement.Server {
	return placement.Server{
		Has:   slices.Collect(maps.Keys(c.has)),
		Ready: slices.Collect(maps.Keys(c.ready)),
		Open:  c.open && !c.waived && c.failures < giveUpAfter,
		Not:   slices.Collect(maps.Keys(c.not)),
	}
}

// giveUpAfter is how many failures end a server's part in an upload. One is
// forgiven: circuits break, servers restart.
const giveUpAfter = 2

func (g *Grid) newUpload(si caps.StorageIndex, shareSize int64, opts UploadOptions) *upload {
	u := &upload{g: g, opts: opts, si: si, shareSize: shareSize}
	seed := func(s Server) []byte { return s.Seed }
	for _, s := range placement.Permute(si, g.cfg.Servers(), seed) {
		u.cands = append(u.cands, g.newCandidate(si, s))
	}
	u.asked = min(len(u.cands), 2*opts.Total)
	return u
}

// plan lays the shares out over the servers in play, as far as is known.
func (u *upload) plan() placement.Layout {
	servers := make([]placement.Server, u.asked)
	for i, c := range u.cands[:u.asked] {
		servers[i] = c.known()
	}
	return placement.Plan(u.opts.Total, u.opts.Happy, servers)
}

// unready lists what the plan sends to servers that have not agreed to it.
func (u *upload) unready(lay placement.Layout) map[int][]storage.ShareNumber {
	out := make(map[int][]storage.ShareNumber)
	for i, send := range lay.Send {
		for _, n := range send {
			if !u.cands[i].ready[n] {
				out[i] = append(out[i], storage.ShareNumber(n))
			}
		}
	}
	return out
}

// place asks servers until every share of the plan has a server that agreed
// to take it. The first question goes to the first 2N servers at once and
// asks for everything that an empty grid would be sent: in the common case
// there is no other.
func (u *upload) place(ctx context.Context) (placement.Layout, error) {
	u.opts.Progress(Progress{Phase: "asking"})
	if u.whole == nil {
		// Lanes for what is going to be sent open while servers are asked.
		for i, send := range u.plan().Send {
			expect(u.cands[i].server, int64(len(send))*u.shareSize)
		}
	}
	for {
		lay := u.plan()
		questions := u.unready(lay)
		for i, c := range u.cands[:u.asked] {
			if _, ok := questions[i]; !ok && !c.answered && c.failures == 0 && !c.waived {
				questions[i] = nil // only: what do you hold?
			}
		}
		switch {
		case len(questions) > 0:
			if err := u.ask(ctx, questions); err != nil {
				return lay, err
			}
		case u.satisfied(lay.Happiness, u.opts.Total-len(lay.Unplaced)):
			return lay, nil
		case u.asked < len(u.cands):
			u.asked = min(len(u.cands), u.asked+2*u.opts.Total)
		case u.unwaive():
		default:
			if u.outLasts(func(d time.Duration) bool { return pause(ctx, d) }) {
				continue
			}
			if going, err := u.withOthers(ctx, lay); going || err != nil {
				if sends(lay) > 0 || err != nil {
					return lay, err
				}
				continue
			}
			return lay, u.unhappy(lay)
		}
	}
}

// withOthers reports whether an upload that can not be happy by itself goes
// on because somebody else is uploading the same file: with sending what it
// can, or, where that was done, with what the others have sent since.
func (u *upload) withOthers(ctx context.Context, lay placement.Layout) (bool, error) {
	if !u.othersAtWork(ctx) {
		return false, ctx.Err()
	}
	if sends(lay) > 0 {
		return true, nil
	}
	return u.askOthers(ctx)
}

const (
	// askTimeout is for a request without much of a body. A cold onion
	// service takes up to 10 s to reach, with retries several times that.
	askTimeout = 60 * time.Second
	// Stragglers are waited for as long again as the others took, within these
	// bounds: the lower is several warm trips, the upper a cold start that had
	// to try twice.
	minGrace = 2 * time.Second
	maxGrace = 15 * time.Second
)

// An answer is what a candidate said to a question.
type answer struct {
	index      int
	wanted     []storage.ShareNumber
	allocation storage.Allocation
	err        error
}

// ask puts all questions at once and notes the answers. It ends when all
// have answered, or when those that have are enough for the whole plan and
// the others had some more time. It fails only with the context.
func (u *upload) ask(ctx context.Context, questions map[int][]storage.ShareNumber) error {
	started := time.Now()
	askCtx, cancel := context.WithTimeout(ctx, askTimeout)
	answers := make(chan answer, len(questions))
	for i, wanted := range questions {
		c := u.cands[i]
		go func() {
			al, err := u.question(askCtx, c, wanted)
			answers <- answer{i, wanted, al, err}
		}()
	}
	pending := maps.Clone(questions)
	defer func() {
		// Who starts a goroutine waits for it.
		cancel()
		for range pending {
			<-answers
		}
	}()
	var grace <-chan time.Time
	for len(pending) > 0 {
		select {
		case a := <-answers:
			delete(pending, a.index)
			u.note(a)
			u.tellHappy(nil)
			if grace == nil && u.enough(pending) {
				grace = time.After(min(max(time.Since(started), minGrace), maxGrace))
			}
		case <-grace:
			for i := range pending {
				u.g.noteLate(u.cands[i].server, errSlow)
				u.failed(u.cands[i], errSlow)
			}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// errSlow is the failure of a server that others did not wait for.
var errSlow = errors.New("slower than the others")

// enough reports whether the upload can do without the servers that have not
// answered yet.
func (u *upload) enough(pending map[int][]storage.ShareNumber) bool {
	servers := make([]placement.Server, u.asked)
	for i, c := range u.cands[:u.asked] {
		if _, ok := pending[i]; !ok && c.answered {
			servers[i] = c.known()
		}
	}
	lay := placement.Plan(u.opts.Total, u.opts.Happy, servers)
	return lay.Happiness >= u.opts.Happy && len(lay.Unplaced) == 0
}

// note takes an answer in. A server that took less than was asked takes no
// more.
func (u *upload) note(a answer) {
	c := u.cands[a.index]
	u.g.noteLate(c.server, a.err)
	if a.err != nil {
		u.failed(c, a.err)
		return
	}
	c.answered = true
	for _, n := range a.allocation.AlreadyHave {
		if int(n) < u.opts.Total && !c.not[int(n)] {
			c.has[int(n)] = true
			delete(c.ready, int(n))
		}
	}
	for _, n := range a.allocation.Allocated {
		switch {
		case !slices.Contains(a.wanted, n) || c.has[int(n)]:
		case u.whole != nil:
			u.stored(c, int(n))
		default:
			c.ready[int(n)] = true
			if m := a.allocation.Missing[n]; len(m) > 0 {
				c.missing[int(n)], c.begun[int(n)] = m, true
			}
		}
	}
	if len(a.wanted) == 0 {
		return
	}
	c.refused = nil
	for _, n := range a.wanted {
		if !c.has[int(n)] && !c.ready[int(n)] {
			c.refused = append(c.refused, n)
		}
	}
	c.open = len(c.refused) == 0
}

// failed notes a failure. A server that refuses for good is closed; one that
// could not be reached keeps a second chance, but what it agreed to is void.
func (u *upload) failed(c *candidate, err error) {
	c.failures++
	c.lastErr = err
	clear(c.ready)
	for _, final := range []error{storage.ErrUnauthorized, storage.ErrNoSpace, storage.ErrTooLarge, storage.ErrPeer, storage.ErrBadRequest, context.DeadlineExceeded, errSlow} {
		if errors.Is(err, final) {
			c.failures = giveUpAfter
		}
	}
	if c.failures < giveUpAfter {
		u.g.cfg.Log.Debug("storage server failed once", "server", c.server.label(), "file", u.si, "err", err)
		return
	}
	u.g.cfg.Log.Info("storage server left out of an upload", "server", c.server.label(), "file", u.si, "err", err)
}

func (u *upload) unhappy(lay placement.Layout) error {
	e := &UnhappyError{Happiness: lay.Happiness, Happy: u.opts.Happy, Needed: u.opts.Needed, Total: u.opts.Total,
		Placed: u.opts.Total - len(lay.Unplaced), Known: len(u.cands), Network: u.g.cfg.Network()}
	for _, c := range u.cands {
		e.Network = networkError(e.Network, c.lastErr)
		switch name := c.server.label(); {
		case c.failures >= giveUpAfter || !c.answered:
			e.Unreached = append(e.Unreached, describe(name, c.lastErr))
		case c.busy():
			e.Reached = append(e.Reached, name+" (another upload of the file is under way there)")
		case !c.open:
			e.Reached = append(e.Reached, name+" (takes no more)")
		default:
			e.Reached = append(e.Reached, name)
		}
	}
	return e
}

// describe adds to a server's name why it did not do, in words of our own.
func describe(name string, err error) string {
	for _, known := range []error{
		storage.ErrUnauthorized, storage.ErrConflict, storage.ErrNoSpace, storage.ErrTooLarge, storage.ErrBadRequest,
		storage.ErrBusy, storage.ErrBroken, storage.ErrPeer, errSlow,
	} {
		if errors.Is(err, known) {
			return fmt.Sprintf("%s (%s)", name, known)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return name + " (no answer in time)"
	}
	return name + " (not reached)"
}

// abandonRest gives back, in the background, the space that was reserved and
// is not needed, and then calls done: another upload of the same file would
// have the same secrets, and must not lose what it reserves. Where the same
// file gets the same key again, a share that was begun stays for the next
// upload to go on with, as long as the server keeps it.
func (u *upload) abandonRest(done func()) {
	started := u.g.background(func(ctx context.Context) {
		defer done()
		ctx, cancel := context.WithTimeout(ctx, abortTimeout)
		defer cancel()
		var aborts sync.WaitGroup
		for _, c := range u.cands {
			if c.failures >= giveUpAfter {
				continue
			}
			for n := range c.ready {
				if u.resumable && c.begun[n] {
					continue
				}
				aborts.Go(func() {
					// Best effort: the server drops it after 30 minutes anyway.
					_ = c.server.Storage.Abort(ctx, u.si, storage.ShareNumber(n), c.secret)
				})
			}
		}
		aborts.Wait()
	})
	if !started {
		done()
	}
}

// abortTimeout bounds how long the next upload of the same file waits.
const abortTimeout = 15 * time.Second
