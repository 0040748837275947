package hashes

var (
	mutableWriteKeyTag    = newTag("allmydata_mutable_privkey_to_writekey_v1")
	mutableDataKeyTag     = newTag("allmydata_mutable_readkey_to_datakey_v1")
	mutablePublicKeyTag   = newTag("allmydata_mutable_pubkey_to_fingerprint_v1")
	writeEnablerMasterTag = newTag("allmydata_mutable_writekey_to_write_enabler_master_v1")
	writeEnablerTag       = newTag("allmydata_mutable_write_enabler_master_and_nodeid_to_write_enabler_v1")
)

// MutableWriteKey derives the 16-byte write key of a slot from its private
// key in PKCS#8 DER (FORMATS.md section 4.1). Secret.
func MutableWriteKey(privateDER []byte) [16]byte { return first16(mutableWriteKeyTag.hash(privateDER)) }

// MutableFingerprint hashes the public key of a slot, in PKIX DER: the hash
// that its caps hold.
func MutableFingerprint(publicDER []byte) Hash { return mutablePublicKeyTag.hash(publicDER) }

// MutableDataKey derives the 16-byte key of one segment from its salt and
// the slot's read key. Secret.
func MutableDataKey(salt, readKey []byte) [16]byte {
	return first16(mutableDataKeyTag.pair(salt, readKey))
}

// WriteEnabler derives what a server with this tub id asks of those who
// write to a slot. Secret, though that server learns it.
func WriteEnabler(writeKey []byte, tubID [20]byte) Hash {
	master := writeEnablerMasterTag.hash(writeKey)
	return writeEnablerTag.pair(master[:], tubID[:])
}
