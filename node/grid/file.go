package grid

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"lafs/shares/caps"
	"lafs/shares/immutable"
)

// ErrNotAFile is a cap that names something else than an immutable file that
// can be read.
var ErrNotAFile = errors.New("the cap does not name an immutable file that it can read")

// ErrRange is a request for bytes that the file does not have.
var ErrRange = errors.New("the file is shorter than the range asked for")

// A File is an immutable file open for reading. Its methods may be called at
// once. What one Copy learns about servers serves the next.
type File struct {
	literal []byte // if cap is a LIT
	search  *search
	size    int64
}

// Open returns the file that a CHK or LIT read cap names. It asks nobody
// yet: the first Copy does. Close the File.
func (g *Grid) Open(_ context.Context, cap caps.Cap) (*File, error) {
	switch c := cap.(type) {
	case *caps.LIT:
		return &File{literal: c.Data(), size: c.Size()}, nil
	case *caps.CHK:
		dec, err := immutable.NewDecoder(c)
		if err != nil {
			return nil, err
		}
		return &File{search: g.newSearch(c.Verifier().(*caps.CHKVerifier), dec), size: c.Size}, nil
	}
	return nil, ErrNotAFile
}

// Size returns the number of bytes, as the cap has it.
func (f *File) Size() int64 { return f.size }

// Close ends what Copy has left under way and waits for it. No Copy may be
// under way or follow.
func (f *File) Close() error {
	if f.search != nil {
		f.search.close()
	}
	return nil
}

// Copy writes length bytes from offset to w, in order, each checked against
// the cap before it is written. It reads only the segments that it needs,
// some ahead of w, and returns when the last byte is written: requests that
// are no longer needed are cancelled. A length below 0 means to the end of
// the file. progress may be nil; it is called from one goroutine.
//
// Errors: *NotEnoughSharesError, ErrRange, ErrDamaged, immutable.ErrWrongCap,
// w's, the context's.
func (f *File) Copy(ctx context.Context, w io.Writer, offset, length int64, progress func(Progress)) error {
	if offset < 0 || offset > f.size || length > f.size-offset {
		return ErrRange
	}
	if length < 0 {
		length = f.size - offset
	}
	if length == 0 {
		return nil
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	if f.search == nil {
		_, err := w.Write(f.literal[offset : offset+length])
		progress(Progress{Phase: "receiving", Done: length, Total: length})
		return err
	}
	return f.search.copy(ctx, w, offset, length, progress)
}

// spanBytes is about how much of a share one request reads: segments smaller
// than that are read several at a time.
const spanBytes = 256 << 10

// A span is some segments in a row, fetched together.
type span struct {
	first, count int
	hold         *hold
	done         chan struct{}
	segments     [][]byte
	err          error
}

func (s *search) copy(ctx context.Context, w io.Writer, offset, length int64, progress func(Progress)) error {
	ctx, cancel := context.WithCancel(ctx)
	var fetches sync.WaitGroup
	defer fetches.Wait()
	defer cancel()

	s.forgive()
	whole := s.whole()
	if whole {
		if err := s.holdWhole(ctx); err != nil {
			return err
		}
	}
	s.start()
	if err := s.openFirst(ctx); err != nil {
		return err
	}
	segment := s.dec.SegmentSize()
	firstSeg, lastSeg := int(offset/segment), int((offset+length-1)/segment)
	perSpan := max(1, int(spanBytes/max(1, segment/int64(s.cap.Needed))))
	// A span is held twice over: as blocks, some of them from servers that
	// were asked as a reserve, and as plaintext.
	cost := segment * int64(perSpan) * 5 / 2
	if whole {
		cost = 0 // held already
	}

	account := s.g.account()
	var ahead []*span // in order; the first is written next
	next := firstSeg
	defer func() {
		cancel()
		for _, sp := range ahead {
			<-sp.done
			sp.hold.release()
		}
	}()
	var done int64
	for next <= lastSeg || len(ahead) > 0 {
		for next <= lastSeg {
			h := account.tryTake(cost, 1)
			if h == nil && len(ahead) == 0 {
				var err error
				if h, err = account.take(ctx, cost, 1); err != nil {
					return err
				}
			}
			if h == nil {
				break
			}
			sp := &span{first: next, count: min(perSpan, lastSeg-next+1), hold: h, done: make(chan struct{})}
			next += sp.count
			ahead = append(ahead, sp)
			fetches.Go(func() {
				defer close(sp.done)
				sp.segments, sp.err = s.fetch(ctx, sp.first, sp.count)
			})
		}
		sp := ahead[0]
		select {
		case <-sp.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if sp.err != nil {
			return sp.err
		}
		for i, data := range sp.segments {
			begin := int64(sp.first+i) * segment
			from, to := max(offset-begin, 0), min(offset+length-begin, int64(len(data)))
			if from >= to {
				return fmt.Errorf("%w: segment %d has %d bytes", ErrDamaged, sp.first+i, len(data))
			}
			n, err := w.Write(data[from:to])
			if err != nil {
				return fmt.Errorf("write: %w", err)
			}
			done += int64(n)
			progress(Progress{Phase: "receiving", Done: done, Total: length})
		}
		sp.segments = nil
		sp.hold.release()
		ahead = ahead[1:]
	}
	return nil
}
