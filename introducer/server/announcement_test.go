package server

import (
	"crypto/ed25519"

	"lafs/introducer"
)

// announcementOf is that of a server whose key begins with b.
func announcementOf(b byte) *introducer.Announcement {
	key := make(ed25519.PublicKey, ed25519.PublicKeySize)
	key[0] = b
	return &introducer.Announcement{ServerKey: key}
}
