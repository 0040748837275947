package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"testing"

	"lafs/onion/door"
)

// TestTahoeTubID: where a Tahoe-LAFS node's key is, tub id and TLS key are
// those of its certificate.
func TestTahoeTubID(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(5)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})...)
	tahoe, err := door.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	c := &Config{Dir: Dir(t.TempDir()), Storage: true}
	if err := c.Dir.prepare(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.Dir.tahoeKeyFile(), text, 0o644); err != nil {
		t.Fatal(err)
	}
	id := &identity{key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}
	if err := id.loadTub(c); err != nil {
		t.Fatal(err)
	}
	if id.tubID != tahoe.TubID() || id.door.Pin() != tahoe.Pin() {
		t.Error("the tub id or the key is not that of node.pem")
	}
	if st, err := os.Stat(c.Dir.tahoeKeyFile()); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("node.pem: %v, %v, want mode 0600", st.Mode(), err)
	}
	if _, err := os.Stat(c.Dir.doorKeyFile()); err == nil {
		t.Error("a second key was made")
	}
	if err := os.WriteFile(c.Dir.tahoeKeyFile(), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := id.loadTub(c); err == nil {
		t.Error("a damaged node.pem is taken")
	}
}
