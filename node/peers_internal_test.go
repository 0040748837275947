package node

import (
	"crypto/ed25519"
	"testing"

	"lafs/introducer"
	"lafs/onion"
	"lafs/onion/mux"
	"lafs/onion/oniontest"
)

// An introducer can name a new place for a server, and new servers, as often
// as it likes: what is kept of the old ones would grow for ever.
func TestOldPlacesAreForgotten(t *testing.T) {
	pool, err := mux.NewPool(oniontest.New(oniontest.Options{}).Host("client"), mux.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	c := &client{node: &Node{pool: pool}, peers: map[string]peer{}}
	sw, err := introducer.NewSwissnum("abcdefghijklmnopqrstuvwxyz234567")
	if err != nil {
		t.Fatal(err)
	}
	at := func() *introducer.Announcement {
		k, err := onion.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		a, err := k.Addr(80)
		if err != nil {
			t.Fatal(err)
		}
		return &introducer.Announcement{ServerKey: make(ed25519.PublicKey, ed25519.PublicKeySize), Address: a, Swissnum: sw}
	}
	here, there := at(), at()
	first := muxOf(c, here)
	if muxOf(c, here) != first {
		t.Error("a server that stays where it is gets another way")
	}
	second := muxOf(c, there)
	if pool.Peer(here.Address, groupOf(sw)) == first {
		t.Error("the place that the server left is kept")
	}
	c.forget([]*introducer.Announcement{there})
	if pool.Peer(there.Address, groupOf(sw)) != second {
		t.Error("a server that is known is forgotten")
	}
	c.forget(nil)
	if len(c.peers) != 0 || pool.Peer(there.Address, groupOf(sw)) == second {
		t.Error("a server that is not known any more is kept")
	}
}

func muxOf(c *client, a *introducer.Announcement) *mux.Peer { return c.peer(a).way.(muxWay).Peer }
