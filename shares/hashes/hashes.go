// Package hashes has every tagged hash of the formats, Merkle trees over
// them, and the secrets derived by them (FORMATS.md sections 1, 3 and 6).
// Nobody else writes a tag. Functions are pure and safe for concurrent use.
package hashes

import (
	"crypto/sha256"
	"hash"
	"strconv"
)

// A Hash is a SHA-256d digest: SHA-256 of the SHA-256.
type Hash [32]byte

// StorageIndex derives where an immutable file is stored from its 16-byte
// read key.
func StorageIndex(readKey []byte) [16]byte { return first16(storageIndexTag.hash(readKey)) }

// Block hashes one block of a share.
func Block(block []byte) Hash { return blockTag.hash(block) }

// CrypttextSegment hashes one segment of ciphertext, without padding.
func CrypttextSegment(segment []byte) Hash { return crypttextSegmentTag.hash(segment) }

// UEB hashes a URI extension block: the hash that a cap holds.
func UEB(ueb []byte) Hash { return uebTag.hash(ueb) }

// NewCrypttext returns the running hash of a whole file's ciphertext. Its Sum
// appends a Hash.
func NewCrypttext() hash.Hash { return newDouble(crypttextTag) }

// MutableReadKey derives the 16-byte read key of a slot from its write key.
func MutableReadKey(writeKey []byte) [16]byte { return first16(mutableReadKeyTag.hash(writeKey)) }

// MutableStorageIndex derives where a slot is stored from its 16-byte read
// key.
func MutableStorageIndex(readKey []byte) [16]byte {
	return first16(mutableStorageIndexTag.hash(readKey))
}

// A tag is what stands before a hashed value: the netstring of a name.
type tag []byte

var (
	storageIndexTag        = newTag("allmydata_immutable_key_to_storage_index_v1")
	blockTag               = newTag("allmydata_encoded_subshare_v1")
	crypttextTag           = newTag("allmydata_crypttext_v1")
	crypttextSegmentTag    = newTag("allmydata_crypttext_segment_v1")
	uebTag                 = newTag("allmydata_uri_extension_v1")
	mutableReadKeyTag      = newTag("allmydata_mutable_writekey_to_readkey_v1")
	mutableStorageIndexTag = newTag("allmydata_mutable_readkey_to_storage_index_v1")
)

func newTag(name string) tag { return appendNetstring(nil, []byte(name)) }

// hash is tagged(t, value): the value is not a netstring.
func (t tag) hash(value []byte) Hash {
	d := newDouble(t)
	d.Write(value)
	return d.sum()
}

// pair is tagged_pair(t, a, b): both values are netstrings.
func (t tag) pair(a, b []byte) Hash {
	// Room for the tree's tag and two hashes, so that a tree node costs no
	// allocation.
	var room [160]byte
	buf := append(room[:0], t...)
	buf = appendNetstring(buf, a)
	buf = appendNetstring(buf, b)
	inner := sha256.Sum256(buf)
	return sha256.Sum256(inner[:])
}

func appendNetstring(dst, value []byte) []byte {
	dst = strconv.AppendInt(dst, int64(len(value)), 10)
	dst = append(dst, ':')
	dst = append(dst, value...)
	return append(dst, ',')
}

func first16(h Hash) [16]byte { return [16]byte(h[:16]) }

// A double is a running SHA-256d that starts with a tag.
type double struct {
	hash.Hash
	tag tag
}

func newDouble(t tag) *double {
	d := &double{sha256.New(), t}
	d.Hash.Write(t)
	return d
}

func (d *double) sum() Hash {
	var inner Hash
	d.Hash.Sum(inner[:0])
	return sha256.Sum256(inner[:])
}

// Sum appends the digest of what was written so far to b.
func (d *double) Sum(b []byte) []byte {
	h := d.sum()
	return append(b, h[:]...)
}

// Reset forgets everything written, but not the tag.
func (d *double) Reset() {
	d.Hash.Reset()
	d.Hash.Write(d.tag)
}
