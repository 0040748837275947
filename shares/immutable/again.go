package immutable

import "lafs/shares/hashes"

// NewEncoder begins to make the shares of the decoder's file again, all N,
// from what DecodeSegment returns: a verifier's encoder takes ciphertext. The
// shares have the file's own UEB, so its cap reads them, and those that are
// left go with them. A share must have been opened before.
//
// Finish returns no cap to those who have no key, and ErrCorrupt if the
// shares are not those that the UEB promises: whoever made the file made it
// wrong, and no tail may then be stored.
func (d *Decoder) NewEncoder() (*Encoder, error) {
	f := d.known()
	if f == nil {
		return nil, errNotRead
	}
	e := newEncoder(f.geometry, f.codec, d.key, d.cap.Index)
	e.again = f
	return e, nil
}

// checkCrypttext tells whether the segments are those of the file whose
// shares are made again.
func (e *Encoder) checkCrypttext() error {
	if e.again != nil && hashes.NewTree(e.segmentHashes).Root() != e.again.ueb.crypttextRoot {
		return corrupt("its segments are not those that the UEB promises")
	}
	return nil
}
