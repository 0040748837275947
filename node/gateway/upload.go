package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"lafs/shares/caps"
)

// ProgressType asks, in the header Accept of a request that stores a file, for an answer of one
// JSON object a line: an Update of how far the upload is at most each half
// second, and a last one with the cap or the error. Who does not ask gets
// the cap alone, and the work costs nothing more.
const ProgressType = "application/x-lafs-progress"

// A Progress is how far an upload is.
type Progress struct {
	// Phase is "hashing", "asking", "sending", "waiting for Tor" or "stored".
	Phase string `json:"phase"`
	// Done and Total count bytes: of the file when hashing, of shares when
	// sending.
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
	// Saved is how many bytes of shares servers held already, told when the
	// file is stored.
	Saved int64 `json:"saved,omitempty"`
	// Rest, told when the file is stored, gives what became of shares that
	// are still on their way; nil if there are none.
	Rest <-chan Placement `json:"-"`
}

// A Placement is where the shares of a file are in the end.
type Placement struct {
	// Shares of Total were placed, on so many Servers.
	Shares  int `json:"shares"`
	Total   int `json:"total"`
	Servers int `json:"servers"`
}

// An Update is one line of an answer of ProgressType. Cap, a secret, with
// Held, which is Progress.Saved, and Error with its Status stand only in the
// last; but where Pending says that some shares are still on their way, one
// more may follow, with Placed.
type Update struct {
	*Progress
	Cap  string `json:"cap,omitempty"`
	Held int64  `json:"held,omitempty"`
	// Pending and Placed are about shares that the file does not need to be
	// safely stored.
	Pending bool       `json:"pending,omitempty"`
	Placed  *Placement `json:"placed,omitempty"`

	Error  string `json:"error,omitempty"`
	Status int    `json:"status,omitempty"`
}

// A made is the cap of what a request made or changed, and whether it is new
// where it is.
type made struct {
	cap     caps.Cap
	created bool
}

// answerMade answers with the cap that work makes.
func (g *gateway) answerMade(w http.ResponseWriter, r *http.Request, a args, work func(func(Progress)) (made, error)) error {
	if r.Header.Get("Accept") == ProgressType {
		g.answerTelling(w, r, work)
		return nil
	}
	m, err := work(nil)
	if err != nil {
		return err
	}
	return finish(w, a, m)
}

// finish answers with a cap, or sends a browser on, if it says where to.
func finish(w http.ResponseWriter, a args, m made) error {
	to, err := a.next(m.cap)
	if err != nil {
		return err
	}
	if to != "" {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if m.created {
		w.WriteHeader(http.StatusCreated)
	}
	io.WriteString(w, m.cap.Reveal())
	return nil
}

// next is where a browser goes when the work is done, "" if it stays.
func (a args) next(c caps.Cap) (string, error) {
	yes, err := a.boolean("redirect_to_result", false)
	if err != nil {
		return "", err
	}
	if yes && c != nil {
		return "/uri/" + url.PathEscape(c.Reveal()), nil
	}
	to := strings.ReplaceAll(a.Get("when_done"), "%(uri)s", url.QueryEscape(reveal(c)))
	u, err := url.Parse(to)
	// Browsers take a backslash for a slash, and skip what does not print.
	if err != nil || u.IsAbs() || u.Host != "" || strings.HasPrefix(to, "//") || strings.ContainsFunc(to, unfit) {
		return "", refuse(http.StatusBadRequest, "when_done= leads away from this node")
	}
	return to, nil
}

func unfit(r rune) bool { return r == '\\' || r <= ' ' || r == 0x7f }

// tellEvery is how often a person wants to see progress.
const tellEvery = 500 * time.Millisecond

// answerTelling does the work and tells how far it is. Its caller may read as
// slowly as it likes: the work does not wait for it.
func (g *gateway) answerTelling(w http.ResponseWriter, r *http.Request, work func(func(Progress)) (made, error)) {
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
	var held atomic.Int64
	var rest atomic.Value // of a <-chan Placement
	m, err := work(func(p Progress) {
		held.Store(p.Saved)
		if p.Rest != nil {
			rest.Store(p.Rest)
		}
		latest.Store(&p)
	})
	close(ended)
	<-told
	if err != nil {
		tell(Update{Error: err.Error(), Status: g.note(err)})
		return
	}
	placed, pending := rest.Load().(<-chan Placement)
	tell(Update{Cap: m.cap.Reveal(), Held: held.Load(), Pending: pending})
	if !pending {
		return
	}
	select {
	case p, ok := <-placed:
		if ok {
			tell(Update{Placed: &p})
		}
	case <-r.Context().Done():
	}
}
