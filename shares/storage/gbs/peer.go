package gbs

import (
	"net/http"

	"lafs/onion/mux"
	"lafs/shares/storage"
	"lafs/shares/storage/tail"
)

// A Peer is where a client's requests go. *mux.Peer is one.
type Peer interface {
	RoundTripper(mux.Class) http.RoundTripper
}

// NewClient speaks to the storage server at peer, with the right that sw
// gives.
func NewClient(peer Peer, sw *storage.Swissnum) *Client {
	c := &Client{swissnum: sw, small: peer.RoundTripper(mux.Small), bulk: peer.RoundTripper(mux.Bulk)}
	c.tail = tail.New(c)
	return c
}
