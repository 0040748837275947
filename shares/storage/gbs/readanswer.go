package gbs

import (
	"io"
	"net/http"
	"strconv"
	"sync"

	"lafs/shares/storage"
)

// pieces are buffers of a piece each, for the answers under way.
var pieces = sync.Pool{New: func() any { return new([piece]byte) }}

// A reading is the answer to a request for bytes of a share.
type reading struct {
	*call
	// share is nil where the server can not keep shares open: it is asked for
	// each piece.
	share storage.OpenShare
}

func (c *call) read() error {
	begin, end, ranged := int64(0), int64(-1), false
	if values := c.Request.Header.Values("Range"); len(values) > 0 {
		if begin, end, ranged = parseRange(values[0]); !ranged || len(values) > 1 {
			return refusal(http.StatusRequestedRangeNotSatisfiable)
		}
	}
	r := reading{call: c}
	if o, ok := c.server.(storage.Opener); ok {
		var err error
		if r.share, err = o.Open(c.Context(), c.kind, c.si, c.n); err != nil {
			return err
		}
		defer r.share.Close()
	}
	whole := pieces.Get().(*[piece]byte)
	defer pieces.Put(whole)
	if ranged {
		return r.part(whole[:min(piece, end-begin)], begin, end)
	}
	return r.whole(whole[:])
}

// part answers [begin, end), or what there is of it. It needs no more memory
// than buf.
func (r *reading) part(buf []byte, begin, end int64) error {
	n, err := r.at(begin, buf)
	if err != nil {
		return err
	}
	if n < len(buf) {
		end = begin + int64(n)
	} else if end, err = r.clip(begin+int64(n), end); err != nil {
		return err
	}
	if n == 0 {
		send(r.ResponseWriter, http.StatusNoContent, "", nil)
		return nil
	}
	h := r.ResponseWriter.Header()
	h.Set("Content-Range", formatContentRange(begin, end))
	h.Set("Content-Length", strconv.FormatInt(end-begin, 10))
	r.stream(http.StatusPartialContent, buf, begin, n, end)
	return nil
}

// whole answers the whole share. Its length is not said before.
func (r *reading) whole(buf []byte) error {
	n, err := r.at(0, buf)
	if err != nil {
		return err
	}
	r.stream(http.StatusOK, buf, 0, n, -1)
	return nil
}

// at fills p from offset of the share; fewer bytes are only at its end.
func (r *reading) at(offset int64, p []byte) (int, error) {
	if r.share == nil {
		return r.server.Read(r.Context(), r.kind, r.si, r.n, offset, p)
	}
	if err := r.Context().Err(); err != nil {
		return 0, err
	}
	n, err := r.share.ReadAt(p, offset)
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// clip shortens end to the share's end, which is not before from. Where the
// share is not open, ranges that end inside the share cost one probe.
func (r *reading) clip(from, end int64) (int64, error) {
	if r.share != nil {
		return min(end, r.share.Size()), nil
	}
	for probe := end; from < end; probe = from + (end-from+1)/2 {
		// The answer is in [from, end]; is it probe or more?
		n, err := r.at(probe-1, make([]byte, 1))
		switch {
		case err != nil:
			return 0, err
		case n == 1:
			from = probe
		default:
			end = probe - 1
		}
	}
	return end, nil
}

// stream sends the n bytes at begin that are in buf and then reads on to
// end; -1 is the share's end. An answer that can not be finished is cut, so
// that the client does not take it for whole.
func (r *reading) stream(status int, buf []byte, begin int64, n int, end int64) {
	r.ResponseWriter.Header().Set("Content-Type", "application/octet-stream")
	r.WriteHeader(status)
	for {
		if _, err := r.ResponseWriter.Write(buf[:n]); err != nil {
			panic(http.ErrAbortHandler)
		}
		begin += int64(n)
		if begin == end || (end < 0 && n < len(buf)) {
			return
		}
		if end >= 0 {
			buf = buf[:min(int64(len(buf)), end-begin)]
		}
		var err error
		n, err = r.at(begin, buf)
		if err != nil || (end >= 0 && n < len(buf)) {
			panic(http.ErrAbortHandler)
		}
	}
}
