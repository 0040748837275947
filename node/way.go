package node

import (
	"net/http"
	"slices"

	"lafs/introducer"
	"lafs/onion"
	"lafs/onion/door"
	"lafs/onion/mux"
)

// A place is where a storage server is asked: by onion/mux, or, where pin is
// not zero, over TLS by that key.
type place struct {
	addr onion.Addr
	pin  onion.Pin
}

func placeOf(a *introducer.Announcement) place {
	if a.OnlyTahoe() {
		return place{a.Door.Address, a.Door.Pin}
	}
	return place{addr: a.Address}
}

// A way leads to one storage server.
type way interface {
	RoundTripper(mux.Class) http.RoundTripper
	Status() mux.PeerStatus
	// forget keeps nothing for later requests. Those under way go on.
	forget()
}

type muxWay struct {
	*mux.Peer
	pool *mux.Pool
}

func (w muxWay) forget() { w.pool.Forget(w.Peer) }

type doorWay struct{ *door.Peer }

func (w doorWay) forget() { w.Retire() }

// wayTo returns the way to a place, on circuits of the group's. Those over TLS
// are never shared.
func (c *client) wayTo(at place, group string) way {
	if at.pin == (onion.Pin{}) {
		return muxWay{c.node.pool.Peer(at.addr, group), c.node.pool}
	}
	return doorWay{c.node.doors.Peer(at.addr, at.pin)}
}

// known are the servers that may be used, but for our own, which is reached
// without a detour through Tor. Of two with one tub id only one is: the other
// would collect its write enablers and lease secrets. One whose tub id is
// bound to its key goes before one for which only an entry of servers.yaml
// stands.
func (c *client) known() []*introducer.Announcement {
	n := c.node
	taken := map[[20]byte]bool{}
	if n.storage != nil {
		taken[n.cfg.secrets.tubID] = true
	}
	all := c.intro.Servers()
	slices.SortStableFunc(all, func(a, b *introducer.Announcement) int {
		switch {
		case a.OnlyTahoe() == b.OnlyTahoe():
			return 0
		case b.OnlyTahoe():
			return -1
		}
		return 1
	})
	return slices.DeleteFunc(all, func(a *introducer.Announcement) bool {
		if n.storage != nil && a.ServerID() == n.ownID() || taken[a.TubID] {
			return true
		}
		taken[a.TubID] = true
		return false
	})
}
