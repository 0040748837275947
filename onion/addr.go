package onion

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha3"
	"encoding/base32"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"filippo.io/edwards25519"
)

// An Addr is the place of an onion service: its v3 address and a virtual
// port. The zero Addr is no address. An Addr is comparable. It is public but
// linkable: logs get only its first 4 characters.
type Addr struct {
	pub  [ed25519.PublicKeySize]byte
	port uint16
}

const (
	hostSuffix  = ".onion"
	version3    = 3
	hostChars   = 56 // base32 of 32 bytes of key, 2 of checksum, 1 of version
	keyBytes    = ed25519.PublicKeySize
	sumBytes    = 2
	binaryBytes = keyBytes + sumBytes + 1
)

var hostEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewAddr returns the address of the service that holds the private half of
// pub. It refuses a key that is not a point of the curve's prime-order group
// and port 0.
func NewAddr(pub ed25519.PublicKey, port uint16) (Addr, error) {
	if len(pub) != keyBytes {
		return Addr{}, fmt.Errorf("%w: the key has %d bytes, not %d", ErrBadAddr, len(pub), keyBytes)
	}
	if port == 0 {
		return Addr{}, fmt.Errorf("%w: port 0", ErrBadAddr)
	}
	if err := checkPoint(pub); err != nil {
		return Addr{}, err
	}
	a := Addr{port: port}
	copy(a.pub[:], pub)
	return a, nil
}

// ParseAddr reads "<56 characters>.onion:<port>". Upper case is accepted and
// folded. Anything else, an IP address and a DNS name among it, is refused.
func ParseAddr(s string) (Addr, error) {
	host, portText, ok := strings.Cut(s, ":")
	if !ok {
		return Addr{}, fmt.Errorf("%w: no port; write it as <address>.onion:<port>", ErrBadAddr)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 || portText != strconv.FormatUint(port, 10) {
		return Addr{}, fmt.Errorf("%w: the port is not a number from 1 to 65535", ErrBadAddr)
	}
	name, ok := strings.CutSuffix(strings.ToLower(host), hostSuffix)
	if !ok {
		return Addr{}, fmt.Errorf("%w: it does not end in %s", ErrBadAddr, hostSuffix)
	}
	if len(name) != hostChars {
		return Addr{}, fmt.Errorf("%w: %d characters before %s, not %d", ErrBadAddr, len(name), hostSuffix, hostChars)
	}
	raw, err := hostEncoding.DecodeString(name)
	if err != nil || len(raw) != binaryBytes {
		return Addr{}, fmt.Errorf("%w: not base32", ErrBadAddr)
	}
	if raw[binaryBytes-1] != version3 {
		return Addr{}, fmt.Errorf("%w: version %d, not 3", ErrBadAddr, raw[binaryBytes-1])
	}
	sum := checksum(raw[:keyBytes])
	if !bytes.Equal(sum[:], raw[keyBytes:keyBytes+sumBytes]) {
		return Addr{}, fmt.Errorf("%w: the checksum is wrong; was it mistyped?", ErrBadAddr)
	}
	return NewAddr(raw[:keyBytes], uint16(port))
}

// Host returns "<56 characters>.onion".
func (a Addr) Host() string {
	sum := checksum(a.pub[:])
	raw := make([]byte, 0, binaryBytes)
	raw = append(raw, a.pub[:]...)
	raw = append(raw, sum[:]...)
	raw = append(raw, version3)
	return hostEncoding.EncodeToString(raw) + hostSuffix
}

// Port returns the virtual port.
func (a Addr) Port() uint16 { return a.port }

// PublicKey returns the service's identity key.
func (a Addr) PublicKey() ed25519.PublicKey { return ed25519.PublicKey(bytes.Clone(a.pub[:])) }

// IsZero reports whether a is no address.
func (a Addr) IsZero() bool { return a == Addr{} }

// String returns the whole address, "<host>:<port>". For a person and for
// the wire, not for logs and errors: those take Short.
func (a Addr) String() string {
	if a.IsZero() {
		return "no address"
	}
	return a.Host() + ":" + strconv.Itoa(int(a.port))
}

// Short returns the first characters of the address, enough to tell a
// handful of servers apart in a log.
func (a Addr) Short() string {
	if a.IsZero() {
		return "no address"
	}
	return a.Host()[:4] + "…"
}

// LogValue shortens the address in logs.
func (a Addr) LogValue() slog.Value { return slog.StringValue(a.Short()) }

// checksum is H(".onion checksum" || key || version), first two bytes (Tor's
// rend-spec-v3, section 6).
func checksum(key []byte) [sumBytes]byte {
	h := sha3.New256()
	h.Write([]byte(".onion checksum"))
	h.Write(key)
	h.Write([]byte{version3})
	return [sumBytes]byte(h.Sum(nil))
}

// checkPoint refuses encodings that Tor refuses: what is no point of the
// curve, and points with a torsion component, which would let one service
// have eight addresses.
func checkPoint(pub []byte) error {
	p, err := new(edwards25519.Point).SetBytes(pub)
	if err != nil {
		return fmt.Errorf("%w: the key is not a point of the curve", ErrBadAddr)
	}
	// p is in the prime-order group just if (order-1)*p == -p, and it is not
	// the identity.
	id := edwards25519.NewIdentityPoint()
	if p.Equal(id) == 1 || new(edwards25519.Point).ScalarMult(orderMinusOne, p).Equal(new(edwards25519.Point).Negate(p)) != 1 {
		return fmt.Errorf("%w: the key has a torsion component", ErrBadAddr)
	}
	return nil
}

// orderMinusOne is the scalar -1.
var orderMinusOne = func() *edwards25519.Scalar {
	one := [32]byte{1}
	s, err := new(edwards25519.Scalar).SetCanonicalBytes(one[:])
	if err != nil {
		panic(err)
	}
	return s.Negate(s)
}()
