package client

import (
	"time"

	"lafs/onion"
)

// An IntroducerStatus is how one introducer is doing, for a person to read.
type IntroducerStatus struct {
	Petname string
	// Address is linkable: show it only to the node's owner.
	Address   onion.Addr
	Connected bool
	// Since is when Connected last changed.
	Since time.Time
	// LastError says why the last subscription ended or was not had, empty
	// if none did. It holds no address and no secret.
	LastError string
	// Servers is how many servers are known from it, Refused how many
	// announcements of it were not taken since the start: not valid, too
	// many, or not pinned.
	Servers, Refused int
	// Publishes says that our own announcement goes through it. Announced
	// is the sequence number that it accepted last, 0 if none, at
	// AnnouncedAt. AnnounceError says what is in the way at present.
	Publishes     bool
	Announced     uint64
	AnnouncedAt   time.Time
	AnnounceError string
}

// Status returns the introducers' status, ordered by petname.
func (c *Client) Status() []IntroducerStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]IntroducerStatus, len(c.intros))
	for i, in := range c.intros {
		out[i] = in.status
		out[i].Servers, out[i].Refused = len(in.servers.entries), in.servers.refused
		if out[i].Publishes && out[i].AnnounceError == "" {
			out[i].AnnounceError = c.pubErr
		}
	}
	return out
}

// setStatus changes one introducer's status.
func (c *Client) setStatus(in *intro, change func(*IntroducerStatus)) {
	c.mu.Lock()
	change(&in.status)
	c.mu.Unlock()
	c.changed()
}

func (c *Client) setUp(in *intro) {
	c.setStatus(in, func(s *IntroducerStatus) { s.Connected, s.Since, s.LastError = true, c.cfg.Now(), "" })
}

func (c *Client) setDown(in *intro, err error) {
	c.setStatus(in, func(s *IntroducerStatus) {
		if s.Connected {
			s.Connected, s.Since = false, c.cfg.Now()
		}
		s.LastError = err.Error()
	})
}
