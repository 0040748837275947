package introducer

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
)

// A Tub proves that a server may have the tub id that it had as a server of
// Tahoe-LAFS's: SHA-1 of the certificate, whose key signs the server id.
// Without it the tub id, which seeds its clients' secrets, could be anybody's.
type Tub struct {
	// Certificate is X.509 in DER, as in Tahoe-LAFS's private/node.pem.
	Certificate []byte
	// Signature is by the certificate's RSA key.
	Signature []byte
}

// maxTubKey bounds the RSA keys that are verified, in bits. Tahoe-LAFS makes
// keys of 2048.
const maxTubKey = 4096

// ErrTub is a certificate or key that proves no tub id.
var ErrTub = errors.New("not a certificate of Tahoe-LAFS's with its RSA key")

// SignTub proves that the server whose node key is given has the tub id of
// the certificate. It matches ErrTub if others would not believe it.
func SignTub(certificate []byte, key crypto.Signer, node ed25519.PublicKey) (*Tub, error) {
	digest := tubDigest(NewServerID(node))
	if _, ok := key.Public().(*rsa.PublicKey); !ok {
		return nil, ErrTub
	}
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, ErrTub
	}
	t := &Tub{certificate, signature}
	if !t.proves(t.id(), node) {
		return nil, ErrTub
	}
	return t, nil
}

func (t *Tub) id() [20]byte { return sha1.Sum(t.Certificate) }

// proves reports whether the server has this tub id. What else the
// certificate says, and when, is nobody's business.
func (t *Tub) proves(id [20]byte, node ed25519.PublicKey) bool {
	if t.id() != id || len(t.Signature) > maxTubKey/8 {
		return false
	}
	cert, err := x509.ParseCertificate(t.Certificate)
	if err != nil {
		return false
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() > maxTubKey {
		return false
	}
	digest := tubDigest(NewServerID(node))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], t.Signature) == nil
}

// tubDigest is of what the RSA key signs: two netstrings, so that nothing
// else that such a key signs reads like it.
func tubDigest(serverID string) [32]byte {
	return sha256.Sum256(netstrings("lafs tub binding v1", serverID))
}

// tubText is how an announcement has the two parts of a Tub: base64url
// without padding.
var tubText = base64.RawURLEncoding.Strict()

// texts are "" for no Tub.
func (t *Tub) texts() (certificate, signature string) {
	if t == nil {
		return "", ""
	}
	return tubText.EncodeToString(t.Certificate), tubText.EncodeToString(t.Signature)
}

// parseTub reads what texts wrote.
func parseTub(certificate, signature string) (*Tub, error) {
	if certificate == "" && signature == "" {
		return nil, nil
	}
	t := new(Tub)
	var err error
	if t.Certificate, err = tubText.DecodeString(certificate); err == nil {
		t.Signature, err = tubText.DecodeString(signature)
	}
	if err != nil || len(t.Certificate) == 0 || len(t.Signature) == 0 {
		return nil, fmt.Errorf("%w: the certificate of the tub id is not base64", ErrBadAnnouncement)
	}
	return t, nil
}
