package grid

import (
	"crypto/hmac"
	"crypto/sha256"

	"lafs/shares/caps"
	"lafs/shares/hashes"
	"lafs/shares/storage"
)

// leaseFor makes the secrets of our lease on a file at one server.
func (l *LeaseSecret) leaseFor(si caps.StorageIndex, s Server) *storage.LeaseSecrets {
	renew, cancel := hashes.LeaseSecrets(&l.secret, [16]byte(si), s.TubID)
	return &storage.LeaseSecrets{Renew: renew, Cancel: cancel}
}

// uploadFor makes the secret of our uploads of a file to one server. It is
// not random, so that a client that was killed goes on with the uploads that
// it had begun, where a server would otherwise refuse them for 30 minutes.
// Only this server and we know it.
func (l *LeaseSecret) uploadFor(si caps.StorageIndex, s Server) *storage.UploadSecret {
	mac := hmac.New(sha256.New, l.secret[:])
	mac.Write([]byte("lafs upload secret v1"))
	mac.Write(si[:])
	mac.Write(s.TubID[:])
	return storage.NewUploadSecret(mac.Sum(nil)[:20])
}
