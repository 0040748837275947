package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"lafs/introducer"
)

const (
	// answerTimeout is the time for circuit, service descriptor and answer:
	// each can take tens of seconds on Tor.
	answerTimeout = 3 * time.Minute
	// streamTimeout ends a subscription that the introducer should have
	// ended: its circuit is dead, or it lies.
	streamTimeout = introducer.StreamMax + 15*time.Minute
	// maxLines bounds the announcements of one subscription. An introducer
	// knows at most 1000 servers, and sends at most five lines of each in the
	// three hours that a subscription lasts.
	maxLines = 8192
	// steady is how long a subscription lasts before its end is taken for
	// the ordinary one.
	steady = 5 * time.Minute
)

// An intro is one introducer.
type intro struct {
	petname  string
	furl     *introducer.FURL
	calendar *introducer.Calendar // set by load

	servers *table           // guarded by Client.mu
	status  IntroducerStatus // guarded by Client.mu
}

func (c *Client) newIntro(petname string, f *introducer.FURL) *intro {
	in := &intro{petname: petname, furl: f, servers: newTable(c.cfg.MaxServers, c.pinned)}
	in.status = IntroducerStatus{Petname: petname, Address: f.Address(), Since: c.cfg.Now(),
		Publishes: c.cfg.Publication != nil && f.PublishSecret() != nil}
	c.load(in)
	return in
}

// subscribe holds a subscription open until ctx is done.
func (c *Client) subscribe(ctx context.Context, in *intro) {
	var retry backoff
	for ctx.Err() == nil {
		began := time.Now()
		err := c.session(ctx, in)
		if ctx.Err() != nil {
			return
		}
		c.setDown(in, err)
		if time.Since(began) >= steady {
			retry.reset()
		}
		c.cfg.Log.Debug("introducer: subscription ended", "introducer", in.petname, "err", err)
		sleep(ctx, retry.next(err))
	}
}

// Errors of a session, for the status that a person reads.
var (
	errEnded    = errors.New("the introducer ended the subscription")
	errSilent   = errors.New("the introducer did not answer in time")
	errLong     = errors.New("the introducer sent a line that is too long")
	errEndless  = errors.New("the introducer sent more announcements than any may know")
	errForeign  = errors.New("the introducer does not know the secret in its FURL; ask its operator for a new FURL")
	errOverload = errors.New("the introducer serves as many as it can")
)

// session is one subscription, from request to end. It never returns nil.
func (c *Client) session(ctx context.Context, in *intro) error {
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	resp, err := c.ask(ctx, cancel, in, "subscribe", http.MethodGet, introducer.AnnouncementsPath, in.furl.SubscribeSecret(), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return statusError(resp.StatusCode)
	}
	c.setUp(in)
	// One byte more than a line, so that the longest one fits.
	r := bufio.NewReaderSize(resp.Body, introducer.MaxSize+1)
	for range maxLines {
		line, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return errLong
		case errors.Is(err, io.EOF), errors.Is(err, context.DeadlineExceeded):
			return errEnded
		case err != nil:
			return fmt.Errorf("%w: %w", errEnded, err)
		}
		c.learn(in, line[:len(line)-1])
	}
	return errEndless
}

func (c *Client) learn(in *intro, raw []byte) {
	c.mu.Lock()
	news := in.servers.learn(raw, in.calendar.Today())
	c.mu.Unlock()
	if news {
		c.changed()
	}
}

// ask sends one request. When no answer has begun after answerTimeout, it
// cancels, which must end ctx.
func (c *Client) ask(ctx context.Context, cancel func(), in *intro, group, method, path string, s *introducer.Secret, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://lafs"+path, body)
	if err != nil {
		return nil, fmt.Errorf("ask introducer: %w", err)
	}
	req.Header.Set("Authorization", s.Authorization())
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	timer := time.AfterFunc(answerTimeout, cancel)
	resp, err := c.cfg.Peer(in.furl.Address(), group).RoundTrip(req)
	late := !timer.Stop()
	switch {
	case late:
		if err == nil {
			resp.Body.Close()
		}
		return nil, errSilent
	case err != nil:
		return nil, fmt.Errorf("ask introducer: %w", err)
	}
	return resp, nil
}

func statusError(code int) error {
	switch code {
	case http.StatusUnauthorized:
		return errForeign
	case http.StatusServiceUnavailable:
		return errOverload
	}
	return fmt.Errorf("the introducer answered with HTTP status %d", code)
}
