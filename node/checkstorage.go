package node

import (
	"context"

	"lafs/node/store"
)

// CheckStorage checks the storage directory of a node that does not run, see
// store.Check. The caller holds the node's directory.
func CheckStorage(ctx context.Context, c *Config, o store.CheckOptions) (store.CheckSum, error) {
	if !c.Storage {
		return store.CheckSum{}, errNoStorage
	}
	return store.Check(ctx, storeConfig(c, c.secrets, nil, nil), o)
}

// StorageAdvisories lists what clients reported of corrupt shares on the
// storage server in dir, which may run meanwhile. ErrNoNode: there is no
// node.
func StorageAdvisories(dir string) ([]store.Advisory, error) {
	c, err := read(dir)
	if err != nil {
		return nil, err
	}
	if !c.Storage {
		return nil, errNoStorage
	}
	all, err := store.Advisories(c.StorageDir)
	if all == nil {
		all = []store.Advisory{}
	}
	return all, err
}
