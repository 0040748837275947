package hashes

import "crypto/sha1"

var tubIDTag = newTag("lafs tub id v1")

// TubID returns the tub id of a server of ours: the first 20 bytes of a
// tagged hash of its 32-byte Ed25519 public node key. Lease secrets and write
// enablers are bound to it, so a client refuses any other.
func TubID(serverKey []byte) [20]byte {
	h := tubIDTag.hash(serverKey)
	return [20]byte(h[:20])
}

// Permute returns the place of a server in the order in which the servers of
// one storage index are asked, lowest first: SHA-1 of the index and the
// server's permutation seed (FORMATS.md section 3.6).
func Permute(si [16]byte, seed []byte) [20]byte {
	buf := make([]byte, 0, 64+len(seed))
	return sha1.Sum(append(append(buf, si[:]...), seed...))
}
