package hashes

import "crypto/sha256"

var (
	dirnodeChildKeyTag  = newTag("allmydata_mutable_writekey_and_salt_to_dirnode_child_capkey_v1")
	dirnodeChildSaltTag = newTag("allmydata_dirnode_child_rwcap_to_salt_v1")
)

// DirnodeSalt derives the 16-byte salt under which a directory encrypts the
// write cap of a child (FORMATS.md section 5).
func DirnodeSalt(writeCap []byte) [16]byte { return first16(dirnodeChildSaltTag.hash(writeCap)) }

// DirnodeKey derives the 16-byte key of one encrypted write cap from its salt
// and the directory's write key. Secret.
func DirnodeKey(salt, writeKey []byte) [16]byte {
	return first16(dirnodeChildKeyTag.pair(salt, writeKey))
}

// DirnodeMAC is what the formats call hmac (FORMATS.md section 1): nested
// plain SHA-256 as in RFC 2104, but with the key xored at its own length and
// not filled up to a block.
func DirnodeMAC(key, data []byte) Hash {
	inner := append(xored(key, 0x36), data...)
	digest := sha256.Sum256(inner)
	return sha256.Sum256(append(xored(key, 0x5c), digest[:]...))
}

func xored(key []byte, with byte) []byte {
	out := make([]byte, len(key))
	for i, b := range key {
		out[i] = b ^ with
	}
	return out
}
