package hashes

var (
	clientRenewalTag = []byte("allmydata_client_renewal_secret_v1")
	clientCancelTag  = []byte("allmydata_client_cancel_secret_v1")
	fileRenewalTag   = newTag("allmydata_file_renewal_secret_v1")
	fileCancelTag    = newTag("allmydata_file_cancel_secret_v1")
	bucketRenewalTag = newTag("allmydata_bucket_renewal_secret_v1")
	bucketCancelTag  = newTag("allmydata_bucket_cancel_secret_v1")
)

// LeaseSecrets derives the two secrets of the lease that the owner of master
// holds on the bucket or slot si of the server with this tub id (FORMATS.md
// section 6). All but si and tubID are secret.
func LeaseSecrets(master *[32]byte, si [16]byte, tubID [20]byte) (renew, cancel [32]byte) {
	derive := func(client []byte, file, bucket tag) Hash {
		// Here the secret is the tag, and the tag's name the value.
		mine := appendNetstring(nil, master[:])
		c := tag(mine).hash(client)
		f := file.pair(c[:], si[:])
		return bucket.pair(f[:], tubID[:])
	}
	return derive(clientRenewalTag, fileRenewalTag, bucketRenewalTag),
		derive(clientCancelTag, fileCancelTag, bucketCancelTag)
}
