package door

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"time"

	"lafs/onion"
)

// An Identity is a server's TLS key with the certificate that carries it.
// Secret: it travels as a pointer, and no verb prints it.
type Identity struct {
	cert tls.Certificate
	pin  onion.Pin
}

// The certificate of every new server is the same but for the key. The name
// is that of all of Tahoe-LAFS's and Foolscap's certificates; the dates are
// the first and last that X.509 can say (RFC 5280, 4.1.2.5), so that they
// tell nothing and never pass. No extensions: OpenSSL takes a certificate
// with a key usage that does not include signing for one that did not sign
// itself.
const commonName = "newpb_thingy"

var (
	notBefore = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	serial    = big.NewInt(1)
)

const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY"
	rsaKeyBlock      = "RSA PRIVATE KEY"
)

// ErrBadIdentity is a file that holds no TLS key with its certificate.
var ErrBadIdentity = errors.New("not a TLS key and its certificate in PEM")

// Generate makes a new key, on P-256: the kind that every TLS library knows,
// and a handshake of which costs little.
func Generate() (*Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make TLS key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: commonName}, NotBefore: notBefore, NotAfter: notAfter,
		SignatureAlgorithm: x509.ECDSAWithSHA256,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make TLS certificate: %w", err)
	}
	return newIdentity(der, key)
}

// Parse reads what Marshal writes, and private/node.pem of a Tahoe-LAFS node:
// one certificate and its key, in either order. What is not such a pair gives
// ErrBadIdentity, with nothing of the text.
func Parse(text []byte) (*Identity, error) {
	var der []byte
	var key crypto.Signer
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		switch {
		case block.Type == certificateBlock && der == nil:
			der = block.Bytes
		case (block.Type == keyBlock || block.Type == rsaKeyBlock) && key == nil:
			if key = parseKey(block); key == nil {
				return nil, ErrBadIdentity
			}
		default:
			return nil, ErrBadIdentity
		}
	}
	if der == nil || key == nil {
		return nil, ErrBadIdentity
	}
	return newIdentity(der, key)
}

func parseKey(block *pem.Block) crypto.Signer {
	if block.Type == rsaKeyBlock {
		if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
			return key
		}
		return nil
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		signer, _ := key.(crypto.Signer)
		return signer
	}
	return nil
}

func newIdentity(der []byte, key crypto.Signer) (*Identity, error) {
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, ErrBadIdentity
	}
	pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !pub.Equal(leaf.PublicKey) {
		return nil, fmt.Errorf("%w: the certificate is not the key's", ErrBadIdentity)
	}
	return &Identity{
		cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf},
		pin:  onion.PinOf(leaf.RawSubjectPublicKeyInfo),
	}, nil
}

// Marshal returns certificate and key in PEM, for a file of mode 0600. Secret.
func (id *Identity) Marshal() ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(id.cert.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("write TLS key: %w", err)
	}
	out := pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: id.cert.Certificate[0]})
	return append(out, pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: key})...), nil
}

// Pin is how others know the key.
func (id *Identity) Pin() onion.Pin { return id.pin }

// TubID is the tub id of a Tahoe-LAFS node with this certificate: SHA-1 of
// the certificate in DER.
func (id *Identity) TubID() [20]byte { return sha1.Sum(id.cert.Certificate[0]) }

// Signer is the key itself, for what a Tahoe-LAFS node's key must vouch for.
func (id *Identity) Signer() crypto.Signer { return id.cert.PrivateKey.(crypto.Signer) }

// Certificate is the certificate in DER. Public.
func (id *Identity) Certificate() []byte { return id.cert.Certificate[0] }

// Format prints [secret], whatever the verb.
func (*Identity) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// LogValue logs [secret].
func (*Identity) LogValue() slog.Value { return slog.StringValue("[secret]") }
