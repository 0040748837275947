package gbs

import (
	"errors"
	"hash/maphash"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"

	"lafs/onion/mux"
	"lafs/shares/storage"
)

const (
	// piece is how much of a share one request keeps in memory.
	piece = 64 << 10
	// maxRequests bounds the memory of all requests together to 32 MiB.
	maxRequests = 512
	// drained is how much of a body that is too large is read all the same.
	drained = 1 << 20

	typeCBOR = "application/cbor"
)

// HandlerConfig says whose shares a handler serves.
type HandlerConfig struct {
	// Authorize returns the server that this swissnum gives access to. It
	// compares in constant time and does not keep swissnum, which is secret.
	Authorize func(swissnum []byte) (storage.Server, bool)
	// MaxRequests is how many requests are worked on at once. When there are
	// more, or most are of one session or right to store, one whose client is
	// slow makes room; if there is none, those above are told to come later.
	// 0: 512, which take 32 MiB at most.
	MaxRequests int
	// Budget has the bytes of requests and answers that are in memory at
	// once; requests that would need more are told to come later. It is
	// shared with whatever serves the handler. nil: one of its own.
	Budget *mux.Budget
	// Log gets our own faults; nil: nothing is logged.
	Log *slog.Logger
}

type handler struct {
	cfg   HandlerConfig
	turns *turns
	seed  maphash.Seed
}

// NewHandler serves the storage protocol. An answer never holds the text of
// an error.
func NewHandler(cfg HandlerConfig) http.Handler {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxRequests <= 0 {
		cfg.MaxRequests = maxRequests
	}
	if cfg.Budget == nil {
		cfg.Budget = mux.NewBudget(mux.BudgetConfig{})
	}
	return &handler{cfg, newTurns(cfg.MaxRequests), maphash.MakeSeed()}
}

// A call is one request under way.
type call struct {
	http.ResponseWriter
	*http.Request
	place
	*secrets
	server storage.Server
	body   []byte // of requests with a CBOR body
	memory *claim
}

// serve answers each route.
var serve = map[*route]func(*call) error{
	getVersion:    (*call).version,
	allocate:      (*call).allocate,
	writeShare:    (*call).write,
	abortShare:    (*call).abort,
	listShares:    (*call).list,
	readShare:     (*call).read,
	corrupt:       (*call).corrupt,
	addLease:      (*call).lease,
	readTestWrite: (*call).readTestWrite,
	slotStep:      (*call).slot,
	storeWhole:    (*call).storeAtOnce,
	readWhole:     (*call).readAtOnce,
	beginShare:    (*call).begin,
	readAny:       (*call).readAny,
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// nil keeps net/http from writing a date.
	w.Header()["Date"] = nil
	defer h.recover(w)
	if err := h.handle(w, r); err != nil {
		refuse(w, err)
	}
}

// handle answers a request, but for its error. Who has no right to store
// takes nothing from those who have.
func (h *handler) handle(w http.ResponseWriter, r *http.Request) error {
	swissnum, ok := swissnumOf(r.Header)
	if !ok {
		return storage.ErrUnauthorized
	}
	server, ok := h.cfg.Authorize(swissnum)
	if !ok {
		return storage.ErrUnauthorized
	}
	// Nobody can tell a swissnum from it.
	group := maphash.Bytes(h.seed, swissnum)
	mux.Vouch(r.Context(), group)
	t := h.turns.take(r.Context(), w, mux.SessionOf(r.Context()), group)
	if t == nil {
		return storage.ErrBusy
	}
	defer t.leave()
	if r.Body != nil {
		r.Body = turnBody{r.Body, t}
	}
	c := &call{ResponseWriter: turnWriter{w, t}, Request: r, server: server, memory: &claim{of: h.cfg.Budget.Claim(r.Context(), group)}}
	defer c.memory.end()
	if err := h.call(c); err != nil {
		refuse(c.ResponseWriter, err)
	}
	return nil
}

func (h *handler) call(c *call) error {
	rt, err := c.find()
	if err != nil {
		return err
	}
	var ok bool
	if c.secrets, ok = secretsOf(c.Request.Header, rt.secrets); !ok {
		return storage.ErrBadRequest
	}
	if rt.cbor && !accepts(c.Request.Header.Values("Accept")) {
		return refusal(http.StatusNotAcceptable)
	}
	if rt.maxBody != streamBody {
		if err := c.readBody(rt.maxBody); err != nil {
			return err
		}
	}
	return serve[rt](c)
}

// find looks the request up in the table. The protocol has no queries.
func (c *call) find() (*route, error) {
	err := error(storage.ErrNotFound)
	for rt := range serve {
		p, ok := rt.match(c.URL.Path)
		if !ok {
			continue
		}
		if rt.method == c.Method {
			c.place = p
			return rt, nil
		}
		err = refusal(http.StatusMethodNotAllowed)
	}
	return nil, err
}

// readBody reads a body of at most limit bytes.
func (c *call) readBody(limit int64) error {
	if c.ContentLength > limit {
		// A client that is cut off while it sends may not see the answer.
		_, _ = io.Copy(io.Discard, io.LimitReader(c.Body, drained))
		return storage.ErrTooLarge
	}
	b, err := c.memory.readAll(io.LimitReader(c.Body, limit+1), c.ContentLength)
	switch {
	case errors.Is(err, storage.ErrBusy):
		// A client that is cut off while it sends may not see the answer.
		_, _ = io.Copy(io.Discard, io.LimitReader(c.Body, limit))
		return err
	case err != nil:
		return storage.ErrBadRequest
	case int64(len(b)) > limit:
		return storage.ErrTooLarge
	case limit > 0 && !isCBOR(c.Request.Header.Get("Content-Type")):
		return refusal(http.StatusUnsupportedMediaType)
	}
	c.body = b
	return nil
}

// isCBOR: a missing type is taken for CBOR, as Tahoe does.
func isCBOR(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.TrimSpace(kind)
	return kind == "" || strings.EqualFold(kind, typeCBOR)
}

// accepts says whether CBOR may be answered.
func accepts(values []string) bool {
	for _, v := range values {
		for item := range strings.SplitSeq(v, ",") {
			kind, params, _ := strings.Cut(item, ";")
			if q := strings.ReplaceAll(params, " ", ""); q == "q=0" || strings.HasPrefix(q, "q=0.0") {
				continue
			}
			switch strings.ToLower(strings.TrimSpace(kind)) {
			case typeCBOR, "application/*", "*/*":
				return true
			}
		}
	}
	return len(values) == 0
}

// refuse answers with an error's status and fixed text.
func refuse(w http.ResponseWriter, err error) {
	status, text := statusOf(err)
	send(w, status, "text/plain", []byte(text))
}

func send(w http.ResponseWriter, status int, contentType string, body []byte) {
	if contentType != "" {
		w.Header().Set("Content-Type", contentType)
	}
	if status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	// A client that is gone needs no answer.
	_, _ = w.Write(body)
}

func sendCBOR(c *call, status int, body []byte, err error) error {
	if err != nil {
		return storage.ErrBroken
	}
	send(c.ResponseWriter, status, typeCBOR, body)
	return nil
}

// recover answers a panic of ours, and logs the functions it went through:
// a traceback would print arguments.
func (h *handler) recover(w http.ResponseWriter) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	var names []string
	for {
		f, more := frames.Next()
		names = append(names, f.Function)
		if !more {
			break
		}
	}
	h.cfg.Log.Error("the storage handler panicked", "functions", names)
	refuse(w, storage.ErrBroken)
}
