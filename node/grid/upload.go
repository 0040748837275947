package grid

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"lafs/shares/caps"
	"lafs/shares/immutable"
	"lafs/shares/placement"
)

// UploadOptions change one upload.
type UploadOptions struct {
	// Needed, Happy and Total override Config's where they are not zero.
	Needed, Happy, Total int
	// Progress, if set, is told how far the upload is: from one goroutine at
	// a time, often, and it must not block.
	Progress func(Progress)
	// Rest, if set, makes Upload return as soon as enough shares are durable
	// for success, and is told once what became of the others: in the end
	// the result is whole, or err says why the rest ended early. It is not
	// called where nothing was left, or Upload fails. The upload goes on in
	// the background until then, whatever becomes of Upload's context; it
	// opens the source no more, but may still read what it has opened.
	Rest func(res *UploadResult, err error)
}

// Progress is how far a transfer is.
type Progress struct {
	// Phase is "hashing", "asking", "sending", "waiting for Tor" while that is
	// out, "stored" at an upload's end, or "receiving".
	Phase string
	// Done and Total count bytes: of the plaintext when hashing and
	// receiving; when sending, of shares that servers have acknowledged.
	Done, Total int64
	// Saved, once the upload is stored, is UploadResult.Saved.
	Saved int64
}

// An UploadResult is what became of an upload.
type UploadResult struct {
	// Cap reads the file. Secret.
	Cap caps.Cap
	// Pushed counts shares sent, Found shares that servers held already.
	Pushed, Found int
	// Saved is how many bytes of shares servers held already, whole or in
	// part, from an earlier upload.
	Saved int64
	// Sharemap lists, for each share number, the ids of servers that hold it.
	Sharemap map[int][]string
	// Happiness is what was reached.
	Happiness int
	// Pending is how many shares are still on their way: then UploadOptions.
	// Rest will be told.
	Pending int
}

// replaceBelow is the size up to which shares that were lost on the way are
// sent to other servers even though the upload is happy without them. Above
// it, encoding the file again for them costs more than they are worth.
const replaceBelow = 8 << 20

// Upload encrypts src, spreads its shares and returns the cap. It is done
// when every share that was planned is durable or its server was given up,
// or, with UploadOptions.Rest, before; happiness decides whether that is a
// success. Files of up to
// immutable.LITThreshold bytes are their own cap and reach no server.
//
// Errors: *UnhappyError, ErrSourceChanged, those of src, the context's.
func (g *Grid) Upload(ctx context.Context, src Source, opts UploadOptions) (*UploadResult, error) {
	setDefault(&opts.Needed, g.cfg.Needed)
	setDefault(&opts.Happy, g.cfg.Happy)
	setDefault(&opts.Total, g.cfg.Total)
	opts.Progress = oneAtATime(opts.Progress)
	if err := checkParams(opts.Needed, opts.Happy, opts.Total); err != nil {
		return nil, err
	}
	size := src.Size()
	if size < 0 {
		return nil, fmt.Errorf("%w: its size is negative", ErrSourceChanged)
	}
	if size <= immutable.LITThreshold {
		return uploadLiteral(src, size)
	}
	params := immutable.Params{Needed: opts.Needed, Total: opts.Total, MaxSegmentSize: g.cfg.MaxSegmentSize}
	before := newSeen()
	key, err := g.key(ctx, src, params, before, opts.Progress)
	if err != nil {
		return nil, err
	}
	enc, err := immutable.NewEncoder(params, size, key)
	if err != nil {
		return nil, err
	}
	unlock, err := g.lockUpload(ctx, enc.StorageIndex())
	if err != nil {
		return nil, err
	}
	u := g.newUpload(enc.StorageIndex(), enc.ShareSize(), opts)
	u.src, u.seen, u.params, u.key, u.resumable = src, before, params, key, g.cfg.Convergence != nil
	u.waive()
	if opts.Rest != nil {
		return g.uploadAndRest(ctx, u, enc, unlock)
	}
	defer u.abandonRest(unlock)
	cap, err := u.run(ctx, enc)
	if err != nil {
		g.noteFresh(nil)
		return nil, err
	}
	r := u.result(cap)
	g.noteFresh(r)
	opts.Progress(Progress{Phase: "stored", Done: size, Total: size, Saved: r.Saved})
	return r, nil
}

func uploadLiteral(src Source, size int64) (*UploadResult, error) {
	r, err := src.Open()
	if err != nil {
		return nil, fmt.Errorf("open input: %w", err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, size+1))
	if err != nil {
		return nil, fmt.Errorf("read input: %w", err)
	}
	if int64(len(data)) != size {
		return nil, ErrSourceChanged
	}
	return &UploadResult{Cap: caps.NewLIT(data), Sharemap: map[int][]string{}}, nil
}

// oneAtATime returns tell, which may be nil, for several goroutines.
func oneAtATime(tell func(Progress)) func(Progress) {
	if tell == nil {
		return func(Progress) {}
	}
	var mu sync.Mutex
	return func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		tell(p)
	}
}

