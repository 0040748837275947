package grid

import (
	"context"
	"errors"
	"io"

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

func (s *search) copy(ctx context.Context, w io.Writer, offset, length int64, progress func(Progress)) error {
	s.forgive()
	whole := s.whole()
	if whole {
		if err := s.holdWhole(ctx); err != nil {
			return err
		}
	}
	ahead := s.start(offset, length)
	defer ahead.end()
	if err := s.openFirst(ctx); err != nil {
		return err
	}
	if whole {
		return s.copyWhole(ctx, w, offset, length, progress)
	}
	d, err := s.newDownload(ctx, offset, length, ahead)
	if err != nil {
		return err
	}
	return d.run(ctx, w, progress)
}

// copyWhole writes from shares that are there, or come, as a whole. Their
// memory is held already.
func (s *search) copyWhole(ctx context.Context, w io.Writer, offset, length int64, progress func(Progress)) error {
	segment := s.dec.SegmentSize()
	first, last := int(offset/segment), int((offset+length-1)/segment)
	segments, err := s.fetch(ctx, first, last-first+1)
	if err != nil {
		return err
	}
	d := &download{offset: offset, length: length, cut: cut{segment: segment}}
	n, err := d.write(w, &span{first: first, segments: segments})
	if err != nil {
		return err
	}
	progress(Progress{Phase: "receiving", Done: n, Total: length})
	return nil
}
