package node

import (
	"crypto"
	"crypto/sha1"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"lafs/introducer"
)

// tahoeKeyFile is where a node of Tahoe-LAFS's keeps its certificate and its
// key. SHA-1 of the certificate is its tub id.
func (d Dir) tahoeKeyFile() string { return d.path("private", "node.pem") }

// loadProof proves the tub id of a storage server that came from Tahoe-LAFS;
// others have none of their own.
func (id *identity) loadProof(c *Config) error {
	if !c.Storage {
		return nil
	}
	text, err := readSmall(c.Dir.tahoeKeyFile(), maxSmallFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("private/node.pem: %w", err)
	}
	if err := os.Chmod(c.Dir.tahoeKeyFile(), fileMode); err != nil {
		return fmt.Errorf("close private/node.pem to others: %w", err)
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return errors.New("private/node.pem is damaged: it should hold a certificate and its key, in PEM")
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return errors.New("private/node.pem holds a key that can not sign")
	}
	if id.tub, err = introducer.SignTub(pair.Certificate[0], key, id.public()); err != nil {
		return fmt.Errorf("private/node.pem: %w", err)
	}
	id.tubID = sha1.Sum(pair.Certificate[0])
	return nil
}