// key makes the file's key: from the content and the convergence secret, in
// a pass of its own, or at random. What it reads it notes in before.
func (g *Grid) key(ctx context.Context, src Source, p immutable.Params, before *seen, progress func(Progress)) (*caps.ReadKey, error) {
	if g.cfg.Convergence == nil {
		return immutable.RandomKey(), nil
	}
	size := src.Size()
	keyer, err := immutable.NewKeyer(p, size, g.cfg.Convergence)
	if err != nil {
		return nil, err
	}
	in, err := openInput(ctx, src)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	buf := make([]byte, min(size, keyer.SegmentSize()))
	for i, done := 0, int64(0); done < size; i++ {
		n := min(size-done, int64(len(buf)))
		if err := in.fill(buf[:n]); err != nil {
			return nil, err
		}
		if err := before.segment(i, buf[:n]); err != nil {
			return nil, err
		}
		if _, err := keyer.Write(buf[:n]); err != nil {
			return nil, err
		}
		done += n
		progress(Progress{Phase: "hashing", Done: done, Total: size})
	}
	if err := in.end(); err != nil {
		return nil, err
	}
	return keyer.Key()
}

// An input reads a Source once, exactly to its size.
type input struct {
	ctx context.Context // ends the reading between two reads
	io.ReadCloser
}

func openInput(ctx context.Context, src Source) (*input, error) {
	r, err := src.Open()
	if err != nil {
		return nil, fmt.Errorf("open input: %w", err)
	}
	return &input{ctx, r}, nil
}

func (in *input) fill(p []byte) error {
	if err := in.ctx.Err(); err != nil {
		return err
	}
	_, err := io.ReadFull(in, p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrSourceChanged
	}
	if err != nil {
		return fmt.Errorf("read input: %w", err)
	}
	return nil
}

// end checks that nothing follows.
func (in *input) end() error {
	var one [1]byte
	switch _, err := io.ReadFull(in, one[:]); {
	case err == nil:
		return ErrSourceChanged
	case errors.Is(err, io.EOF):
		return nil
	default:
		return fmt.Errorf("read input: %w", err)
	}
}

// run asks, sends, and sends again elsewhere what was lost, until the upload
// is happy or nobody is left to ask. The file is encoded at least once, even
// if every share is there already: the cap needs the hashes of all shares.
func (u *upload) run(ctx context.Context, enc *immutable.Encoder) (*caps.CHK, error) {
	defer u.closeSpare()
	var cap *caps.CHK
	if u.fitsWhole() {
		var kept *hold
		var err error
		if cap, kept, err = u.codeWhole(ctx, enc); err != nil {
			return nil, err
		}
		defer kept.release()
		enc = nil
		u.cap = cap
	}
	var lay placement.Layout
	placed := false
	if early := u.mayBegin(enc); early > 0 {
		agreed, asked, whole, err := u.pushAtOnce(ctx, enc, early)
		if err != nil {
			return nil, err
		}
		lay, placed = asked, !agreed
		enc, cap = nil, whole
		if whole != nil && !u.again() {
			return cap, nil
		}
	}
	for {
		var err error
		if !placed {
			if lay, err = u.place(ctx); err != nil {
				return nil, err
			}
		}
		placed = false
		if cap != nil && sends(lay) == 0 {
			return cap, nil // others have sent the rest
		}
		if enc == nil {
			if enc, err = immutable.NewEncoder(u.params, u.src.Size(), u.key); err != nil {
				return nil, err
			}
		}
		whole, err := u.push(ctx, enc, lay)
		if err != nil {
			return nil, err
		}
		enc, cap = nil, cmp.Or(whole, cap)
		if whole != nil && !u.again() {
			return cap, nil
		}
	}
}

// again reports whether another round is worth its cost: some share has no
// home, somebody may take it, and the upload is not happy or cheap to repeat.
func (u *upload) again() bool {
	lay := u.plan()
	sends := 0
	for _, s := range lay.Send {
		sends += len(s)
	}
	if held := u.held(); !u.satisfied(placement.Happiness(held), len(held)) {
		return true // place decides whether it can be reached
	}
	if u.spare != nil {
		return sends > 0
	}
	// Once Upload has returned, its source is gone.
	return sends > 0 && u.src.Size() <= replaceBelow && (!u.told || u.whole != nil)
}

// satisfied reports whether an upload with that happiness, and so many
// different shares, is a success. Where happy is below needed, happiness says
// nothing about whether the file can be read again.
func (u *upload) satisfied(happiness, shares int) bool {
	return u.repairs || happiness >= u.opts.Happy && shares >= u.opts.Needed
}

// held lists, for each share that somebody holds, who does.
func (u *upload) held() map[int][]*candidate {
	held := make(map[int][]*candidate)
	for _, c := range u.cands {
		for n := range c.has {
			held[n] = append(held[n], c)
		}
	}
	return held
}

func (u *upload) result(cap *caps.CHK) *UploadResult {
	r := &UploadResult{Cap: cap, Pushed: u.pushed, Saved: u.saved, Sharemap: make(map[int][]string), Happiness: placement.Happiness(u.held())}
	for _, c := range u.cands {
		for n := range c.has {
			r.Sharemap[n] = append(r.Sharemap[n], c.server.ID)
			if !c.sent[n] {
				r.Found++
				r.Saved += u.shareSize
			}
		}
	}
	return r
}
