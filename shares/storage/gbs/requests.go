package gbs

import (
	"context"
	"io"
	"net/http"
	"slices"

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
