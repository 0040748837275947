package grid

import (
	"context"

	"golang.org/x/sync/errgroup"

	"lafs/shares/immutable"
	"lafs/shares/storage"
)

const (
	// wholeShare and wholeFile bound shares that are read whole, in one
	// request, before they are opened. That saves the trip between a share's
	// hashes and its blocks, and costs little where less was wanted.
	wholeShare = 512 << 10
	wholeFile  = 4 << 20
	// likelySlack covers what likelyShareSize leaves out: header, UEB, and
	// the hash chain of up to 256 shares.
	likelySlack = 4 << 10
)

// likelyShareSize estimates a share's size from above, with the smaller of
// the usual segment sizes, which has the larger hash trees.
func (s *search) likelyShareSize() int64 {
	const segment, hashesOfSegment = 128 << 10, 3 * 2 * 2 * 32
	return s.cap.Size/int64(s.cap.Needed) + (s.cap.Size/segment+1)*hashesOfSegment + likelySlack
}

// whole reports whether the file's shares are read whole.
func (s *search) whole() bool {
	likely := s.likelyShareSize()
	return likely <= wholeShare && likely*int64(s.cap.Needed) <= wholeFile
}

// holdWhole takes, once for the life of the search, the memory of a file
// whose shares are read whole: k shares and some in reserve, and plaintext.
func (s *search) holdWhole(ctx context.Context) error {
	return s.held.do(ctx, func() error {
		h, err := s.g.account().take(ctx, 3*s.likelyShareSize()*int64(s.cap.Needed), 1)
		s.memory = h
		return err
	})
}

// reader returns how a share's bytes are read.
func (s *search) reader(r *remote) immutable.ShareReader {
	if r.data != nil {
		return atHand(r.data)
	}
	direct := &shareReader{h: r.h, search: s, n: r.n}
	if s.whole() {
		return &wholeReader{shareReader: direct, size: s.likelyShareSize(), once: newOnce()}
	}
	return direct
}

// A shareReader reads a share at one server.
type shareReader struct {
	h      *holder
	search *search
	n      int
}

// ReadShare implements immutable.ShareReader. What does not fit one request
// goes in several at once, and what was asked for ahead in none.
func (sr *shareReader) ReadShare(ctx context.Context, offset int64, p []byte) (int, error) {
	size := pieceSize(int64(len(p)))
	var lengths, read []int
	var asked []*piece
	for at, end := offset, offset+int64(len(p)); at < end; {
		piece, to := sr.search.pieceAt(sr.h, at, end)
		if piece == nil {
			to = min(to, at+int64(size))
		}
		asked, lengths, read = append(asked, piece), append(lengths, int(to-at)), append(read, 0)
		at = to
	}
	parts, ctx := errgroup.WithContext(ctx)
	at := 0
	for i, length := range lengths {
		from, part := offset+int64(at), p[at:at+length]
		at += length
		parts.Go(func() (err error) {
			read[i], err = sr.read(ctx, asked[i], from, part)
			return err
		})
	}
	if err := parts.Wait(); err != nil {
		return 0, err
	}
	total := 0
	for i, n := range read {
		total += n
		if n < lengths[i] {
			break // the share ends here, whatever the next parts say
		}
	}
	return total, nil
}

// read reads into p what a piece brings that was asked for ahead, or, where
// there is none or it is of no use, what the server is asked for now.
func (sr *shareReader) read(ctx context.Context, asked *piece, offset int64, p []byte) (int, error) {
	if asked != nil {
		select {
		case <-asked.done:
		case <-ctx.Done():
			asked.cancel()
			return 0, ctx.Err()
		}
		if data, ok := asked.take(sr.n); ok {
			return copy(p, data[min(offset-asked.begin, int64(len(data))):]), nil
		}
	}
	n, err := sr.h.server.Storage.Read(ctx, storage.Immutable, sr.search.si, storage.ShareNumber(sr.n), offset, p)
	if err == nil {
		sr.search.g.pace(sr.h.server).came(int64(n), heard(sr.h.server).Trip)
	}
	return n, err
}

// A wholeReader reads a small share once and answers from memory. It asks for
// no more than the share is likely to have, since a request is small by what
// it asks for, and small requests have lanes of their own. What lies beyond is
// asked for as usual.
type wholeReader struct {
	*shareReader
	size int64
	once *once
	data []byte
}

// ReadShare implements immutable.ShareReader.
func (wr *wholeReader) ReadShare(ctx context.Context, offset int64, p []byte) (int, error) {
	err := wr.once.do(ctx, func() error {
		buf := make([]byte, wr.size)
		n, err := wr.shareReader.ReadShare(ctx, 0, buf)
		if err == nil {
			wr.data = buf[:n:n]
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	have := int64(len(wr.data))
	n := copy(p, wr.data[min(offset, have):])
	if n == len(p) || have < wr.size {
		return n, nil
	}
	more, err := wr.shareReader.ReadShare(ctx, offset+int64(n), p[n:])
	return n + more, err
}

// A once runs something until it succeeds, one caller at a time; the others
// wait, each as long as its own context allows.
type once struct {
	turn chan struct{}
	done bool // guarded by turn
}

func newOnce() *once { return &once{turn: make(chan struct{}, 1)} }

func (o *once) do(ctx context.Context, f func() error) error {
	select {
	case o.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-o.turn }()
	if o.done {
		return nil
	}
	if err := f(); err != nil {
		return err
	}
	o.done = true
	return nil
}
