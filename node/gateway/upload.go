package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"lafs/shares/caps"
)

// ProgressType asks, in the header Accept of PUT /uri, for an answer of one
// JSON object a line: an Update of how far the upload is at most each half
// second, and a last one with the cap or the error. Who does not ask gets
// the cap alone, and the work costs nothing more.
const ProgressType = "application/x-lafs-progress"

// A Progress is how far an upload is.
type Progress struct {
	// Phase is "hashing", "asking" or "sending".
	Phase string `json:"phase"`
	// Done and Total count bytes: of the file when hashing, of shares when
	// sending.
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
}

// An Update is one line of an answer of ProgressType. Cap, a secret, and
// Error with its Status stand only in the last.
type Update struct {
	*Progress
	Cap    string `json:"cap,omitempty"`
	Error  string `json:"error,omitempty"`
	Status int    `json:"status,omitempty"`
}

// upload answers PUT /uri.
func (g *gateway) upload(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "format", "mutable")
	if err != nil {
		return err
	}
	if f := q.Get("format"); f != "" && f != "CHK" && f != "chk" || q.Get("mutable") == "true" {
		return refuse(http.StatusBadRequest, "this version of lafs stores only immutable files (format=CHK)")
	}
	if r.ContentLength > caps.MaxSize {
		return refuse(http.StatusRequestEntityTooLarge, "no file can be that large")
	}
	in := &body{r: r.Body, rc: http.NewResponseController(w), idle: g.cfg.Idle}
	src, err := g.cfg.Grid.Spool(in)
	if in.err != nil {
		return refuse(http.StatusBadRequest, "the file was cut off while it was being sent")
	}
	if err != nil {
		return err
	}
	defer src.Close()
	if r.Header.Get("Accept") == ProgressType {
		g.uploadTelling(w, r, src)
		return nil
	}
	c, err := g.cfg.Grid.Upload(r.Context(), src, nil)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, c.Reveal())
	return nil
}

// tellEvery is how often a person wants to see progress.
const tellEvery = 500 * time.Millisecond

// uploadTelling uploads and tells how far it is. Its caller may read as
// slowly as it likes: the upload does not wait for it.
func (g *gateway) uploadTelling(w http.ResponseWriter, r *http.Request, src Source) {
	w.Header().Set("Content-Type", ProgressType)
	enc, rc := json.NewEncoder(w), http.NewResponseController(w)
	tell := func(u Update) {
		if g.cfg.Idle > 0 {
			_ = rc.SetWriteDeadline(time.Now().Add(g.cfg.Idle))
		}
		// A caller that is gone ends the request's context.
		if enc.Encode(u) == nil {
			_ = rc.Flush()
		}
	}
	var latest atomic.Pointer[Progress]
	ended, told := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(told)
		tick := time.NewTicker(tellEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if p := latest.Swap(nil); p != nil {
					tell(Update{Progress: p})
				}
			case <-ended:
				return
			}
		}
	}()
	c, err := g.cfg.Grid.Upload(r.Context(), src, func(p Progress) { latest.Store(&p) })
	close(ended)
	<-told
	if err != nil {
		tell(Update{Error: err.Error(), Status: status(err)})
		return
	}
	tell(Update{Cap: c.Reveal()})
}

// A body is a request's, whose sender must not fall asleep for longer than
// idle.
type body struct {
	r    io.Reader
	rc   *http.ResponseController
	idle time.Duration
	err  error // what ended it, but for its end
}

func (b *body) Read(p []byte) (int, error) {
	if b.idle > 0 {
		_ = b.rc.SetReadDeadline(time.Now().Add(b.idle))
	}
	n, err := b.r.Read(p)
	if err != nil {
		// From here on the server listens for the caller's end, and a
		// deadline would be one.
		_ = b.rc.SetReadDeadline(time.Time{})
		if err != io.EOF {
			b.err = err
		}
	}
	return n, err
}
