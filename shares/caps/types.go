package caps

import (
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"lafs/shares/hashes"
)

// ErrSyntax is matched by every error of this package that says a cap, a
// storage index or a key is not well written. The errors never quote it.
var ErrSyntax = errors.New("not a valid cap")

// Encoding is Tahoe's base32: RFC 4648's alphabet in lower case without
// padding (FORMATS.md section 1). Use Decode to read it: it also refuses
// unused bits that are not zero.
var Encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Decode reads Tahoe's base32. It refuses upper case, padding, line breaks
// and a last character whose unused bits are not zero.
func Decode(s string) ([]byte, error) {
	raw, err := Encoding.DecodeString(s)
	if err != nil || Encoding.EncodeToString(raw) != s {
		return nil, fmt.Errorf("%w: not base32", ErrSyntax)
	}
	return raw, nil
}

// A StorageIndex addresses one bucket or slot on every server: the first 16
// bytes of a tagged SHA-256d of the read key. Not secret, but linkable: logs
// get only its first 4 characters.
type StorageIndex [16]byte

// ParseStorageIndex reads the 26 characters that String writes.
func ParseStorageIndex(s string) (StorageIndex, error) {
	raw, err := Decode(s)
	if err != nil || len(raw) != len(StorageIndex{}) {
		return StorageIndex{}, fmt.Errorf("%w: not a storage index of 26 base32 characters", ErrSyntax)
	}
	return StorageIndex(raw), nil
}

// String returns the index as paths and verify caps hold it. Not for logs.
func (si StorageIndex) String() string { return Encoding.EncodeToString(si[:]) }

// Short returns the first 4 characters, for logs.
func (si StorageIndex) Short() string { return si.String()[:4] }

// LogValue shortens the index in logs.
func (si StorageIndex) LogValue() slog.Value { return slog.StringValue(si.Short() + "…") }

// A ReadKey decrypts one file, or reads one slot: a 16-byte AES key. Secret:
// no verb prints it, and it travels as a pointer, since a traceback prints
// array arguments.
type ReadKey struct{ key [16]byte }

// NewReadKey holds a copy of key.
func NewReadKey(key [16]byte) *ReadKey { return &ReadKey{key} }

// Bytes returns the key itself, for a cipher or a hash.
func (k *ReadKey) Bytes() []byte { return k.key[:] }

// StorageIndex derives where the shares of the immutable file of this key
// are.
func (k *ReadKey) StorageIndex() StorageIndex { return hashes.StorageIndex(k.key[:]) }

// Format prints [secret], whatever the verb.
func (*ReadKey) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// LogValue logs [secret].
func (*ReadKey) LogValue() slog.Value { return slog.StringValue("[secret]") }

// A WriteKey reads and writes one slot: 16 bytes that give the read key.
// Secret: no verb prints it, and it travels as a pointer.
type WriteKey struct{ key [16]byte }

// NewWriteKey holds a copy of key.
func NewWriteKey(key [16]byte) *WriteKey { return &WriteKey{key} }

// Bytes returns the key itself, for a cipher or a hash.
func (k *WriteKey) Bytes() []byte { return k.key[:] }

// ReadKey derives the key that reads the same slot.
func (k *WriteKey) ReadKey() *ReadKey { return NewReadKey(hashes.MutableReadKey(k.key[:])) }

// Format prints [secret], whatever the verb.
func (*WriteKey) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// LogValue logs [secret].
func (*WriteKey) LogValue() slog.Value { return slog.StringValue("[secret]") }
