package onion

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"filippo.io/edwards25519"
)

// A Key is the private key of an onion service, in Tor's expanded form: the
// clamped scalar and the prefix that a seed hashes to. It is kept expanded
// because keys taken over from Tor or Tahoe-LAFS have no seed. Secret: no
// verb prints it, and it travels as a pointer.
type Key struct {
	expanded [64]byte
	pub      [ed25519.PublicKeySize]byte
}

const keyPrefix = "ED25519-V3:"

// GenerateKey makes a new key.
func GenerateKey() (*Key, error) {
	var seed [ed25519.SeedSize]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("make onion key: %w", err)
	}
	digest := sha512.Sum512(seed[:])
	digest[0] &= 248
	digest[31] &= 63
	digest[31] |= 64
	return newKey(digest)
}

// ParseKey reads Tor's form of a key, "ED25519-V3:<base64 of 64 bytes>", as
// Marshal and Tor's ADD_ONION give it. Space around it is ignored. The error
// never quotes the text.
func ParseKey(s string) (*Key, error) {
	text, ok := strings.CutPrefix(strings.TrimSpace(s), keyPrefix)
	if !ok {
		return nil, fmt.Errorf("%w: it does not start with %s", ErrBadKey, keyPrefix)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != 64 {
		return nil, fmt.Errorf("%w: not the base64 of 64 bytes", ErrBadKey)
	}
	if raw[0]&7 != 0 || raw[31]&0xc0 != 0x40 {
		return nil, fmt.Errorf("%w: the scalar is not clamped", ErrBadKey)
	}
	return newKey([64]byte(raw))
}

func newKey(expanded [64]byte) (*Key, error) {
	k := &Key{expanded: expanded}
	s, err := k.scalar()
	if err != nil {
		return nil, err
	}
	copy(k.pub[:], new(edwards25519.Point).ScalarBaseMult(s).Bytes())
	return k, nil
}

func (k *Key) scalar() (*edwards25519.Scalar, error) {
	s, err := new(edwards25519.Scalar).SetBytesWithClamping(k.expanded[:32])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadKey, err)
	}
	return s, nil
}

// Marshal returns the secret in Tor's form, for a file of mode 0600 or for
// ADD_ONION on an authenticated control connection; nowhere else.
func (k *Key) Marshal() string {
	return keyPrefix + base64.StdEncoding.EncodeToString(k.expanded[:])
}

// PublicKey returns the public half: the service's identity.
func (k *Key) PublicKey() ed25519.PublicKey {
	return ed25519.PublicKey(append([]byte(nil), k.pub[:]...))
}

// Addr returns the service's address with a virtual port other than 0.
func (k *Key) Addr(port uint16) (Addr, error) { return NewAddr(k.PublicKey(), port) }

// Sign signs msg as Ed25519 does (RFC 8032): crypto/ed25519 verifies it
// under PublicKey.
func (k *Key) Sign(msg []byte) ([]byte, error) {
	s, err := k.scalar()
	if err != nil {
		return nil, err
	}
	r, err := hashToScalar(k.expanded[32:], msg)
	if err != nil {
		return nil, err
	}
	commitment := new(edwards25519.Point).ScalarBaseMult(r).Bytes()
	c, err := hashToScalar(commitment, k.pub[:], msg)
	if err != nil {
		return nil, err
	}
	response := new(edwards25519.Scalar).MultiplyAdd(c, s, r)
	return append(commitment, response.Bytes()...), nil
}

func hashToScalar(parts ...[]byte) (*edwards25519.Scalar, error) {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	s, err := new(edwards25519.Scalar).SetUniformBytes(h.Sum(nil))
	if err != nil {
		return nil, fmt.Errorf("reduce hash: %w", err)
	}
	return s, nil
}

// Format prints [secret], whatever the verb.
func (*Key) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// LogValue logs [secret].
func (*Key) LogValue() slog.Value { return slog.StringValue("[secret]") }
