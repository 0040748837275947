package onion_test

import (
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"lafs/onion"
)

// The Tor Project's own onion service, and DuckDuckGo's: addresses that
// others made.
const (
	torProject = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
	duck       = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion"
)

func TestParseAddr(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		ok       bool
	}{
		{"tor project", torProject + ":80", true},
		{"duck", duck + ":443", true},
		{"upper case", strings.ToUpper(duck) + ":443", true},
		{"no port", duck, false},
		{"port 0", duck + ":0", false},
		{"port with zero", duck + ":080", false},
		{"port with sign", duck + ":+80", false},
		{"port too large", duck + ":65536", false},
		{"ip", "192.0.2.1:80", false},
		{"ipv6", "[2001:db8::1]:80", false},
		{"name", "example.com:80", false},
		{"subdomain", "www." + duck + ":80", false},
		{"v2", "expyuzz4wqqyqhjn.onion:80", false},
		{"checksum", strings.Replace(duck, "duckduckgo", "duckduckga", 1) + ":80", false},
		{"version", duck[:55] + "a.onion:80", false},
		{"empty", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := onion.ParseAddr(tt.in)
			if !tt.ok {
				if !errors.Is(err, onion.ErrBadAddr) || !a.IsZero() {
					t.Fatalf("ParseAddr: got %v, %v, want ErrBadAddr", a, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := a.String(); got != strings.ToLower(tt.in) {
				t.Errorf("String: got %s, want %s", got, tt.in)
			}
		})
	}
}

func TestAddrRefusesTorsion(t *testing.T) {
	identity := make([]byte, 32)
	identity[0] = 1
	order2 := make([]byte, 32) // the point (0, -1)
	for i := range order2 {
		order2[i] = 0xff
	}
	order2[0], order2[31] = 0xec, 0x7f
	for _, pub := range [][]byte{identity, order2} {
		if _, err := onion.NewAddr(pub, 80); !errors.Is(err, onion.ErrBadAddr) {
			t.Errorf("NewAddr of a small point: got %v, want ErrBadAddr", err)
		}
	}
}

func TestKey(t *testing.T) {
	k, err := onion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	back, err := onion.ParseKey(k.Marshal() + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if !back.PublicKey().Equal(k.PublicKey()) {
		t.Error("ParseKey(Marshal) has another public key")
	}
	sig, err := back.Sign([]byte("message"))
	if err != nil {
		t.Fatal(err)
	}
	if !ed25519.Verify(k.PublicKey(), []byte("message"), sig) {
		t.Error("crypto/ed25519 does not verify our signature")
	}
	if got := fmt.Sprintf("%v %+v %#v %s %x", k, k, k, k, k); got != "[secret] [secret] [secret] [secret] [secret]" {
		t.Errorf("Format: got %q", got)
	}
}

// An expanded key must sign as the seed's own key does.
func TestKeyOfSeed(t *testing.T) {
	seed := make([]byte, 32)
	std := ed25519.NewKeyFromSeed(seed)
	d := sha512.Sum512(seed)
	d[0] &= 248
	d[31] = d[31]&63 | 64
	k, err := onion.ParseKey("ED25519-V3:" + base64.StdEncoding.EncodeToString(d[:]))
	if err != nil {
		t.Fatal(err)
	}
	if !k.PublicKey().Equal(std.Public()) {
		t.Fatal("another public key than crypto/ed25519's")
	}
	got, err := k.Sign([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if want := ed25519.Sign(std, []byte("x")); string(got) != string(want) {
		t.Error("another signature than crypto/ed25519's")
	}
}

func TestParseKeyRefuses(t *testing.T) {
	k, _ := onion.GenerateKey()
	good := k.Marshal()
	for _, in := range []string{"", "ED25519-V3:", "RSA1024:abc", good[:len(good)-4], good + "AAAA",
		"ED25519-V3:" + base64.StdEncoding.EncodeToString(make([]byte, 64))} {
		_, err := onion.ParseKey(in)
		if !errors.Is(err, onion.ErrBadKey) {
			t.Errorf("ParseKey: got %v, want ErrBadKey", err)
		}
	}
}

func FuzzParseAddr(f *testing.F) {
	f.Add(duck + ":80")
	f.Add("127.0.0.1:80")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := onion.ParseAddr(s)
		if err != nil {
			return
		}
		if b, err := onion.ParseAddr(a.String()); err != nil || a != b {
			t.Errorf("round trip: %v, %v", b, err)
		}
	})
}
