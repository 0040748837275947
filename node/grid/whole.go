package grid

import (
	"context"

	"lafs/shares/caps"
	"lafs/shares/immutable"
	"lafs/shares/storage"
)

// wholeUpload bounds all shares of a file that is coded before any server is
// asked, so that its shares go out with the first question: an upload takes
// one trip.
const wholeUpload = 4 << 20

// fitsWhole reports whether the upload's shares are small enough to be sent
// to servers that may hold them already, or have no room. They stay here if
// it can not be happy with all servers that are known.
func (u *upload) fitsWhole() bool {
	if u.repairs || u.shareSize > storage.MaxWholeShare || u.shareSize*int64(u.opts.Total) > wholeUpload {
		return false
	}
	lay := u.plan()
	return u.satisfied(lay.Happiness, u.opts.Total-len(lay.Unplaced))
}

// codeWhole codes the whole file and keeps its shares for the questions to
// servers. Give the hold back when the upload is over.
func (u *upload) codeWhole(ctx context.Context, enc *immutable.Encoder) (*caps.CHK, *hold, error) {
	// The shares, and the file with what the encoder works on.
	h, err := u.g.account().take(ctx, 2*u.shareSize*int64(u.opts.Total)+2*u.src.Size(), 1)
	if err != nil {
		return nil, nil, err
	}
	cap, err := u.code(ctx, enc)
	if err != nil {
		h.release()
		return nil, nil, err
	}
	return cap, h, nil
}

func (u *upload) code(ctx context.Context, enc *immutable.Encoder) (*caps.CHK, error) {
	in, err := openInput(ctx, u.src)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	shares := make([][]byte, u.opts.Total)
	add := func(parts [][]byte) {
		for i := range shares {
			shares[i] = append(shares[i], parts[i]...)
		}
	}
	for i := range shares {
		shares[i] = append(make([]byte, 0, u.shareSize), enc.Header()...)
	}
	plaintext := make([]byte, u.src.Size())
	if err := in.fill(plaintext); err != nil {
		return nil, err
	}
	if err := in.end(); err != nil {
		return nil, err
	}
	for i := range enc.NumSegments() {
		segment := plaintext[:min(enc.SegmentSize(), int64(len(plaintext)))]
		plaintext = plaintext[len(segment):]
		if err := u.seen.segment(i, segment); err != nil {
			return nil, err
		}
		blocks, err := enc.Encode(segment)
		if err != nil {
			return nil, err
		}
		add(blocks)
	}
	tails, cap, err := enc.Finish()
	if err != nil {
		return nil, err
	}
	add(tails)
	u.whole = shares
	return cap, nil
}

// question asks a candidate for space for the shares wanted, or sends them
// at once where they are at hand.
func (u *upload) question(ctx context.Context, c *candidate, wanted []storage.ShareNumber) (storage.Allocation, error) {
	if u.whole == nil || len(wanted) == 0 {
		return c.server.Storage.Allocate(ctx, u.si, wanted, u.shareSize, c.secret, c.lease)
	}
	shares := make(map[storage.ShareNumber][]byte, len(wanted))
	for _, n := range wanted {
		shares[n] = u.whole[n]
	}
	return storage.StoreWhole(ctx, c.server.Storage, u.si, shares, c.secret, c.lease)
}

// stored notes a share that a candidate holds since it was sent.
func (u *upload) stored(c *candidate, n int) {
	c.has[n], c.sent[n] = true, true
	u.pushed++
	u.sentBytes += u.shareSize
	u.opts.Progress(Progress{Phase: "sending", Done: u.sentBytes, Total: max(u.sentBytes, u.shareSize*int64(u.opts.Total))})
}

// ask asks a server which shares it holds; small ones come along, and what
// opens large ones.
func (s *search) ask(ctx context.Context, h *holder) ([]*remote, error) {
	var out []*remote
	limit, spans := s.likelyShareSize(), []storage.Range(nil)
	if limit > storage.MaxWholeShare {
		if limit, spans = 0, s.headSpans(); spans == nil {
			held, err := h.server.Storage.Shares(ctx, storage.Immutable, s.si)
			for _, n := range held {
				out = append(out, &remote{h: h, n: int(n)})
			}
			return out, err
		}
	}
	held, err := storage.ReadWhole(ctx, h.server.Storage, s.si, limit, spans)
	for n, share := range held {
		r := &remote{h: h, n: int(n), data: share.Data}
		if share.Spans != nil {
			r.head.Data = share.Spans
			for _, at := range spans {
				r.head.Spans = append(r.head.Spans, [2]int64{at.Begin, at.End})
			}
		}
		out = append(out, r)
	}
	return out, err
}

// maxHead bounds what comes with the list of shares, in bytes a share: it
// takes the lane for small requests.
const maxHead = 24 << 10

// headSpans is what opens a share, nil if nobody is going to read or it is
// too much.
func (s *search) headSpans() (spans []storage.Range) {
	if !s.reads || s.whole() {
		return nil
	}
	var total int64
	for _, sp := range s.dec.HeadSpans() {
		spans = append(spans, storage.Range{Begin: sp[0], End: sp[1]})
		total += sp[1] - sp[0]
	}
	if total > maxHead || !storage.ValidSpans(spans) {
		return nil
	}
	return spans
}

// atHand is a share that came with the list of shares.
type atHand []byte

// ReadShare implements immutable.ShareReader.
func (b atHand) ReadShare(_ context.Context, offset int64, p []byte) (int, error) {
	if offset < 0 || offset >= int64(len(b)) {
		return 0, nil
	}
	return copy(p, b[offset:]), nil
}
