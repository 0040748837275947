package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"lafs/introducer"
	"lafs/node/durable"
	"lafs/node/store"
)

// NewIdentity makes the storage server of a node that does not run another
// one: with a new node key, tub id, onion address and right to store. It is
// the way out for a server that lost its votes. The old identity's files are
// kept, in the directory that it returns the name of, below the node's. The
// shares stay; the votes that were given under the old name are nobody's
// now. The caller holds the node's directory, and loads it anew.
//
// The address changes too: clients that still know the old server would take
// the two at one place for two, and trust them with two shares and two
// votes.
func NewIdentity(c *Config, now time.Time) (kept string, err error) {
	if !c.Storage {
		return "", errNoStorage
	}
	// First, so that a new name finds no votes whatever happens then.
	if err := store.Disown(storeConfig(c, c.secrets, nil, nil).Witness); err != nil {
		return "", fmt.Errorf("let go of the votes: %w", err)
	}
	name, err := c.Dir.fresh("old-identity-" + now.UTC().Format(time.DateOnly))
	if err != nil {
		return "", err
	}
	to := c.Dir.path("private", name)
	if err := durable.Mkdir(to, dirMode); err != nil {
		return "", fmt.Errorf("make a directory for the old identity: %w", err)
	}
	d := c.Dir
	// The key comes last: what is cut off before is the old server at a new
	// place, and the same command goes on.
	for _, from := range []string{
		c.keyFile, d.path("private", "storage.furl"), d.seqnumFile(), d.path("my_nodeid"), d.path("node.pubkey"),
		d.tahoeKeyFile(), d.doorKeyFile(), d.path("private", "node.privkey"),
	} {
		err := durable.Rename(from, filepath.Join(to, filepath.Base(from)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = durable.SyncDir(filepath.Dir(from))
		}
		if err != nil {
			return "", fmt.Errorf("keep %s: %w", filepath.Base(from), err)
		}
	}
	return "private/" + name, nil
}

// fresh returns a name like the one given that is free in private/.
func (d Dir) fresh(name string) (string, error) {
	for i, free := 2, name; ; i++ {
		_, err := os.Lstat(d.path("private", free))
		if errors.Is(err, fs.ErrNotExist) {
			return free, nil
		}
		if err != nil {
			return "", fmt.Errorf("look for a free name: %w", err)
		}
		free = name + "." + strconv.Itoa(i)
	}
}

// ServerID is the name of the node's storage server.
func (c *Config) ServerID() string { return introducer.NewServerID(c.secrets.public()) }
