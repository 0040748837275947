// Package gateway is a node's local web API (TAHOE.md, "Web API"): an
// http.Handler that programs of this machine, and our own command, put and
// get files through, and change directories and mutable files.
//
// Whoever can send it a request can store files with the node's name on
// them, and whoever knows a cap can read; so it answers no web page of
// another origin, and lets none that it serves run scripts or load anything.
// Caps are secrets: they stand in no log line and no error.
//
// A panic is left to the server that runs the handler.
package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"lafs/node/dirnode"
	"lafs/shares/caps"
	"lafs/shares/mutable"
)

// A Grid stores and reads files. OnGrid makes one of a *grid.Grid. Its
// methods may be called at once, and its errors hold no caps.
type Grid interface {
	// Spool reads r to its end, so that it can be read again. The Source
	// must be closed.
	Spool(r io.Reader) (Source, error)
	// Upload stores a file and returns its cap. progress may be nil; it is
	// called often, from one goroutine at a time.
	Upload(ctx context.Context, src Source, progress func(Progress)) (caps.Cap, error)
	// Open begins to read a CHK or LIT file. The File must be closed.
	Open(ctx context.Context, c caps.Cap) (File, error)
}

// A Source is the plaintext of an upload.
type Source interface {
	Size() int64
	Open() (io.ReadCloser, error)
	Close() error
}

// A File is one that is being read.
type File interface {
	// Copy writes the bytes [offset, offset+length) to w and fetches no
	// others but what it needs to verify them.
	Copy(ctx context.Context, w io.Writer, offset, length int64) error
	Close() error
}

// A Config says what a gateway serves and to whom. Grid and Hosts are
// required.
type Config struct {
	Grid Grid
	// Tree and Mutables keep directories and mutable files, and Checker looks
	// after shares. Without them, what needs them is refused.
	Tree     *dirnode.Tree
	Mutables Mutables
	Checker  Checker
	// Format is that of a mutable file or a directory for which none is asked
	// for.
	Format mutable.Format
	// MaxMutable bounds the bytes of a mutable file that a request may write,
	// or read at once, since they are held in memory; 0 is 64 MiB.
	MaxMutable int64
	// Hosts are the values of the header Host that are answered, exactly as
	// written, such as "127.0.0.1:3456".
	Hosts []string
	// Info is asked for each GET /?t=json. Nil: there is nothing to tell.
	Info func() Info
	// Idle is how long a caller may neither send nor take anything in the
	// middle of a body. 0 is for ever, for a socket that only the node's
	// owner reaches.
	Idle time.Duration
	// MaxRequests bounds the requests at one time; 0 is 128.
	MaxRequests int
	// Log gets no caps. Nil discards.
	Log *slog.Logger
}

// The defaults of a Config.
const (
	defaultRequests = 128
	defaultMutable  = 64 << 20
)

type gateway struct {
	cfg  Config
	busy chan struct{} // one entry per request
}

// New returns the handler. It may be called by many at once.
func New(cfg Config) (http.Handler, error) {
	if cfg.Grid == nil {
		return nil, errors.New("gateway: no grid")
	}
	if len(cfg.Hosts) == 0 || slices.Contains(cfg.Hosts, "") {
		return nil, errors.New("gateway: no host is to be answered")
	}
	if cfg.MaxRequests == 0 {
		cfg.MaxRequests = defaultRequests
	}
	if cfg.MaxMutable == 0 {
		cfg.MaxMutable = defaultMutable
	}
	if cfg.Idle < 0 || cfg.MaxRequests < 0 || cfg.MaxMutable < 0 {
		return nil, errors.New("gateway: a limit is negative")
	}
	if cfg.Info == nil {
		cfg.Info = func() Info { return Info{} }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &gateway{cfg: cfg, busy: make(chan struct{}, cfg.MaxRequests)}, nil
}

// ServeHTTP answers one request.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setHeaders(w.Header())
	if g.cfg.Idle > 0 && r.ContentLength != 0 {
		// The server reads the body of a request that is refused, too.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(g.cfg.Idle))
	}
	if err := g.admit(r); err != nil {
		g.fail(w, err)
		return
	}
	select {
	case g.busy <- struct{}{}:
		defer func() { <-g.busy }()
	default:
		g.fail(w, refuse(http.StatusServiceUnavailable, "the node has too many requests at once; try again later"))
		return
	}
	if err := g.route(w, r); err != nil {
		g.fail(w, err)
	}
}
