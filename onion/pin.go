package onion

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
)

// A Pin is the one key that the far end of a TLS connection may show:
// SHA-256 of its public key in DER (SubjectPublicKeyInfo), as Tahoe-LAFS's
// NURLs name it (FORMATS.md section 8). Public.
type Pin [sha256.Size]byte

// ErrBadPin is a text that is no Pin.
var ErrBadPin = errors.New("not the hash of a server's TLS key: it has 43 characters of base64url")

// PinOf returns the pin of a public key in DER.
func PinOf(spki []byte) Pin { return sha256.Sum256(spki) }

// ParsePin reads the 43 characters that String writes; there is one text for
// one pin.
func ParsePin(s string) (Pin, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != sha256.Size || len(s) != base64.RawURLEncoding.EncodedLen(sha256.Size) {
		return Pin{}, ErrBadPin
	}
	return Pin(raw), nil
}

// String returns the pin as a NURL has it.
func (p Pin) String() string { return base64.RawURLEncoding.EncodeToString(p[:]) }
