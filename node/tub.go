package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"lafs/introducer"
	"lafs/onion/door"
	"lafs/shares/hashes"
)

// tahoeKeyFile is where a node of Tahoe-LAFS's keeps its certificate and its
// key. SHA-1 of the certificate is its tub id.
func (d Dir) tahoeKeyFile() string { return d.path("private", "node.pem") }

// loadTub reads the tub id and, for a storage server, the TLS key of its
// second door. A server that came from Tahoe-LAFS keeps both, which are one
// thing there, and proves the tub id; to others it is a hash of their node
// key.
func (id *identity) loadTub(c *Config) error {
	id.tubID = hashes.TubID(id.public())
	if !c.Storage {
		return nil
	}
	text, err := readSmall(c.Dir.tahoeKeyFile(), maxSmallFile)
	if errors.Is(err, fs.ErrNotExist) {
		if id.door, err = ensureDoor(c.Dir.doorKeyFile()); err != nil {
			return fmt.Errorf("private/storage-tls.pem: %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("private/node.pem: %w", err)
	}
	if err := os.Chmod(c.Dir.tahoeKeyFile(), fileMode); err != nil {
		return fmt.Errorf("close private/node.pem to others: %w", err)
	}
	if id.door, err = door.Parse(text); err != nil {
		return fmt.Errorf("private/node.pem is damaged: %w", err)
	}
	if id.tub, err = introducer.SignTub(id.door.Certificate(), id.door.Signer(), id.public()); err != nil {
		return fmt.Errorf("private/node.pem: %w", err)
	}
	id.tubID = id.door.TubID()
	return nil
}
