package node

import (
	"context"
	"fmt"
	"time"

	"lafs/onion"
)

const (
	// readyPoll is how often a node that is starting looks at itself; it
	// asks nobody.
	readyPoll = 50 * time.Millisecond
	// peersWait is how long a client that has its network waits for servers
	// to be known: an introducer may be down, and the user's other servers
	// are no reason to keep him waiting.
	peersWait = 20 * time.Second
)

// buildReady makes the node ready only once a file could be put or read: its
// network has come up, and a client knows servers, or knows that it cannot
// know any for now.
func (n *Node) buildReady() error {
	n.waiting.Add(1)
	n.parts = append(n.parts, part{name: "start", run: func(ctx context.Context) error {
		if n.await(ctx, 0, n.networkUp) {
			if n.client != nil {
				n.await(ctx, peersWait, n.client.settled)
			}
			n.done(1)
		}
		return nil
	}})
	return nil
}

// await returns true when cond holds or limit is over, and false when ctx
// ends first. A limit of 0 is none.
func (n *Node) await(ctx context.Context, limit time.Duration, cond func() bool) bool {
	start := time.Now()
	for !cond() && (limit == 0 || time.Since(start) < limit) {
		if !sleep(ctx, readyPoll) {
			return false
		}
	}
	return ctx.Err() == nil
}

// networkUp reports whether the network is connected, or cannot be asked.
func (n *Node) networkUp() bool {
	if n.deps.NetworkStatus == nil {
		return true
	}
	s := n.deps.NetworkStatus()
	return s.Bootstrap == 100 || s.Bootstrap < 0
}

// settled reports whether the client knows servers, or has heard from every
// introducer that there are none or that it cannot be reached.
func (c *client) settled() bool {
	if len(c.intro.Servers()) > 0 {
		return true
	}
	for _, in := range c.intro.Status() {
		// One that is just connected has not told all that it knows.
		if in.Connected && time.Since(in.Since) < time.Second || !in.Connected && in.LastError == "" {
			return false
		}
	}
	return true
}

// networkError says in a person's words what is wrong with the network, nil
// when nothing is known to be.
func (n *Node) networkError() error {
	if n.deps.NetworkStatus == nil {
		return nil
	}
	s := n.deps.NetworkStatus()
	switch {
	case s.Ready():
		return nil
	case s.Bootstrap == 100:
		return fmt.Errorf("Tor says: %s", s.Warning)
	}
	text := fmt.Sprintf("%d%%", s.Bootstrap)
	for _, more := range []string{s.Summary, s.Warning} {
		if more != "" {
			text += ", " + more
		}
	}
	err := fmt.Errorf("%w (%s)", onion.ErrTorDown, text)
	if !n.isReady.Load() {
		err = fmt.Errorf("the node is still starting: %w", err)
	}
	return err
}
