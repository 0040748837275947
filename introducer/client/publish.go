package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"lafs/introducer"
)

// A Publication is our own announcement.
type Publication struct {
	// Sign returns the announcement under a sequence number, as
	// introducer.Sign does.
	Sign func(seqnum uint64) ([]byte, error)
	// Seqnum gives the numbers.
	Seqnum Seqnum
}

// A Seqnum is the counter of our announcements.
type Seqnum interface {
	// Next returns a number above the given one and above every number it
	// ever returned. When it returns, the number is durable, so that none
	// is used twice.
	Next(above uint64) (uint64, error)
}

// An announcement is renewed at a random time between these: the introducer
// forgets it after 30 days, and a fixed hour would be a mark.
const (
	renewMin = 24 * time.Hour
	renewMax = 48 * time.Hour
)

// A current is the newest announcement of ours. All introducers are given
// the same.
type current struct {
	pub *Publication

	mu      sync.Mutex // guards what follows; held while a number is made durable
	raw     []byte
	seqnum  uint64
	changed chan struct{} // closed when there is a newer one
}

func (p *current) get() (raw []byte, seqnum uint64, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.raw, p.seqnum, p.changed
}

// raise signs an announcement with a number above the given one, unless the
// current one has such a number.
func (p *current) raise(above uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seqnum > above {
		return nil
	}
	n, err := p.pub.Seqnum.Next(above)
	if err != nil {
		return fmt.Errorf("keep sequence number: %w", err)
	}
	raw, err := p.pub.Sign(n)
	if err != nil {
		return fmt.Errorf("sign announcement: %w", err)
	}
	p.raw, p.seqnum = raw, n
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

// publish signs an announcement, sends it through every introducer that
// allows it, and renews it, until ctx is done.
func (c *Client) publish(ctx context.Context) {
	if !slices.ContainsFunc(c.intros, func(in *intro) bool { return in.furl.PublishSecret() != nil }) {
		return
	}
	p := &current{pub: c.cfg.Publication, changed: make(chan struct{})}
	var work sync.WaitGroup
	defer work.Wait()
	for first := true; ctx.Err() == nil; first = false {
		_, seqnum, _ := p.get()
		c.raise(ctx, p, seqnum)
		if first {
			for _, in := range c.intros {
				if in.furl.PublishSecret() != nil {
					work.Go(func() { c.announce(ctx, in, p) })
				}
			}
		}
		sleep(ctx, renewMin+rand.N(renewMax-renewMin))
	}
}

// raise raises p, and tries again while the disk is in the way.
func (c *Client) raise(ctx context.Context, p *current, above uint64) {
	var retry backoff
	for ctx.Err() == nil {
		err := p.raise(above)
		c.mu.Lock()
		c.pubErr = ""
		if err != nil {
			c.pubErr = err.Error()
		}
		c.mu.Unlock()
		if err == nil {
			return
		}
		c.cfg.Log.Error("introducer: cannot make our announcement", "err", err)
		sleep(ctx, retry.next(err))
	}
}

// announce sends each new announcement of ours to one introducer until it is
// accepted.
func (c *Client) announce(ctx context.Context, in *intro, p *current) {
	var retry backoff
	var accepted uint64
	for ctx.Err() == nil {
		raw, seqnum, changed := p.get()
		if seqnum == accepted {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		newest, err := c.send(ctx, in, raw)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			accepted, retry = seqnum, backoff{}
			c.setStatus(in, func(s *IntroducerStatus) {
				s.Announced, s.AnnouncedAt, s.AnnounceError = seqnum, c.cfg.Now(), ""
			})
			continue
		}
		c.setStatus(in, func(s *IntroducerStatus) { s.AnnounceError = err.Error() })
		c.cfg.Log.Info("introducer: our announcement was not accepted", "introducer", in.petname, "err", err)
		if above, ok := ourNewer(newest, raw); ok {
			// Only our key can have signed it, so no introducer can make us
			// raise the number beyond what we once used.
			c.raise(ctx, p, above)
			if retry.failures == 0 {
				retry.failures++
				continue
			}
		}
		sleep(ctx, retry.next(err))
	}
}

// ourNewer returns the sequence number of newest if it is an announcement of
// the same server as raw with a higher one.
func ourNewer(newest, raw []byte) (uint64, bool) {
	ours, err := introducer.Open(raw)
	if err != nil {
		return 0, false
	}
	theirs, err := introducer.Open(newest)
	if err != nil || !theirs.ServerKey.Equal(ours.ServerKey) || theirs.Seqnum <= ours.Seqnum {
		return 0, false
	}
	return theirs.Seqnum, true
}

var (
	errStale = errors.New("the introducer knows a newer announcement of ours")
	errBad   = errors.New("the introducer finds our announcement not valid; is its lafs older than ours?")
	errFull  = errors.New("the introducer knows as many servers as it can")
)

// send sends one announcement. With errStale comes what the introducer says
// is newer.
func (c *Client) send(ctx context.Context, in *intro, raw []byte) (newest []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*answerTimeout)
	defer cancel()
	resp, err := c.ask(ctx, cancel, in, "announce", http.MethodPost, introducer.AnnouncePath, in.furl.PublishSecret(), bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNoContent:
		return nil, nil
	case http.StatusConflict:
		newest, err := io.ReadAll(io.LimitReader(resp.Body, introducer.MaxSize+1))
		if err != nil {
			return nil, fmt.Errorf("read the introducer's answer: %w", err)
		}
		return newest, errStale
	case http.StatusBadRequest:
		return nil, errBad
	case http.StatusInsufficientStorage:
		return nil, errFull
	}
	return nil, statusError(resp.StatusCode)
}
