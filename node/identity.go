package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	"lafs/introducer"
	"lafs/onion"
	"lafs/onion/door"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

const (
	privPrefix = "priv-v0-"
	pubPrefix  = "pub-v0-"
)

// An identity is who a node is: its node key lasts, its onion service is its
// place and may change.
type identity struct {
	// key signs announcements (private/node.privkey).
	key ed25519.PrivateKey
	// place is the onion service's key.
	place *onion.Key
	// addr is where the service answers.
	addr onion.Addr
	// tubID seeds the lease secrets of our clients (my_nodeid).
	tubID [20]byte
	// tub proves the tub id that a server had at Tahoe-LAFS, nil if it is
	// that of the node key.
	tub *introducer.Tub
	// door is the TLS key of a storage server's second door; nil without that
	// role.
	door *door.Identity
	// seed is the permutation seed: written once, never computed again.
	seed []byte
}

// loadIdentity reads the node's identity, and makes what is missing.
func loadIdentity(c *Config) (*identity, error) {
	id := &identity{}
	text, err := ensure(c.Dir.path("private", "node.privkey"), newNodeKey)
	if err != nil {
		return nil, fmt.Errorf("node key: %w", err)
	}
	if id.key, err = parseNodeKey(text); err != nil {
		return nil, err
	}
	pub := id.public()
	pubText := pubPrefix + caps.Encoding.EncodeToString(pub)
	if _, err := ensure(c.Dir.path("node.pubkey"), fixed(pubText)); err != nil {
		return nil, fmt.Errorf("write node.pubkey: %w", err)
	}
	if err := refuseTahoeStorage(c); err != nil {
		return nil, err
	}
	if err := id.loadTub(c); err != nil {
		return nil, err
	}
	if err := ensureTubID(c.Dir, id.tubID); err != nil {
		return nil, err
	}
	if id.seed, err = ensureSeed(c.Dir, pub); err != nil {
		return nil, err
	}
	if c.Storage || c.Introducer {
		if err := id.loadPlace(c); err != nil {
			return nil, err
		}
	}
	return id, nil
}

func fixed(s string) func() (string, error) { return func() (string, error) { return s, nil } }

func newNodeKey() (string, error) {
	var seed [ed25519.SeedSize]byte
	rand.Read(seed[:]) // It never fails: it ends the program first.
	return privPrefix + caps.Encoding.EncodeToString(seed[:]), nil
}

func parseNodeKey(text string) (ed25519.PrivateKey, error) {
	seed, err := caps.Decode(strings.TrimPrefix(text, privPrefix))
	if err != nil || len(seed) != ed25519.SeedSize || !strings.HasPrefix(text, privPrefix) {
		return nil, errors.New("private/node.privkey is damaged: it should hold priv-v0- and 52 base32 characters")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// refuseTahoeStorage refuses to serve storage under a new tub id from a
// directory whose clients know it by the one of node.pem: their leases and
// write enablers hang on it.
func refuseTahoeStorage(c *Config) error {
	if !c.Storage {
		return nil
	}
	state, err := c.Dir.importState()
	if err != nil {
		return err
	}
	if _, err := os.Stat(c.Dir.path("private", "node.pem")); err == nil && state == "" {
		return errors.New("this directory is a Tahoe-LAFS storage server's: make a new one with lafs create-node and take this one over with lafs storage import, or set [storage] enabled = false to use it as a client")
	}
	return nil
}

// ensureTubID writes my_nodeid, which Tahoe-LAFS's programs read. A client
// that came from Tahoe-LAFS keeps its own: nothing hangs on it.
func ensureTubID(d Dir, id [20]byte) error {
	if _, err := ensure(d.path("my_nodeid"), fixed(caps.Encoding.EncodeToString(id[:]))); err != nil {
		return fmt.Errorf("write my_nodeid: %w", err)
	}
	return nil
}

// ensureSeed reads permutation-seed.
func ensureSeed(d Dir, pub ed25519.PublicKey) ([]byte, error) {
	fresh := caps.Encoding.EncodeToString(introducer.DefaultPermutationSeed(pub))
	text, err := ensure(d.path("permutation-seed"), fixed(fresh))
	if err != nil {
		return nil, fmt.Errorf("permutation seed: %w", err)
	}
	seed, err := caps.Decode(text)
	if err != nil || len(seed) == 0 {
		return nil, errors.New("permutation-seed is damaged: restore it from a backup, it decides where shares are looked for")
	}
	return seed, nil
}

// public is the node key's public half.
func (id *identity) public() ed25519.PublicKey { return id.key.Public().(ed25519.PublicKey) }

// loadPlace reads the onion service's key.
func (id *identity) loadPlace(c *Config) error {
	text, err := ensure(c.keyFile, func() (string, error) {
		k, err := onion.GenerateKey()
		if err != nil {
			return "", err
		}
		return k.Marshal(), nil
	})
	if err != nil {
		return fmt.Errorf("onion key: %w", err)
	}
	if id.place, err = onion.ParseKey(text); err != nil {
		return fmt.Errorf("onion key file: %w", err)
	}
	id.addr, err = id.place.Addr(c.OnionPort)
	return err
}

// storageFURL is the address of our storage service as Tahoe-LAFS writes it,
// pb://TUBID@tor:HOST:PORT/SWISSNUM. Secret: it is the right to store.
func (id *identity) storageFURL(sw *storage.Swissnum) string {
	return fmt.Sprintf("pb://%s@tor:%s/%s", caps.Encoding.EncodeToString(id.tubID[:]), id.addr, sw.Reveal())
}
