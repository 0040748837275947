package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"lafs/shares/caps"
)

// read answers GET and HEAD of a file. HEAD, and a conditional request for
// what the caller has, reach no server: cap and ETag say it all.
func (g *gateway) read(w http.ResponseWriter, r *http.Request, text string) error {
	q, err := query(r, "filename", "save", "t")
	if err != nil {
		return err
	}
	if q.Get("t") != "" {
		return refuse(http.StatusBadRequest, "this version of lafs gives only a file's bytes; leave t= out")
	}
	c, size, err := parseCap(text)
	if err != nil {
		return err
	}
	h := w.Header()
	tag := entityTag(c)
	h.Set("ETag", tag)
	h.Set("Accept-Ranges", "bytes")
	if matches(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	name(h, q.Get("filename"), q.Get("save") == "true")
	offset, length, status := int64(0), size, http.StatusOK
	if ir := r.Header.Get("If-Range"); ir == "" || ir == tag {
		if o, l, ok := parseRange(r.Header.Get("Range"), size); ok {
			offset, length, status = o, l, http.StatusPartialContent
		}
	}
	if status == http.StatusPartialContent {
		if length == 0 {
			clear(h)
			setHeaders(h)
			h.Set("Content-Range", fmt.Sprintf("bytes */%d", size))
			return refuse(http.StatusRequestedRangeNotSatisfiable, "the file has no such bytes")
		}
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", offset, offset+length-1, size))
	}
	h.Set("Content-Length", strconv.FormatInt(length, 10))
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return nil
	}
	return g.send(w, r, c, offset, length, status)
}

// send fetches and sends the bytes. A failure before the first is an error
// with a status of its own; after it, only breaking the connection tells the
// caller that the rest does not come.
func (g *gateway) send(w http.ResponseWriter, r *http.Request, c caps.Cap, offset, length int64, status int) error {
	out := &answer{w: w, rc: http.NewResponseController(w), status: status, idle: g.cfg.Idle}
	err := g.copy(r.Context(), out, c, offset, length)
	switch {
	case err == nil:
		out.begin()
		return nil
	case out.begun:
		if !errors.Is(err, context.Canceled) {
			g.cfg.Log.Warn("web API: broke off an answer", "err", err)
		}
		panic(http.ErrAbortHandler)
	}
	for _, key := range []string{"ETag", "Accept-Ranges", "Content-Range", "Content-Length", "Content-Disposition"} {
		w.Header().Del(key)
	}
	return err
}

func (g *gateway) copy(ctx context.Context, out *answer, c caps.Cap, offset, length int64) error {
	f, err := g.cfg.Grid.Open(ctx, c)
	if err != nil {
		return err
	}
	err = f.Copy(ctx, out, offset, length)
	return errors.Join(err, f.Close())
}

// An answer is a body that begins with its first byte, and whose reader must
// not fall asleep for longer than idle.
type answer struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	status int
	idle   time.Duration
	begun  bool
}

func (a *answer) begin() {
	if !a.begun {
		a.begun = true
		a.w.WriteHeader(a.status)
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.begin()
	if a.idle > 0 {
		// Not every ResponseWriter has deadlines.
		_ = a.rc.SetWriteDeadline(time.Now().Add(a.idle))
	}
	return a.w.Write(p)
}

// entityTag is the same for the same bytes: a cap of an immutable file names
// them for ever. It gives no right to read.
func entityTag(c caps.Cap) string {
	if chk, ok := c.(*caps.CHK); ok {
		return `"` + chk.StorageIndex().String() + `"`
	}
	sum := sha256.Sum256([]byte(c.Reveal()))
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// matches reads a header If-None-Match.
func matches(header, tag string) bool {
	for _, t := range strings.Split(header, ",") {
		if t = strings.TrimSpace(t); t == "*" || strings.TrimPrefix(t, "W/") == tag {
			return true
		}
	}
	return false
}

// name sets what a browser makes of the bytes, from the name that the caller
// gives them.
func name(h http.Header, filename string, save bool) {
	kind := mime.TypeByExtension(path.Ext(filename))
	if kind == "" {
		kind = "application/octet-stream"
	}
	h.Set("Content-Type", kind)
	if !save {
		return
	}
	params := map[string]string{}
	if filename != "" {
		params["filename"] = filename
	}
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", params))
}
