package node

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"lafs/onion"
	"lafs/onion/door"
	"lafs/onion/mux"
)

// The wait before a service is published again after it could not be, or
// stopped: it doubles from the first to the last.
const (
	firstRetry = 2 * time.Second
	lastRetry  = time.Minute
)

// publish makes the onion service a part of the node that serves h: by
// onion/mux, and where tls is not nil, over TLS on a second port too.
func (n *Node) publish(name string, h http.Handler, tls *door.Identity) {
	h = n.handler(h)
	n.waiting.Add(1)
	n.parts = append(n.parts, part{name: name, run: func(ctx context.Context) error {
		n.serveOnion(ctx, name, h, tls)
		return nil
	}})
}

// serveOnion publishes the service and serves it until ctx ends, again and
// again when it stops: Tor may be down for as long as it likes.
func (n *Node) serveOnion(ctx context.Context, name string, h http.Handler, tls *door.Identity) {
	wait := firstRetry
	first := true
	for ctx.Err() == nil {
		start := time.Now()
		err := n.serveOnce(ctx, h, tls, func() {
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

// serveOnce serves on both ports until one of them fails.
func (n *Node) serveOnce(ctx context.Context, h http.Handler, tls *door.Identity, up func()) error {
	ports := []uint16{n.cfg.OnionPort}
	if tls != nil {
		ports = append(ports, n.cfg.TahoePort)
	}
	ls, err := n.deps.Network.Listen(ctx, onion.Service{Key: n.cfg.secrets.place, Ports: ports})
	if err != nil {
		return err
	}
	for _, l := range ls {
		defer l.Close()
	}
	up()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return mux.Serve(ctx, ls[0], h, mux.ServerConfig{Budget: n.budget, Log: n.log}) })
	if tls != nil {
		group.Go(func() error { return door.Serve(ctx, ls[1], tls, h, door.ServerConfig{Budget: n.budget, Log: n.log}) })
	}
	return group.Wait()
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
