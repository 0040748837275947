package storage

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
)

// LeaseSecrets let their holder renew and cancel one lease on one server
// (FORMATS.md section 6). Secret: they travel as a pointer, and no verb
// prints them.
type LeaseSecrets struct{ Renew, Cancel [32]byte }

// Format prints [secret], whatever the verb.
func (*LeaseSecrets) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// LogValue logs [secret].
func (*LeaseSecrets) LogValue() slog.Value { return slog.StringValue("[secret]") }

// An UploadSecret lets its holder write to, and abort, the uploads that it
// began: 1 to 256 bytes, of which our clients use 20. Secret: it travels as
// a pointer, and no verb prints it.
type UploadSecret struct{ secret []byte }

// NewUploadSecret holds a copy of b.
func NewUploadSecret(b []byte) *UploadSecret { return &UploadSecret{append([]byte(nil), b...)} }

// GenerateUploadSecret makes a secret of 20 random bytes.
func GenerateUploadSecret() *UploadSecret {
	b := make([]byte, 20)
	// crypto/rand.Read never fails: it ends the program first.
	rand.Read(b)
	return &UploadSecret{b}
}

// Bytes returns the secret itself, for the wire or a hash.
func (u *UploadSecret) Bytes() []byte { return u.secret }

// Format prints [secret], whatever the verb.
func (*UploadSecret) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// LogValue logs [secret].
func (*UploadSecret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// A Swissnum is the right to store under one authority of a server: ASCII
// text, 32 base32 characters in practice. Secret: it travels as a pointer,
// and no verb prints it.
type Swissnum struct{ text string }

// NewSwissnum holds text.
func NewSwissnum(text string) *Swissnum { return &Swissnum{text} }

// Reveal returns the text itself, for the wire or a file of mode 0600.
func (s *Swissnum) Reveal() string { return s.text }

// Format prints [secret], whatever the verb.
func (*Swissnum) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// LogValue logs [secret].
func (*Swissnum) LogValue() slog.Value { return slog.StringValue("[secret]") }
