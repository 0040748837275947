package grid

import (
	"lafs/shares/caps"
	"lafs/shares/hashes"
	"lafs/shares/storage"
)

// Lease makes the secrets of this node's lease on what is held under si at
// the server with the given tub id (FORMATS.md section 6). Secret.
func (l *LeaseSecret) Lease(si caps.StorageIndex, tubID [20]byte) *storage.LeaseSecrets {
	renew, cancel := hashes.LeaseSecrets(&l.secret, [16]byte(si), tubID)
	return &storage.LeaseSecrets{Renew: renew, Cancel: cancel}
}
