package gateway

import (
	"cmp"
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

// read answers GET and HEAD of a file's bytes.
func (g *gateway) read(w http.ResponseWriter, r *http.Request, a args, c caps.Cap, t target) error {
	save, err := a.boolean("save", false)
	if err != nil {
		return err
	}
	filename := cmp.Or(a.Get("filename"), t.file)
	if filename == "" && len(t.names) > 0 {
		filename = t.names[len(t.names)-1]
	}
	switch c.(type) {
	case *caps.CHK, *caps.LIT:
		return g.readImmutable(w, r, c, filename, save)
	case *caps.MutableReader, *caps.MutableWriter:
		return g.readMutable(w, r, c, filename, save)
	case *caps.Unknown, nil:
		return refuse(http.StatusBadRequest, "that is not a cap that this version of lafs knows")
	}
	return refuse(http.StatusBadRequest, "a cap of this kind is not one of a file that can be read")
}

// readImmutable answers with bytes that never change. HEAD, and a conditional
// request for what the caller has, reach no server: cap and ETag say it all.
func (g *gateway) readImmutable(w http.ResponseWriter, r *http.Request, c caps.Cap, filename string, save bool) error {
	size, _ := sizeOf(c)
	h := w.Header()
	tag := entityTag(c)
	h.Set("ETag", tag)
	if matches(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	wanted := r.Header.Get("Range")
	if ir := r.Header.Get("If-Range"); ir != "" && ir != tag {
		wanted = ""
	}
	offset, length, status, err := span(h, wanted, size)
	if err != nil {
		return err
	}
	name(r, h, filename, save)
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return nil
	}
	return g.send(w, r, c, offset, length, status)
}

// span finds what part of a file of size bytes is wanted, and sets the
// headers that tell it.
func span(h http.Header, wanted string, size int64) (offset, length int64, status int, err error) {
	offset, length, status = 0, size, http.StatusOK
	if o, l, ok := parseRange(wanted, size); ok {
		offset, length, status = o, l, http.StatusPartialContent
	}
	if status == http.StatusPartialContent && length == 0 {
		clear(h)
		setHeaders(h)
		h.Set("Content-Range", fmt.Sprintf("bytes */%d", size))
		return 0, 0, 0, refuse(http.StatusRequestedRangeNotSatisfiable, "the file has no such bytes")
	}
	if status == http.StatusPartialContent {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", offset, offset+length-1, size))
	}
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.FormatInt(length, 10))
	return offset, length, status, nil
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
	clear(w.Header())
	setHeaders(w.Header())
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
func name(r *http.Request, h http.Header, filename string, save bool) {
	kind := mime.TypeByExtension(path.Ext(filename))
	if kind == "" {
		kind = "application/octet-stream"
	}
	if active(kind) && shows(r) {
		kind = "text/plain; charset=utf-8"
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

// active tells whether a document of that type can have links in it that a
// browser follows by itself. No policy keeps one from opening connections,
// beyond Tor, to where link rel=preconnect says.
func active(kind string) bool { return strings.Contains(kind, "html") || strings.Contains(kind, "xml") }

// shows tells whether a browser asks in order to show the answer as a
// document, not as a picture in one.
func shows(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "image", "audio", "video", "track":
		return false
	case "":
		return r.Header.Get("Sec-Fetch-Mode") != "" || strings.HasPrefix(r.UserAgent(), "Mozilla/")
	}
	return true
}
