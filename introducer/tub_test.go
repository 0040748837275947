package introducer_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"lafs/introducer"
	"lafs/shares/hashes"
)

// certificate makes one like those of Tahoe-LAFS.
func certificate(t testing.TB, bits int) ([]byte, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "newpb_thingy"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(31536000, 0), // It has long expired.
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

func (s *server) public() ed25519.PublicKey { return s.node.Public().(ed25519.PublicKey) }

func TestImportedTub(t *testing.T) {
	for _, bits := range []int{2048, 4096} {
		s := newServer(t)
		s.ann.Nickname = strings.Repeat("n", introducer.MaxNickname)
		der, key := certificate(t, bits)
		var err error
		if s.ann.Tub, err = introducer.SignTub(der, key, s.public()); err != nil {
			t.Fatal(err)
		}
		raw := s.sign(t)
		a, err := introducer.Open(raw)
		if err != nil {
			t.Fatalf("Open of %d bytes: %v", len(raw), err)
		}
		if a.TubID != sha1.Sum(der) || a.Tub == nil {
			t.Error("Open: the tub id is not the certificate's")
		}
		if again, err := introducer.Sign(a, s.node, s.place); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("Sign of what was opened: other bytes, %v", err)
		}
		t.Logf("a key of %d bits: an announcement of %d bytes", bits, len(raw))
	}
}

// TestStolenTub: nobody has another's tub id without its RSA key.
func TestStolenTub(t *testing.T) {
	der, key := certificate(t, 2048)
	victim, thief := newServer(t), newServer(t)
	stolen, err := introducer.SignTub(der, key, victim.public())
	if err != nil {
		t.Fatal(err)
	}
	own, ownKey := certificate(t, 2048)
	mixed, err := introducer.SignTub(own, ownKey, thief.public())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		tub  *introducer.Tub
	}{
		{"the victim's proof", stolen},
		{"the victim's certificate with a signature of one's own", &introducer.Tub{Certificate: der, Signature: mixed.Signature}},
		{"no signature", &introducer.Tub{Certificate: der}},
		{"no certificate", &introducer.Tub{Signature: stolen.Signature}},
		{"a certificate with something behind it", &introducer.Tub{Certificate: append(bytes.Clone(own), 0), Signature: mixed.Signature}},
	} {
		thief.ann.Tub = tt.tub
		if _, err := introducer.Sign(&thief.ann, thief.node, thief.place); !errors.Is(err, introducer.ErrBadAnnouncement) {
			t.Errorf("Sign with %s: got %v, want ErrBadAnnouncement", tt.name, err)
		}
	}
	// Nor by hand: the tub id of the FURL is the certificate's, or the key's.
	thief.ann.Tub = mixed
	var parts []string
	if err := json.Unmarshal(thief.sign(t), &parts); err != nil {
		t.Fatal(err)
	}
	text := func(id [20]byte) string { return base32Lower.EncodeToString(id[:]) }
	b64 := base64.RawURLEncoding.EncodeToString
	for _, tt := range []struct{ name, msg string }{
		{"another's tub id", strings.Replace(parts[0], text(sha1.Sum(own)), text(sha1.Sum(der)), 1)},
		{"the key's tub id", strings.Replace(parts[0], text(sha1.Sum(own)), text(hashes.TubID(thief.public())), 1)},
		{"another's certificate", strings.Replace(parts[0], b64(own), b64(der), 1)},
		{"both", strings.Replace(strings.Replace(parts[0], text(sha1.Sum(own)), text(sha1.Sum(der)), 1), b64(own), b64(der), 1)},
		{"no signature", strings.Replace(parts[0], `,"tub-signature":"`+b64(mixed.Signature)+`"`, "", 1)},
		{"no proof", strings.Replace(strings.Replace(parts[0], `,"tub-signature":"`+b64(mixed.Signature)+`"`, "", 1), `,"tub-certificate":"`+b64(own)+`"`, "", 1)},
	} {
		if tt.msg == parts[0] {
			t.Fatalf("%s: nothing was replaced", tt.name)
		}
		p := append([]string(nil), parts...)
		p[0], p[1] = tt.msg, "v0-"+base32Lower.EncodeToString(ed25519.Sign(thief.node, []byte(tt.msg)))
		if _, err := introducer.Open(marshal(t, p)); !errors.Is(err, introducer.ErrBadAnnouncement) {
			t.Errorf("Open with %s: got %v, want ErrBadAnnouncement", tt.name, err)
		}
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := introducer.SignTub(der, ec, thief.public()); !errors.Is(err, introducer.ErrTub) {
		t.Errorf("SignTub with a key that is not RSA: got %v, want ErrTub", err)
	}
	if _, err := introducer.SignTub(der, ownKey, thief.public()); !errors.Is(err, introducer.ErrTub) {
		t.Errorf("SignTub with another key than the certificate's: got %v, want ErrTub", err)
	}
}
