package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"lafs/onion"
)

// plainPort is the virtual port of the plain services.
const plainPort = 7

// A plain is a set of onion services that do nothing but count and send
// bytes: what Tor itself can carry, without lafs.
type plain struct {
	client onion.Network
	addrs  []onion.Addr
	// conns are open streams, one list a service, each on its own circuit.
	conns [][]net.Conn
	stop  func()
}

// startPlain publishes a service on each tor of services.
func startPlain(ctx context.Context, services []onion.Network, client onion.Network) (*plain, error) {
	p := &plain{client: client}
	var listeners []net.Listener
	var serving errgroup.Group
	p.stop = func() {
		for _, l := range listeners {
			l.Close()
		}
		for _, list := range p.conns {
			for _, c := range list {
				c.Close()
			}
		}
		serving.Wait()
	}
	for _, service := range services {
		key, err := onion.GenerateKey()
		if err != nil {
			return p, err
		}
		addr, err := key.Addr(plainPort)
		if err != nil {
			return p, err
		}
		ls, err := service.Listen(ctx, onion.Service{Key: key, Ports: []uint16{plainPort}})
		if err != nil {
			return p, fmt.Errorf("publish a plain service: %w", err)
		}
		listeners = append(listeners, ls...)
		p.addrs = append(p.addrs, addr)
		p.conns = append(p.conns, nil)
		serving.Go(func() error {
			for {
				c, err := ls[0].Accept()
				if err != nil {
					return nil
				}
				serving.Go(func() error {
					answer(c)
					return nil
				})
			}
		})
	}
	return p, nil
}

// answer serves one stream: each request is two lengths, bytes that follow
// and bytes wanted back.
func answer(c net.Conn) {
	defer c.Close()
	zeros := make([]byte, 64<<10)
	for {
		var head [16]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		up, down := int64(binary.BigEndian.Uint64(head[:8])), int64(binary.BigEndian.Uint64(head[8:]))
		if _, err := io.CopyN(io.Discard, c, up); err != nil {
			return
		}
		for down > 0 {
			n, err := c.Write(zeros[:min(down, int64(len(zeros)))])
			if err != nil {
				return
			}
			down -= int64(n)
		}
	}
}

// open brings every service to lanes open streams.
func (p *plain) open(ctx context.Context, lanes int) error {
	var group errgroup.Group
	for i := range p.conns {
		missing := lanes - len(p.conns[i])
		if missing <= 0 {
			continue
		}
		group.Go(func() error {
			for range missing {
				c, err := p.client.Dial(ctx, p.addrs[i], onion.NewLane())
				if err != nil {
					return fmt.Errorf("dial a plain service: %w", err)
				}
				p.conns[i] = append(p.conns[i], c)
			}
			return nil
		})
	}
	return group.Wait()
}

// move sends up bytes to each of the first n services, or fetches down from
// each, striped over lanes streams, and returns when all have moved.
func (p *plain) move(ctx context.Context, n, lanes int, up, down int64) error {
	var group errgroup.Group
	for _, list := range p.conns[:n] {
		for _, c := range list[:lanes] {
			group.Go(func() error { return exchange(ctx, c, up/int64(lanes), max(1, down/int64(lanes))) })
		}
	}
	return group.Wait()
}

// fresh is move on streams that are dialled for it, each as soon as it is
// there.
func (p *plain) fresh(ctx context.Context, n, lanes int, up, down int64) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, addr := range p.addrs[:n] {
		for range lanes {
			group.Go(func() error {
				c, err := p.client.Dial(ctx, addr, onion.NewLane())
				if err != nil {
					return fmt.Errorf("dial a plain service: %w", err)
				}
				defer c.Close()
				return exchange(ctx, c, up/int64(lanes), max(1, down/int64(lanes)))
			})
		}
	}
	return group.Wait()
}

// exchangeTimeout is far beyond what a part of 100 MiB takes.
const exchangeTimeout = 5 * time.Minute

// exchange sends up bytes, and then as many as down come back.
func exchange(ctx context.Context, c net.Conn, up, down int64) error {
	c.SetDeadline(time.Now().Add(exchangeTimeout))
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	request := make([]byte, 16+up)
	binary.BigEndian.PutUint64(request[:8], uint64(up))
	binary.BigEndian.PutUint64(request[8:], uint64(down))
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(request)
		sent <- err
	}()
	_, err := io.CopyN(io.Discard, c, down)
	if e := <-sent; err == nil {
		err = e
	}
	return err
}

// trip measures one round trip on an open stream.
func (p *plain) trip(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	err := exchange(ctx, p.conns[0][0], 1, 1)
	return time.Since(start), err
}
