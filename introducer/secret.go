package introducer

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

const secretBytes = 20

// A Secret is the right to publish through an introducer or to subscribe to
// it: 20 random bytes, 32 characters of base32. It travels as a pointer, and
// no verb prints it.
type Secret struct{ secret [secretBytes]byte }

// GenerateSecret makes a publishing secret.
func GenerateSecret() *Secret {
	s := new(Secret)
	// crypto/rand.Read never fails: it ends the program first.
	rand.Read(s.secret[:])
	return s
}

// ParseSecret reads the 32 characters that Reveal writes. Space around them
// is ignored. The error never quotes the text.
func ParseSecret(text string) (*Secret, error) {
	raw, ok := decode32(strings.TrimSpace(text))
	if !ok || len(raw) != secretBytes {
		return nil, fmt.Errorf("%w: the secret is not 32 characters of base32", ErrBadFURL)
	}
	return &Secret{[secretBytes]byte(raw)}, nil
}

// Subscribing derives the subscribing secret of a publishing one: who may
// publish may subscribe, and not the other way round.
func (s *Secret) Subscribing() *Secret {
	h := hmac.New(sha256.New, s.secret[:])
	io.WriteString(h, "lafs introducer subscribe v1")
	return &Secret{[secretBytes]byte(h.Sum(nil)[:secretBytes])}
}

// Reveal returns the secret as text, for a file of mode 0600.
func (s *Secret) Reveal() string { return encoding.EncodeToString(s.secret[:]) }

const authScheme = "lafs "

// Authorization returns the value of the header Authorization that shows the
// secret to the introducer. Secret.
func (s *Secret) Authorization() string { return authScheme + s.Reveal() }

// Authorizes reports, in constant time, whether a header Authorization holds
// the secret.
func (s *Secret) Authorizes(header string) bool {
	return subtle.ConstantTimeCompare([]byte(header), []byte(s.Authorization())) == 1
}

// Format prints [secret], whatever the verb.
func (*Secret) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// LogValue logs [secret].
func (*Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// A Swissnum is the right to store under a server's default authority: 16 to
// 64 ASCII letters and digits, 32 of base32 in practice. Every subscriber of
// an introducer learns it; others must not, so it travels as a pointer and no
// verb prints it.
type Swissnum struct{ text string }

// NewSwissnum holds text. It refuses what no FURL can carry, without quoting
// it.
func NewSwissnum(text string) (*Swissnum, error) {
	if len(text) < 16 || len(text) > 64 || strings.ContainsFunc(text, notAlphanumeric) {
		return nil, fmt.Errorf("%w: a swissnum has 16 to 64 letters and digits", ErrBadAnnouncement)
	}
	return &Swissnum{text}, nil
}

func notAlphanumeric(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9')
}

// Reveal returns the text itself, for the wire or a file of mode 0600.
func (s *Swissnum) Reveal() string { return s.text }

// Format prints [secret], whatever the verb.
func (*Swissnum) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// LogValue logs [secret].
func (*Swissnum) LogValue() slog.Value { return slog.StringValue("[secret]") }
