package gbs

import (
	"errors"
	"sync/atomic"
	"time"

	"lafs/shares/storage"
)

// A speech is what is known of the requests that a server understands.
type speech struct {
	// ours: it has answered one that only servers of ours know.
	ours atomic.Bool
	// tahoe is when it last did not know one, in Unix seconds.
	tahoe atomic.Int64
}

// forgotten is how long a server is not asked again whether it knows our
// requests: its operator may put ours in the place of Tahoe-LAFS's.
const forgotten = time.Hour

// heard takes in how a request of ours ended, and says whether the server
// does not know it. One that has answered such requests knows them: a 404 of
// it is no more than an error.
func (s *speech) heard(err error) (unknown bool) {
	switch {
	case err == nil:
		s.ours.Store(true)
		s.tahoe.Store(0)
	case errors.Is(err, storage.ErrNotFound) && !s.ours.Load():
		s.tahoe.Store(time.Now().Unix())
		return true
	}
	return false
}

// OnlyTahoe reports that the server, as far as is known, speaks only
// Tahoe-LAFS's protocol: it takes no part in agreeing on changes, which
// clients do by themselves then (storage/tail). It is false before the first
// request of ours.
func (c *Client) OnlyTahoe() bool {
	at := c.speaks.tahoe.Load()
	return at != 0 && time.Since(time.Unix(at, 0)) < forgotten
}
