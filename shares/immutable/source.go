package immutable

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// A ShareReader reads one share from wherever it is. It may be called by many
// at once.
type ShareReader interface {
	// ReadShare fills p from offset and returns how many bytes there were:
	// fewer than len(p), without an error, only at the share's end.
	ReadShare(ctx context.Context, offset int64, p []byte) (int, error)
}

// A span is the length bytes from offset of a share.
type span struct{ offset, length int64 }

func (s span) end() int64 { return s.offset + s.length }

// join is the least span that holds both.
func (s span) join(t span) span {
	first := min(s.offset, t.offset)
	return span{first, max(s.end(), t.end()) - first}
}

// A held span is what a share has there: shorter than asked for where the
// share ends.
type held struct {
	span
	data []byte
}

// A source reads spans of a share, and holds what it has read.
type source struct {
	reader ShareReader
	held   []held
}

// fetch makes sure that all spans are held: those that are not are read at
// the same time.
func (s *source) fetch(ctx context.Context, spans ...span) error {
	var missing []held
	for _, want := range spans {
		if _, ok := s.find(want); !ok {
			missing = append(missing, held{span: want})
		}
	}
	if len(missing) == 0 {
		return nil
	}
	all, ctx := errgroup.WithContext(ctx)
	for i := range missing {
		all.Go(func() (err error) {
			missing[i].data, err = s.read(ctx, missing[i].span)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	s.held = append(s.held, missing...)
	return nil
}

var errReader = errors.New("read share: the reader counts bytes that it was not asked for")

func (s *source) read(ctx context.Context, want span) ([]byte, error) {
	p := make([]byte, want.length)
	n, err := s.reader.ReadShare(ctx, want.offset, p)
	if err != nil {
		return nil, fmt.Errorf("read share: %w", err)
	}
	if n < 0 || n > len(p) {
		return nil, errReader
	}
	if n < len(p)/2 {
		return append([]byte(nil), p[:n]...), nil // lets go of the rest
	}
	return p[:n], nil
}

// find returns what is held of a span: cut short where the share ends.
func (s *source) find(want span) ([]byte, bool) {
	for _, h := range s.held {
		have := int64(len(h.data))
		// Where the share has ended, nothing more is to be read.
		if ended := have < h.length; h.offset > want.offset || want.end() > h.end() && !ended {
			continue
		}
		from := min(want.offset-h.offset, have)
		return h.data[from:min(want.end()-h.offset, have)], true
	}
	return nil, false
}

// upTo fetches one span and returns it, or less where the share ends.
func (s *source) upTo(ctx context.Context, want span) ([]byte, error) {
	if err := s.fetch(ctx, want); err != nil {
		return nil, err
	}
	data, _ := s.find(want)
	return data, nil
}

// whole fetches one span and returns all of it: a share that ends before is
// corrupt.
func (s *source) whole(ctx context.Context, want span) ([]byte, error) {
	data, err := s.upTo(ctx, want)
	if err == nil && int64(len(data)) < want.length {
		return nil, corrupt("it ends too early")
	}
	return data, err
}
