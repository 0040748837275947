package client_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"testing"
	"testing/synctest"

	"lafs/introducer"
	"lafs/introducer/client"
)

// A tub makes servers that share one tub id: one operator's, since its RSA
// key signs each.
type tub struct {
	der []byte
	key *rsa.PrivateKey
}

func newTub(t *testing.T) *tub {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tub{der, key}
}

func (b *tub) sign(n *node, seqnum uint64) []byte {
	n.t.Helper()
	a := n.announcement(seqnum)
	var err error
	if a.Tub, err = introducer.SignTub(b.der, b.key, n.key.Public().(ed25519.PublicKey)); err != nil {
		n.t.Fatal(err)
	}
	raw, err := introducer.Sign(a, n.key, n.place)
	if err != nil {
		n.t.Fatal(err)
	}
	return raw
}

// TestTwoServersWithOneTub: of two servers that would get the same secrets,
// the later is refused, whoever tells of it.
func TestTwoServersWithOneTub(t *testing.T) {
	b := newTub(t)
	first, second := newNode(t), newNode(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := newFURL(t)
		w.up(f.Address(), says(b.sign(first, 1), b.sign(second, 5), b.sign(first, 2)))
		c, _ := run(t, client.Config{Peer: w.peer, Introducers: map[string]*introducer.FURL{"a": f}})
		if got := known(c); len(got) != 1 || got[first.id()] != 2 {
			t.Errorf("from one introducer: got %v, want the first of the two", got)
		}
		if r := c.Status()[0].Refused; r != 1 {
			t.Errorf("Refused: got %d, want 1", r)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f, g := newFURL(t), newFURL(t)
		w.up(f.Address(), says(b.sign(first, 1)))
		w.up(g.Address(), says(b.sign(second, 1)))
		c, _ := run(t, client.Config{Peer: w.peer, Introducers: map[string]*introducer.FURL{"a": f, "b": g}})
		if got := known(c); len(got) != 1 {
			t.Errorf("from two introducers: got %v, want one of the two", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := newFURL(t)
		w.up(f.Address(), says(b.sign(first, 1)))
		named, err := introducer.Open(b.sign(second, 1))
		if err != nil {
			t.Fatal(err)
		}
		static := *named
		static.Static = true
		c, _ := run(t, client.Config{Peer: w.peer, Static: []*introducer.Announcement{&static}, Introducers: map[string]*introducer.FURL{"a": f}})
		if got := known(c); len(got) != 1 || got[second.id()] != 1 {
			t.Errorf("beside one that the user named: got %v, want that one", got)
		}
	})
}
