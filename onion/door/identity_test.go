package door_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"lafs/onion"
	"lafs/onion/door"
)

func generate(t testing.TB) *door.Identity {
	t.Helper()
	id, err := door.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func marshal(t testing.TB, id *door.Identity) []byte {
	t.Helper()
	text, err := id.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Two servers' certificates differ in the key and the signature, and in
// nothing else that could tell when, where or by what they were made.
func TestCertificateTellsNothing(t *testing.T) {
	a, err := x509.ParseCertificate(generate(t).Certificate())
	if err != nil {
		t.Fatal(err)
	}
	if a.Subject.String() != "CN=newpb_thingy" || a.Issuer.String() != a.Subject.String() || a.SerialNumber.Int64() != 1 || len(a.Extensions) != 0 ||
		!a.NotBefore.Equal(time.Unix(0, 0)) || a.NotAfter.Year() != 9999 {
		t.Errorf("certificate: got subject %v, issuer %v, serial %v, %v to %v, %d extensions",
			a.Subject, a.Issuer, a.SerialNumber, a.NotBefore, a.NotAfter, len(a.Extensions))
	}
	if err := a.CheckSignature(a.SignatureAlgorithm, a.RawTBSCertificate, a.Signature); err != nil {
		t.Errorf("its own signature: %v", err)
	}
	b, err := x509.ParseCertificate(generate(t).Certificate())
	if err != nil {
		t.Fatal(err)
	}
	strip := func(c *x509.Certificate) []byte {
		return bytes.Replace(c.RawTBSCertificate, c.RawSubjectPublicKeyInfo, nil, 1)
	}
	if !bytes.Equal(strip(a), strip(b)) {
		t.Error("two certificates differ in more than the key")
	}
}

func TestIdentityRoundTrip(t *testing.T) {
	id := generate(t)
	again, err := door.Parse(marshal(t, id))
	if err != nil {
		t.Fatal(err)
	}
	if again.Pin() != id.Pin() || !bytes.Equal(again.Certificate(), id.Certificate()) || again.TubID() != sha1.Sum(id.Certificate()) {
		t.Error("Parse: another identity than the one that was written")
	}
	leaf, err := x509.ParseCertificate(id.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	if id.Pin() != onion.PinOf(leaf.RawSubjectPublicKeyInfo) {
		t.Error("Pin is not the hash of the certificate's key")
	}
	if got := fmt.Sprintf("%v %+v %s %#v", id, id, id, id); strings.Trim(got, "[secret] ") != "" {
		t.Errorf("an identity prints %q", got)
	}
}

// tahoePEM is a private/node.pem as Tahoe-LAFS writes it: RSA, PKCS#1, either
// order.
func tahoePEM(t testing.TB, keyFirst bool) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(99), Subject: pkix.Name{CommonName: "newpb_thingy"},
		NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(1e9+1, 0)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	priv := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if keyFirst {
		return append(priv, cert...)
	}
	return append(cert, priv...)
}

func TestParseTahoe(t *testing.T) {
	for _, keyFirst := range []bool{false, true} {
		id, err := door.Parse(tahoePEM(t, keyFirst))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := id.Signer().(*rsa.PrivateKey); !ok || id.TubID() != sha1.Sum(id.Certificate()) {
			t.Errorf("Parse: got a key of type %T", id.Signer())
		}
		if again, err := door.Parse(marshal(t, id)); err != nil || again.Pin() != id.Pin() {
			t.Errorf("Parse of what was written again: %v", err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := marshal(t, generate(t))
	cert, key, _ := bytes.Cut(good, []byte("-----BEGIN PRIVATE KEY"))
	key = append([]byte("-----BEGIN PRIVATE KEY"), key...)
	otherCert, _, _ := bytes.Cut(marshal(t, generate(t)), []byte("-----BEGIN PRIVATE KEY"))
	_, edKey, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	edDER, err := x509.MarshalPKCS8PrivateKey(edKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		text []byte
	}{
		{"nothing", nil},
		{"garbage", []byte("hello")},
		{"no key", cert},
		{"no certificate", key},
		{"another's certificate", append(bytes.Clone(otherCert), key...)},
		{"another kind of key", append(bytes.Clone(cert), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: edDER})...)},
		{"two certificates", append(append(bytes.Clone(cert), cert...), key...)},
		{"two keys", append(append(bytes.Clone(cert), key...), key...)},
		{"another block", append(bytes.Clone(good), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL"})...)},
		{"a key that is none", append(bytes.Clone(cert), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})...)},
		{"a certificate that is none", append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), key...)},
	} {
		if id, err := door.Parse(tt.text); !errors.Is(err, door.ErrBadIdentity) || id != nil {
			t.Errorf("Parse of %s: got %v, want ErrBadIdentity", tt.name, err)
		}
	}
}

// FuzzParse: nothing panics, and what is read holds together.
func FuzzParse(f *testing.F) {
	f.Add(marshal(f, generate(f)))
	f.Add(tahoePEM(f, true))
	f.Fuzz(func(t *testing.T, text []byte) {
		id, err := door.Parse(text)
		if err != nil {
			return
		}
		again, err := door.Parse(marshal(t, id))
		if err != nil || again.Pin() != id.Pin() || again.TubID() != id.TubID() {
			t.Errorf("Parse: what was read is not what is written: %v", err)
		}
	})
}
