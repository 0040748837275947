package ondisk

import (
	"golang.org/x/crypto/blake2b"

	"lafs/shares/storage"
)

// An Authority is who stored something: a number that stands in the files,
// so that a rebuilt index charges the same account as before. The names that
// go with the numbers, and the swissnums, are not the store's business.
type Authority uint32

const (
	// Own is this node itself.
	Own Authority = 0
	// Default is whoever has the swissnum that the node announces, and who
	// stored what was written before authorities had numbers.
	Default Authority = 1
)

// A Lease as it is stored: hashes of its secrets, BLAKE2b-256.
type Lease struct{ Renew, Cancel [32]byte }

// HashLease is the lease of secrets, as it is stored.
func HashLease(l *storage.LeaseSecrets) Lease {
	return Lease{blake2b.Sum256(l.Renew[:]), blake2b.Sum256(l.Cancel[:])}
}

// HashEnabler is a write enabler as it is stored: its BLAKE2b-256.
func HashEnabler(e *storage.WriteEnabler) [32]byte { return blake2b.Sum256(e[:]) }

// MaxShareSize is far above any disk, and far from overflowing, in bytes.
const MaxShareSize = 1 << 56
