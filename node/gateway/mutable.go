package gateway

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"

	"lafs/node/dirnode"
	"lafs/shares/caps"
	"lafs/shares/mutable"
)

// Mutables keeps mutable files. Its methods may be called at once, and its
// errors hold no caps.
type Mutables interface {
	// Create makes a mutable file whose first content is what content returns.
	Create(ctx context.Context, o dirnode.CreateOptions, content func(w *caps.MutableWriter) ([]byte, error)) (*caps.MutableWriter, error)
	// ReadRange returns up to length bytes from offset on, fewer only at the
	// end, and the file's size, all of one version. c is a *caps.MutableReader
	// or a *caps.MutableWriter.
	ReadRange(ctx context.Context, c caps.Cap, offset, length int64) (data []byte, size int64, err error)
	// Modify replaces the content by what change makes of the newest one.
	// change may run again on a newer one. Its error ends it and comes back.
	Modify(ctx context.Context, w *caps.MutableWriter, change func(base []byte) ([]byte, error)) error
}

// readMutable answers GET and HEAD of a mutable file.
func (g *gateway) readMutable(w http.ResponseWriter, r *http.Request, c caps.Cap, filename string, save bool) error {
	wanted := r.Header.Get("Range")
	if r.Header.Get("If-Range") != "" {
		wanted = "" // There is no ETag that could match.
	}
	data, from, size, err := g.fetchMutable(r, c, wanted)
	if err != nil {
		return err
	}
	offset, length, status, err := span(w.Header(), wanted, size)
	if err != nil {
		return err
	}
	name(r, w.Header(), filename, save)
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return nil
	}
	if offset < from || offset+length > from+int64(len(data)) {
		clear(w.Header())
		setHeaders(w.Header())
		return refuse(http.StatusRequestEntityTooLarge, "the file is too large to be had at once; ask for ranges of it")
	}
	out := &answer{w: w, rc: http.NewResponseController(w), status: status, idle: g.cfg.Idle}
	out.begin()
	out.Write(data[offset-from : offset-from+length])
	return nil
}

// fetchMutable reads the part that is wanted, as far as that can be told
// before the size is known, and returns where it begins.
func (g *gateway) fetchMutable(r *http.Request, c caps.Cap, wanted string) (data []byte, from, size int64, err error) {
	if err := g.needTree(); err != nil {
		return nil, 0, 0, err
	}
	ctx := r.Context()
	if r.Method == http.MethodHead {
		data, size, err = g.cfg.Mutables.ReadRange(ctx, c, 0, 0)
		return data, 0, size, err
	}
	const beyond = 1 << 62
	length := g.cfg.MaxMutable
	if strings.HasPrefix(wanted, "bytes=-") {
		// The last so many bytes of how many?
		if _, size, err = g.cfg.Mutables.ReadRange(ctx, c, 0, 0); err != nil {
			return nil, 0, 0, err
		}
		if o, l, ok := parseRange(wanted, size); ok {
			from, length = o, min(length, l)
		}
	} else if o, l, ok := parseRange(wanted, beyond); ok {
		from, length = o, min(length, l)
	}
	data, size, err = g.cfg.Mutables.ReadRange(ctx, c, from, length)
	return data, from, size, err
}

// mutableSize asks for the size of a mutable file, nil if c is none.
func (g *gateway) mutableSize(ctx context.Context, c caps.Cap) *int64 {
	switch c.(type) {
	case *caps.MutableReader, *caps.MutableWriter:
	default:
		return nil
	}
	if g.needTree() != nil {
		return nil
	}
	_, size, err := g.cfg.Mutables.ReadRange(ctx, c, 0, 0)
	if err != nil {
		// What the cap tells is right all the same.
		g.cfg.Log.Debug("web API: the size of a mutable file is not known", "err", err)
		return nil
	}
	return &size
}

var errOffset = refuse(http.StatusBadRequest, "offset= is beyond the end of the file")

// overwrite writes data into a mutable file at offset, or instead of all that
// is there if offset is -1.
func (g *gateway) overwrite(ctx context.Context, w *caps.MutableWriter, offset int64, data []byte) error {
	if err := g.needTree(); err != nil {
		return err
	}
	return g.cfg.Mutables.Modify(ctx, w, func(base []byte) ([]byte, error) {
		if offset < 0 {
			return data, nil
		}
		return patch(base, offset, data, g.cfg.MaxMutable)
	})
}

// patch returns base with data at offset. base stays as it is.
func patch(base []byte, offset int64, data []byte, limit int64) ([]byte, error) {
	if offset > int64(len(base)) {
		return nil, errOffset
	}
	size := max(int64(len(base)), offset+int64(len(data)))
	if size > limit {
		return nil, errTooLarge
	}
	out := make([]byte, size)
	copy(out, base)
	copy(out[offset:], data)
	return out, nil
}

var errTooLarge = refuse(http.StatusRequestEntityTooLarge, "a mutable file of that size does not fit into memory here")

// key reads private-key=, the RSA key that a new mutable file or directory is
// to have: PEM, or DER in base64 as Tahoe's programs send it. Nil if none is
// given.
func (a args) key() (*mutable.Key, error) {
	text := strings.TrimSpace(a.Get("private-key"))
	if text == "" {
		return nil, nil
	}
	if !strings.HasPrefix(text, "-----BEGIN ") {
		plain := strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(text)
		der, err := base64.RawStdEncoding.DecodeString(plain)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "private-key= is neither PEM nor base64")
		}
		text = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}))
	}
	key, err := mutable.ParsePEM([]byte(text))
	if err != nil {
		return nil, &Error{http.StatusBadRequest, fmt.Errorf("private-key=: %w", err)}
	}
	return key, nil
}
