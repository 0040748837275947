package main

import (
	"context"
	"io"
)

// An input is standard input, of which a read ends when the context does: a
// person who is asked for a file or a cap can always leave with Ctrl-C. The
// read that was given up goes on until the process ends, and takes what it
// gets with it.
type input struct {
	ctx context.Context
	r   io.Reader
}

func (in *input) Read(p []byte) (int, error) {
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		data := make([]byte, len(p))
		n, err := in.r.Read(data)
		done <- result{data[:n], err}
	}()
	select {
	case r := <-done:
		return copy(p, r.data), r.err
	case <-in.ctx.Done():
		return 0, in.ctx.Err()
	}
}
