package caps

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"lafs/shares/hashes"
)

// A CHK reads one immutable file. Secret.
type CHK struct {
	secret
	// Key decrypts the file, and gives its storage index.
	Key *ReadKey
	// UEBHash proves the UEB, which proves everything else.
	UEBHash hashes.Hash
	// Needed shares of Total rebuild the file: 1 <= Needed <= Total <= 256.
	Needed, Total int
	// Size of the plaintext in bytes, from 1 to MaxSize.
	Size int64
}

// Kind returns KindCHK.
func (*CHK) Kind() Kind { return KindCHK }

// Reveal returns the whole text.
func (c *CHK) Reveal() string {
	return fmt.Sprintf("%s%s:%s:%d:%d:%d", KindCHK.prefix(), Encoding.EncodeToString(c.Key.Bytes()),
		Encoding.EncodeToString(c.UEBHash[:]), c.Needed, c.Total, c.Size)
}

// ReadOnly returns the cap itself.
func (c *CHK) ReadOnly() Cap { return c }

// Verifier returns the *CHKVerifier.
func (c *CHK) Verifier() Cap {
	return &CHKVerifier{Index: c.StorageIndex(), UEBHash: c.UEBHash, Needed: c.Needed, Total: c.Total, Size: c.Size}
}

// StorageIndex derives where the shares are.
func (c *CHK) StorageIndex() StorageIndex { return c.Key.StorageIndex() }

// A CHKVerifier checks and repairs the shares of one immutable file, and
// cannot read it. Not secret, but linkable: logs get it shortened.
type CHKVerifier struct {
	Index         StorageIndex
	UEBHash       hashes.Hash
	Needed, Total int
	Size          int64
}

// Kind returns KindCHKVerifier.
func (*CHKVerifier) Kind() Kind { return KindCHKVerifier }

// Reveal returns the whole text.
func (c *CHKVerifier) Reveal() string {
	return fmt.Sprintf("%s%s:%s:%d:%d:%d", KindCHKVerifier.prefix(), c.Index,
		Encoding.EncodeToString(c.UEBHash[:]), c.Needed, c.Total, c.Size)
}

// ReadOnly returns the cap itself.
func (c *CHKVerifier) ReadOnly() Cap { return c }

// Verifier returns the cap itself.
func (c *CHKVerifier) Verifier() Cap { return c }

// StorageIndex tells where the shares are.
func (c *CHKVerifier) StorageIndex() StorageIndex { return c.Index }

// Format prints the kind and the shortened storage index, whatever the verb.
func (c CHKVerifier) Format(f fmt.State, _ rune) { io.WriteString(f, short(KindCHKVerifier, c.Index)) }

// LogValue logs what Format prints.
func (c CHKVerifier) LogValue() slog.Value { return slog.StringValue(short(KindCHKVerifier, c.Index)) }

func short(kind Kind, si StorageIndex) string { return string(kind) + " " + si.Short() + "…" }

func parseCHK(fields string) (Cap, error) {
	key, v, err := parseImmutable(fields)
	if err != nil {
		return nil, err
	}
	return &CHK{Key: NewReadKey(key), UEBHash: v.UEBHash, Needed: v.Needed, Total: v.Total, Size: v.Size}, nil
}

func parseCHKVerifier(fields string) (Cap, error) {
	si, v, err := parseImmutable(fields)
	if err != nil {
		return nil, err
	}
	v.Index = si
	return v, nil
}

// parseImmutable reads the five fields of both caps: the first is the key or
// the storage index.
func parseImmutable(fields string) (first [16]byte, v *CHKVerifier, err error) {
	f := strings.Split(fields, ":")
	if len(f) < 5 {
		return first, nil, fmt.Errorf("%w: it is cut off or mistyped: it has %d of 5 fields", ErrSyntax, len(f))
	}
	if len(f) > 5 {
		return first, nil, fmt.Errorf("%w: it is mistyped, or something follows it: it has more than 5 fields", ErrSyntax)
	}
	v = new(CHKVerifier)
	if first, err = parse16(f[0]); err != nil {
		return first, nil, err
	}
	if v.UEBHash, err = parseHash(f[1]); err != nil {
		return first, nil, err
	}
	total, err := parseDecimal(f[3], "number of shares", maxShares)
	if err != nil {
		return first, nil, err
	}
	needed, err := parseDecimal(f[2], "number of needed shares", total)
	if err != nil {
		return first, nil, err
	}
	v.Needed, v.Total = int(needed), int(total)
	v.Size, err = parseDecimal(f[4], "size", MaxSize)
	return first, v, err
}
