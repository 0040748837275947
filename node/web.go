package node

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"lafs/node/durable"
	"lafs/onion/local"
)

// The limits of a request to the web API that is only a header, of a
// connection without a request, and of the time that answers under way get
// when the node stops.
const (
	headerTimeout = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	stopTimeout   = 4 * time.Second
)

// buildWeb makes the web API a part of the node: on private/gateway.sock for
// our own command, and on a loopback port for other programs unless that is
// turned off.
func (n *Node) buildWeb() error {
	n.waiting.Add(1)
	n.parts = append(n.parts, part{name: "web API", run: n.serveWeb})
	return nil
}

func (n *Node) serveWeb(ctx context.Context) error {
	socket, err := local.ListenUnix(n.cfg.Dir.Socket())
	if err != nil {
		return err
	}
	defer socket.Close()
	listeners := []net.Listener{socket}
	handlers := []http.Handler{n.withStatus(n.operate(http.HandlerFunc(noFiles)))}
	if n.client != nil {
		if err := writeToken(n.cfg.Dir); err != nil {
			return err
		}
		// The file of another time would send programs, and their caps, to
		// whoever listens there now: before we do, if somebody else has the
		// port, and after.
		os.Remove(n.cfg.Dir.URLFile())
		defer os.Remove(n.cfg.Dir.URLFile())
		var port net.Listener
		if n.cfg.WebPort != "" {
			if port, err = local.ListenLoopback(n.cfg.WebPort); err != nil {
				return settingError("node", "web.port", "%w; if another node has that port, give this one another, or none", err)
			}
			port = newBounded(port, maxForeign)
			defer port.Close()
		}
		forOwn, forOthers, err := n.gateways(port)
		if err != nil {
			return err
		}
		handlers[0] = n.withStatus(n.operate(forOwn))
		if port != nil {
			listeners, handlers = append(listeners, port), append(handlers, forOthers)
			if err := n.writeURL(port.Addr()); err != nil {
				return err
			}
		}
	}
	return n.serveHTTP(ctx, listeners, handlers)
}

// noFiles answers what only a client could do.
func noFiles(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "this node is an introducer, which keeps no files; -d names the directory of another node", http.StatusNotImplemented)
}

// withStatus answers StatusPath and leaves the rest to next. A ServeMux would
// tidy up paths, and dots and slashes in them may be children's names.
func (n *Node) withStatus(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != StatusPath:
			next.ServeHTTP(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			http.Error(w, "the status can only be read", http.StatusMethodNotAllowed)
		default:
			n.serveStatus(w, r)
		}
	})
}

// writeURL writes node.url, where other programs look for the web API.
func (n *Node) writeURL(a net.Addr) error {
	return durable.WriteFile(n.cfg.Dir.URLFile(), []byte("http://"+a.String()+"/\n"), fileMode)
}

// serveHTTP serves each handler on its listener until ctx ends.
func (n *Node) serveHTTP(ctx context.Context, ls []net.Listener, hs []http.Handler) error {
	failed := make(chan error, len(ls))
	servers := make([]*http.Server, len(ls))
	for i, l := range ls {
		s := &http.Server{
			Handler:           n.handler(hs[i]),
			ReadHeaderTimeout: headerTimeout,
			IdleTimeout:       idleTimeout,
			// net/http's own lines may quote what a client sent.
			ErrorLog: log.New(io.Discard, "", 0),
		}
		servers[i] = s
		go func() { failed <- s.Serve(l) }()
	}
	n.done(1)
	var err error
	pending := len(ls)
	select {
	case <-ctx.Done():
	case err = <-failed:
		pending--
	}
	stop, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	for _, s := range servers {
		if s.Shutdown(stop) != nil {
			s.Close()
		}
	}
	for ; pending > 0; pending-- {
		<-failed
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
