package node

import (
	"context"
	"net/http"
	"time"

	"lafs/onion"
	"lafs/onion/mux"
)

// The wait before a service is published again after it could not be, or
// stopped: it doubles from the first to the last.
const (
	firstRetry = 2 * time.Second
	lastRetry  = time.Minute
)

// publish makes the onion service a part of the node that serves h.
func (n *Node) publish(name string, h http.Handler) {
	h = n.handler(h)
	n.waiting.Add(1)
	n.parts = append(n.parts, part{name: name, run: func(ctx context.Context) error {
		n.serveOnion(ctx, name, h)
		return nil
	}})
}

// serveOnion publishes the service and serves it until ctx ends, again and
// again when it stops: Tor may be down for as long as it likes.
func (n *Node) serveOnion(ctx context.Context, name string, h http.Handler) {
	wait := firstRetry
	first := true
	for ctx.Err() == nil {
		start := time.Now()
		err := n.serveOnce(ctx, h, func() {
			n.published.Store(true)
			n.log.Info("published the onion service", "part", name)
			if first {
				first = false
				n.done(1)
			}
		})
		n.published.Store(false)
		if ctx.Err() != nil {
			return
		}
		if time.Since(start) > lastRetry {
			wait = firstRetry
		}
		n.log.Warn("the onion service is not served; trying again", "part", name, "error", err, "in", wait)
		if !sleep(ctx, wait) {
			return
		}
		wait = min(2*wait, lastRetry)
	}
}

func (n *Node) serveOnce(ctx context.Context, h http.Handler, up func()) error {
	ls, err := n.deps.Network.Listen(ctx, onion.Service{Key: n.cfg.secrets.place, Ports: []uint16{n.cfg.OnionPort}})
	if err != nil {
		return err
	}
	defer ls[0].Close()
	up()
	return mux.Serve(ctx, ls[0], h, mux.ServerConfig{Log: n.log})
}

// sleep waits and reports whether ctx still lasts.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
