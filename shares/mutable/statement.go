package mutable

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"

	"lafs/shares/hashes"
)

// SignStatement signs text with the slot's key, for a purpose that is not a
// share: no signature of one purpose passes for another's, or for a
// version's.
func (k *Key) SignStatement(purpose string, text []byte) ([]byte, error) {
	signature, err := rsa.SignPSS(rand.Reader, k.private, crypto.SHA256, statementDigest(purpose, text), &rsa.PSSOptions{SaltLength: sha256.Size})
	if err != nil {
		return nil, fmt.Errorf("sign a statement: %w", err)
	}
	return signature, nil
}

// Public is the public half in PKIX DER, of which Fingerprint is the hash.
func (k *Key) Public() []byte { return k.public }

// VerifyStatement checks what SignStatement made, down from the fingerprint
// in the cap. Its errors match ErrCorrupt.
func VerifyStatement(fingerprint hashes.Hash, public []byte, purpose string, text, signature []byte) error {
	key, err := parsePublic(fingerprint, public)
	if err != nil {
		return err
	}
	if rsa.VerifyPSS(key, crypto.SHA256, statementDigest(purpose, text), signature, &rsa.PSSOptions{SaltLength: sha256.Size}) != nil {
		return fmt.Errorf("%w: the signature of a statement is wrong", ErrCorrupt)
	}
	return nil
}

func statementDigest(purpose string, text []byte) []byte {
	// A share's signed bytes start with 0 or 1, these with a letter.
	head := sha256.Sum256([]byte("lafs slot statement v1:" + purpose))
	digest := sha256.Sum256(append(append([]byte("lafs slot statement v1:"), head[:]...), text...))
	return digest[:]
}

func parsePublic(fingerprint hashes.Hash, public []byte) (*rsa.PublicKey, error) {
	if hashes.MutableFingerprint(public) != fingerprint {
		return nil, fmt.Errorf("%w: its public key is not the cap's", ErrCorrupt)
	}
	parsed, err := x509.ParsePKIXPublicKey(public)
	key, ok := parsed.(*rsa.PublicKey)
	if err != nil || !ok || key.N.BitLen() != keyBits {
		return nil, fmt.Errorf("%w: its public key is no RSA key of %d bits", ErrCorrupt, keyBits)
	}
	return key, nil
}

// OpenHeader verifies, from the first bytes of a share, that its owner
// signed the version that it says it is of. Its blocks are not looked at.
// 4 KiB are enough of a share of any size. Errors match ErrCorrupt.
func OpenHeader(fingerprint hashes.Hash, first []byte) (*Header, error) {
	h, err := ParseHeader(first)
	if err != nil {
		return nil, err
	}
	signatureEnd := h.at.signature + keyBits/8
	if max(h.at.publicKeyEnd, signatureEnd) > int64(len(first)) {
		return nil, fmt.Errorf("%w: its first bytes lack the signature", ErrCorrupt)
	}
	return h, verify(fingerprint, first[h.at.publicKey:h.at.publicKeyEnd], first[h.at.signature:signatureEnd], h.signed())
}
