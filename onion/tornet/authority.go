package tornet

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// authorityKeys are the keys of the one directory authority, as tor and
// tor-gencert would make them (Tor directory specification, section
// "Creating key certificates"). They last as long as the network.
type authorityKeys struct {
	relayKey    *rsa.PrivateKey // the authority's identity as a relay
	signingKey  *rsa.PrivateKey // signs votes and consensuses
	certificate []byte          // the v3 identity's word for signingKey
	fingerprint string          // of relayKey, upper-case hexadecimal
	v3Identity  string          // of the v3 identity key, the same way
}

func newAuthorityKeys(now time.Time) (*authorityKeys, error) {
	var identity *rsa.PrivateKey
	k := &authorityKeys{}
	var g errgroup.Group
	for _, want := range []struct {
		key  **rsa.PrivateKey
		bits int
	}{{&k.relayKey, 1024}, {&k.signingKey, 2048}, {&identity, 2048}} {
		g.Go(func() (err error) {
			*want.key, err = rsa.GenerateKey(rand.Reader, want.bits)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("make authority keys: %w", err)
	}
	k.fingerprint = fmt.Sprintf("%X", keyDigest(k.relayKey))
	k.v3Identity = fmt.Sprintf("%X", keyDigest(identity))
	var err error
	k.certificate, err = certify(identity, k.signingKey, now)
	return k, err
}

func certify(identity, signing *rsa.PrivateKey, now time.Time) ([]byte, error) {
	cross, err := signRaw(signing, keyDigest(identity))
	if err != nil {
		return nil, err
	}
	const stamp = "2006-01-02 15:04:05"
	var b bytes.Buffer
	fmt.Fprintf(&b, "dir-key-certificate-version 3\nfingerprint %X\n", keyDigest(identity))
	fmt.Fprintf(&b, "dir-key-published %s\n", now.UTC().Add(-time.Hour).Format(stamp))
	fmt.Fprintf(&b, "dir-key-expires %s\n", now.UTC().AddDate(1, 0, 0).Format(stamp))
	fmt.Fprintf(&b, "dir-identity-key\n%s", publicPEM(identity))
	fmt.Fprintf(&b, "dir-signing-key\n%s", publicPEM(signing))
	fmt.Fprintf(&b, "dir-key-crosscert\n%s", armour("ID SIGNATURE", cross))
	b.WriteString("dir-key-certification\n")
	digest := sha1.Sum(b.Bytes())
	sig, err := signRaw(identity, digest[:])
	if err != nil {
		return nil, err
	}
	b.WriteString(armour("SIGNATURE", sig))
	return b.Bytes(), nil
}

// write puts the keys where tor looks for them below its data directory.
func (k *authorityKeys) write(dataDir string) error {
	dir := filepath.Join(dataDir, "keys")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"secret_id_key":         privatePEM(k.relayKey),
		"authority_signing_key": privatePEM(k.signingKey),
		"authority_certificate": k.certificate,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// signRaw signs as old tor documents do: PKCS #1 v1.5 over the bare digest,
// without the name of the hash.
func signRaw(key *rsa.PrivateKey, digest []byte) ([]byte, error) {
	return rsa.SignPKCS1v15(nil, key, crypto.Hash(0), digest)
}

// keyDigest is SHA-1 of the PKCS #1 public key, tor's fingerprint.
func keyDigest(key *rsa.PrivateKey) []byte {
	sum := sha1.Sum(x509.MarshalPKCS1PublicKey(&key.PublicKey))
	return sum[:]
}

func publicPEM(key *rsa.PrivateKey) string {
	return armour("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&key.PublicKey))
}

func privatePEM(key *rsa.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

func armour(kind string, data []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "-----BEGIN %s-----\n", kind)
	for s := base64.StdEncoding.EncodeToString(data); s != ""; {
		line := s[:min(64, len(s))]
		s = s[len(line):]
		b.WriteString(line + "\n")
	}
	fmt.Fprintf(&b, "-----END %s-----\n", kind)
	return b.String()
}
