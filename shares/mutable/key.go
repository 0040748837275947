// Package mutable turns the contents of a mutable object into the shares of
// one version of it and back, in Tahoe-LAFS's two formats, SDMF and MDMF
// (FORMATS.md section 4). It checks everything that a share says down from
// the fingerprint in the cap: the public key, its signature over sequence
// number and root hash, the hash trees, each block. It does no I/O.
package mutable

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"lafs/shares/caps"
	"lafs/shares/hashes"
)

// keyBits is the only size of RSA key that Tahoe-LAFS makes.
const keyBits = 2048

// ErrKey is a private key that cannot be a slot's.
var ErrKey = errors.New("not an RSA key of 2048 bits with exponent 65537")

// A Key is the RSA private key of one slot. Secret: no verb prints it, and
// it travels as a pointer.
type Key struct {
	private *rsa.PrivateKey
	der     []byte // PKCS#8
	public  []byte // PKIX
}

// GenerateKey makes a new key: about 0.1 s of work.
func GenerateKey() (*Key, error) {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, fmt.Errorf("make the key of a slot: %w", err)
	}
	return newKey(private)
}

// ParsePEM reads a key that a person gives, PKCS#1 or PKCS#8, unencrypted.
// The error never quotes it.
func ParsePEM(text []byte) (*Key, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%w: not PEM", ErrKey)
	}
	if private, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return newKey(private)
	}
	return parseDER(block.Bytes)
}

func parseDER(der []byte) (*Key, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: neither PKCS#1 nor PKCS#8", ErrKey)
	}
	private, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, ErrKey
	}
	return newKey(private)
}

func newKey(private *rsa.PrivateKey) (*Key, error) {
	if private.N.BitLen() != keyBits || private.E != 65537 {
		return nil, ErrKey
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, ErrKey
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return nil, ErrKey
	}
	return &Key{private, der, public}, nil
}

// Fingerprint is the hash of the public half, which the slot's caps hold.
func (k *Key) Fingerprint() hashes.Hash { return hashes.MutableFingerprint(k.public) }

// WriteCap returns the cap that writes the slot, in the given format.
func (k *Key) WriteCap(f Format) *caps.MutableWriter {
	return &caps.MutableWriter{Key: k.writeKey(), Fingerprint: k.Fingerprint(), MDMF: f == MDMF}
}

func (k *Key) writeKey() *caps.WriteKey { return caps.NewWriteKey(hashes.MutableWriteKey(k.der)) }

// encrypted is the private key as each share carries it.
func (k *Key) encrypted() []byte {
	out := make([]byte, len(k.der))
	crypt(k.writeKey().Bytes(), out, k.der)
	return out
}

// decryptKey reads what encrypted makes and checks that it is the slot's.
func decryptKey(w *caps.MutableWriter, encrypted []byte) (*Key, error) {
	der := make([]byte, len(encrypted))
	crypt(w.Key.Bytes(), der, encrypted)
	k, err := parseDER(der)
	if err != nil || k.Fingerprint() != w.Fingerprint || string(k.writeKey().Bytes()) != string(w.Key.Bytes()) {
		return nil, fmt.Errorf("%w: its private key is not the slot's", ErrCorrupt)
	}
	return k, nil
}

// Format prints [secret], whatever the verb.
func (*Key) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// LogValue logs [secret].
func (*Key) LogValue() slog.Value { return slog.StringValue("[secret]") }

// crypt is AES-128 in counter mode from zero, the only cipher of the
// formats. Every key is used for one message only.
func crypt(key, dst, src []byte) {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // A key of another length is our own bug.
	}
	var zero [aes.BlockSize]byte
	cipher.NewCTR(block, zero[:]).XORKeyStream(dst, src)
}
