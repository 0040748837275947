package gbs

import (
	"net/http"
	"time"

	"lafs/onion/mux"
	"lafs/shares/storage"
	"lafs/shares/storage/tail"
)

// A Peer is where a client's requests go. *mux.Peer is one.
type Peer interface {
	RoundTripper(mux.Class) http.RoundTripper
}

// A line is a Peer that knows how its lanes are doing: *mux.Peer.
type line interface {
	Expect(bytes int64)
	Heard() (last time.Time, moved int64, trip time.Duration)
}

// NewClient speaks to the storage server at peer, with the right that sw
// gives.
func NewClient(peer Peer, sw *storage.Swissnum) *Client {
	c := &Client{swissnum: sw, small: peer.RoundTripper(mux.Small), bulk: peer.RoundTripper(mux.Bulk)}
	c.line, _ = peer.(line)
	c.tail = tail.New(c)
	return c
}

// Expect implements storage.Line.
func (c *Client) Expect(bytes int64) {
	if c.line != nil && bytes >= bulk {
		c.line.Expect(bytes)
	}
}

// Heard implements storage.Line.
func (c *Client) Heard() storage.Heard {
	if c.line == nil {
		return storage.Heard{}
	}
	last, moved, trip := c.line.Heard()
	return storage.Heard{Last: last, Moved: moved, Trip: trip}
}
