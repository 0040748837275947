package immutable

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"lafs/shares/caps"
	"lafs/shares/hashes"
)

// A ConvergenceSecret makes the keys of one's files differ from other
// people's for the same content. Secret: it travels as a pointer, and no verb
// prints it.
type ConvergenceSecret struct{ secret []byte }

// NewConvergenceSecret holds a copy of raw: 32 random bytes in our nodes, any
// length in old ones.
func NewConvergenceSecret(raw []byte) *ConvergenceSecret {
	return &ConvergenceSecret{append([]byte(nil), raw...)}
}

// ParseConvergenceSecret reads what Reveal writes: base32, as in
// private/convergence.
func ParseConvergenceSecret(text string) (*ConvergenceSecret, error) {
	raw, err := caps.Decode(text)
	if err != nil {
		return nil, errors.New("the convergence secret is not base32")
	}
	return &ConvergenceSecret{raw}, nil
}

// Reveal returns the secret in base32, for a file of mode 0600.
func (s *ConvergenceSecret) Reveal() string { return caps.Encoding.EncodeToString(s.secret) }

// Format prints [secret], whatever the verb.
func (*ConvergenceSecret) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// LogValue logs [secret].
func (*ConvergenceSecret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// A Keyer makes the convergent key of one file: an io.Writer over its whole
// plaintext, for one goroutine at a time.
type Keyer struct {
	running *hashes.Convergence
	left    int64
	segment int64
}

// NewKeyer begins the key of a file of size bytes coded by p. The key depends
// on all three.
func NewKeyer(p Params, size int64, secret *ConvergenceSecret) (*Keyer, error) {
	g, err := p.geometry(size)
	if err != nil {
		return nil, err
	}
	return &Keyer{hashes.NewConvergence(secret.secret, g.needed, g.total, g.segSize), size, g.segSize}, nil
}

// SegmentSize returns how much plaintext one segment of the file has; the last
// one may have less.
func (k *Keyer) SegmentSize() int64 { return k.segment }

// Write takes the next bytes of the plaintext. It fails when they are more
// than the file was said to have.
func (k *Keyer) Write(plaintext []byte) (int, error) {
	if int64(len(plaintext)) > k.left {
		return 0, errors.New("the file is larger than it was when its upload began")
	}
	k.left -= int64(len(plaintext))
	return k.running.Write(plaintext)
}

// Key returns the key. It fails when bytes are missing.
func (k *Keyer) Key() (*caps.ReadKey, error) {
	if k.left > 0 {
		return nil, errors.New("the file is smaller than it was when its upload began")
	}
	return caps.NewReadKey(k.running.Key()), nil
}

// RandomKey returns a key that depends on nothing: the same file gets another
// cap each time.
func RandomKey() *caps.ReadKey {
	var key [16]byte
	// crypto/rand.Read never fails: it ends the program first.
	rand.Read(key[:])
	return caps.NewReadKey(key)
}
