package gbs

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"

	"lafs/shares/storage"
)

func (c *call) version() error {
	v, err := c.server.Version(c.Context())
	if err != nil {
		return err
	}
	b, err := marshalVersion(v)
	return sendCBOR(c, http.StatusOK, b, err)
}

func (c *call) allocate() error {
	numbers, size, err := parseAllocate(c.body)
	if err != nil {
		return storage.ErrBadRequest
	}
	a, err := c.server.Allocate(c.Context(), c.si, numbers, size, c.upload(), c.secrets.lease())
	if err != nil {
		return err
	}
	b, err := marshalAllocation(a)
	return sendCBOR(c, http.StatusOK, b, err)
}

// write hands the body on in pieces. One that ends early leaves what came:
// the client may send it again.
func (c *call) write() error {
	begin, end, ok := parseContentRange(c.Request.Header.Get("Content-Range"))
	if !ok {
		return refusal(http.StatusRequestedRangeNotSatisfiable)
	}
	if c.ContentLength >= 0 && c.ContentLength != end-begin {
		return storage.ErrBadRequest
	}
	buf := make([]byte, min(piece, end-begin))
	var missing []storage.Range
	for at := begin; at < end; {
		p := buf[:min(int64(len(buf)), end-at)]
		if n, err := io.ReadFull(c.Body, p); err != nil {
			if n > 0 {
				// Best effort: a client that was cut off goes on behind it.
				_, _ = c.server.Write(context.WithoutCancel(c.Context()), c.si, c.n, c.upload(), at, p[:n])
			}
			return storage.ErrBadRequest
		}
		if at+int64(len(p)) == end && c.ContentLength < 0 && !ended(c.Body) {
			return storage.ErrBadRequest
		}
		var err error
		if missing, err = c.server.Write(c.Context(), c.si, c.n, c.upload(), at, p); err != nil {
			return err
		}
		at += int64(len(p))
	}
	status := http.StatusOK
	if len(missing) == 0 {
		status = http.StatusCreated
	}
	b, err := marshalRequired(missing)
	return sendCBOR(c, status, b, err)
}

// ended says whether r has nothing more.
func ended(r io.Reader) bool {
	_, err := io.ReadFull(r, make([]byte, 1))
	return err == io.EOF
}

func (c *call) abort() error {
	if err := c.server.Abort(c.Context(), c.si, c.n, c.upload()); err != nil {
		return err
	}
	send(c.ResponseWriter, http.StatusOK, "", nil)
	return nil
}

func (c *call) list() error {
	numbers, err := c.server.Shares(c.Context(), c.kind, c.si)
	if err != nil {
		return err
	}
	b, err := marshalShares(slices.Clone(numbers))
	return sendCBOR(c, http.StatusOK, b, err)
}

func (c *call) corrupt() error {
	reason, err := parseCorrupt(c.body)
	if err != nil {
		return storage.ErrBadRequest
	}
	if err := c.server.AdviseCorrupt(c.Context(), c.kind, c.si, c.n, reason); err != nil {
		return err
	}
	send(c.ResponseWriter, http.StatusOK, "", nil)
	return nil
}

func (c *call) lease() error {
	if err := c.server.AddLease(c.Context(), c.si, c.secrets.lease()); err != nil {
		return err
	}
	send(c.ResponseWriter, http.StatusNoContent, "", nil)
	return nil
}

func (c *call) read() error {
	values := c.Request.Header.Values("Range")
	if len(values) == 0 {
		return c.readWhole()
	}
	begin, end, ok := parseRange(values[0])
	if !ok || len(values) > 1 {
		return refusal(http.StatusRequestedRangeNotSatisfiable)
	}
	buf := make([]byte, min(piece, end-begin))
	n, err := c.readAt(begin, buf)
	if err != nil {
		return err
	}
	if n < len(buf) {
		end = begin + int64(n)
	} else if end, err = c.clip(begin+int64(n), end); err != nil {
		return err
	}
	if n == 0 {
		send(c.ResponseWriter, http.StatusNoContent, "", nil)
		return nil
	}
	h := c.ResponseWriter.Header()
	h.Set("Content-Range", formatContentRange(begin, end))
	h.Set("Content-Length", strconv.FormatInt(end-begin, 10))
	c.stream(http.StatusPartialContent, buf, begin, n, end)
	return nil
}

// readWhole answers the whole share, of a length that is not known before.
func (c *call) readWhole() error {
	buf := make([]byte, piece)
	n, err := c.readAt(0, buf)
	if err != nil {
		return err
	}
	c.stream(http.StatusOK, buf, 0, n, -1)
	return nil
}

func (c *call) readAt(offset int64, p []byte) (int, error) {
	return c.server.Read(c.Context(), c.kind, c.si, c.n, offset, p)
}

// clip shortens end to the share's end, which is not before from. Ranges
// that end inside the share cost one probe.
func (c *call) clip(from, end int64) (int64, error) {
	for probe := end; from < end; probe = from + (end-from+1)/2 {
		// The answer is in [from, end]; is it probe or more?
		n, err := c.readAt(probe-1, make([]byte, 1))
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
func (c *call) stream(status int, buf []byte, begin int64, n int, end int64) {
	c.ResponseWriter.Header().Set("Content-Type", "application/octet-stream")
	c.WriteHeader(status)
	for {
		if _, err := c.ResponseWriter.Write(buf[:n]); err != nil {
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
		n, err = c.readAt(begin, buf)
		if err != nil || (end >= 0 && n < len(buf)) {
			panic(http.ErrAbortHandler)
		}
	}
}
