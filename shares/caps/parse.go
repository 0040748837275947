package caps

import (
	"fmt"
	"strconv"
	"strings"

	"lafs/shares/hashes"
)

// MaxLength is the longest text that Parse takes, in bytes.
const MaxLength = 1 << 16

// MaxSize is the largest size that a cap may give a file, in bytes: 64 PiB.
// It keeps every offset inside a share, with its hash trees, below 2^63.
const MaxSize = 1 << 56

// maxShares is the largest N: the code works in a field of 256 elements.
const maxShares = 256

// Parse reads a cap. It takes exactly what Reveal writes, plus the hints that
// old MDMF caps carry after the fingerprint, which it drops; and the prefixes
// ro. and imm., which it checks and drops. A text of no known kind gives an
// *Unknown. Errors match ErrSyntax and never quote the cap.
func Parse(text string) (Cap, error) {
	if text == "" {
		return nil, fmt.Errorf("%w: it is empty", ErrSyntax)
	}
	if len(text) > MaxLength {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrSyntax, MaxLength)
	}
	rest, promise := cutPromise(text)
	kind, fields, known := cutKind(rest)
	if wrapped(text) {
		return nil, fmt.Errorf("%w: there are quotes, spaces or other marks around it; remove them", ErrSyntax)
	}
	if !known {
		return &Unknown{text: text}, nil
	}
	if promise == readOnlyPrefix && kind.Writable() {
		return nil, fmt.Errorf("%w: marked read-only, but a %s cap can write", ErrSyntax, kind)
	}
	// Verify caps show nothing that could change, so they pass.
	if promise == immutablePrefix && kind.Mutable() && !kind.verifies() {
		return nil, fmt.Errorf("%w: marked immutable, but a %s cap names what can change", ErrSyntax, kind)
	}
	c, err := parseKind(kind, fields)
	if err != nil {
		return nil, fmt.Errorf("%s cap: %w", kind, err)
	}
	return c, nil
}

// wrapping is what a cap may be wrapped in by the way that it took: quotes of
// any kind, brackets, spaces, and the byte order mark of some editors.
const wrapping = "\"'`\u201c\u201d\u2018\u2019\u201e\u00ab\u00bb<>()\ufeff \t\r\n"

// wrapped reports whether text is a cap of a known kind with something around
// it. What is left of one that is no cap of a known kind is nobody's business.
func wrapped(text string) bool {
	bare := strings.Trim(text, wrapping)
	if bare == text {
		return false
	}
	rest, _ := cutPromise(bare)
	_, _, known := cutKind(rest)
	return known
}

func (k Kind) verifies() bool { return strings.HasSuffix(string(k), "-Verifier") }

// cutKind splits a cap's text into its kind and its fields.
func cutKind(text string) (kind Kind, fields string, known bool) {
	text, ok := strings.CutPrefix(text, "URI:")
	if !ok {
		return "", "", false
	}
	word, fields, ok := strings.Cut(text, ":")
	if !ok {
		return "", "", false
	}
	kind = Kind(word)
	if _, isDir := fileKind(kind); isDir {
		return kind, fields, true
	}
	_, isFile := dirKinds[kind]
	return kind, fields, isFile
}

func parseKind(kind Kind, fields string) (Cap, error) {
	if file, ok := fileKind(kind); ok {
		node, err := parseKind(file, fields)
		if err != nil {
			return nil, err
		}
		return &Directory{node: node}, nil
	}
	switch kind {
	case KindCHK:
		return parseCHK(fields)
	case KindCHKVerifier:
		return parseCHKVerifier(fields)
	case KindLIT:
		return parseLIT(fields)
	case KindSSK, KindMDMF:
		key, fingerprint, err := parseSlot(kind == KindMDMF, fields)
		return &MutableWriter{Key: NewWriteKey(key), Fingerprint: fingerprint, MDMF: kind == KindMDMF}, err
	case KindSSKReader, KindMDMFReader:
		key, fingerprint, err := parseSlot(kind == KindMDMFReader, fields)
		return &MutableReader{Key: NewReadKey(key), Fingerprint: fingerprint, MDMF: kind == KindMDMFReader}, err
	default:
		si, fingerprint, err := parseSlot(kind == KindMDMFVerifier, fields)
		return &MutableVerifier{Index: si, Fingerprint: fingerprint, MDMF: kind == KindMDMFVerifier}, err
	}
}

func parse16(field string) ([16]byte, error) {
	raw, err := Decode(field)
	if err != nil || len(raw) != 16 {
		return [16]byte{}, fmt.Errorf("%w: its first field is not 26 base32 characters", ErrSyntax)
	}
	return [16]byte(raw), nil
}

func parseHash(field string) (hashes.Hash, error) {
	raw, err := Decode(field)
	if err != nil || len(raw) != 32 {
		return hashes.Hash{}, fmt.Errorf("%w: its second field is not 52 base32 characters", ErrSyntax)
	}
	return hashes.Hash(raw), nil
}

// parseDecimal reads a number from 1 to limit in the one way to write it.
func parseDecimal(field, name string, limit int64) (int64, error) {
	n, err := strconv.ParseInt(field, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != field || n < 1 || n > limit {
		return 0, fmt.Errorf("%w: its %s is not a number from 1 to %d", ErrSyntax, name, limit)
	}
	return n, nil
}
