package dirnode

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"strings"
	"unicode/utf8"

	"lafs/shares/caps"
	"lafs/shares/hashes"
)

// An Entry is one link of a directory: a name, and what it leads to. Secret,
// as the child is.
type Entry struct {
	// Name in NFC. It may be what Normalize refuses, a slash in it, or "..":
	// nothing to build a path on a disk from unseen.
	Name     string
	Child    Child
	Metadata Metadata
}

// A raw is one entry as it is written. All alias the directory's content.
type raw struct {
	name, read, write, metadata []byte
	// rest is what nobody knows yet: kept.
	rest []byte
}

func parseRaw(b []byte) (r raw, err error) {
	for _, field := range []*[]byte{&r.name, &r.read, &r.write, &r.metadata} {
		if *field, b, err = cutNetstring(b); err != nil {
			return raw{}, err
		}
	}
	r.rest = b
	return r, nil
}

// append writes the entry as one netstring.
func (r raw) append(dst []byte) []byte {
	size := len(r.rest)
	for _, field := range [][]byte{r.name, r.read, r.write, r.metadata} {
		size += netstringSize(len(field))
	}
	body := make([]byte, 0, size)
	for _, field := range [][]byte{r.name, r.read, r.write, r.metadata} {
		body = appendNetstring(body, field)
	}
	return appendNetstring(dst, append(body, r.rest...))
}

// A place is how entries are written and read in one directory.
type place struct {
	immutable bool
	// key is the directory's, nil for those who only read.
	key *caps.WriteKey
}

// encode writes one entry, whose name and metadata have been checked.
func (p place) encode(name string, c Child, m Metadata) (raw, error) {
	if m == nil {
		m = Metadata("{}")
	}
	if m.NoWrite() {
		c = c.ReadOnly()
	}
	if err := c.check(); err != nil {
		return raw{}, err
	}
	r := raw{name: []byte(name), read: []byte(kept(c.Read, p.immutable)), metadata: m}
	if p.immutable {
		return r, c.checkImmutable()
	}
	r.write = encrypt(p.key, []byte(text(c.Write)))
	return r, nil
}

// decode reads one entry. Names that are no UTF-8 are part of its error.
func (p place) decode(r raw) (Entry, error) {
	if !utf8.Valid(r.name) {
		return Entry{}, fmt.Errorf("%w: the name is not UTF-8", ErrName)
	}
	e := Entry{Name: nameKey(string(r.name)), Metadata: Metadata(r.metadata)}
	if err := e.Metadata.check(); err != nil {
		return e, err
	}
	var err error
	e.Child, err = p.child(r)
	if err == nil && e.Metadata.NoWrite() {
		e.Child = e.Child.ReadOnly()
	}
	return e, err
}

func (p place) child(r raw) (Child, error) {
	write := ""
	if p.key != nil {
		plain, err := decrypt(p.key, r.write)
		if err != nil {
			return Child{}, err
		}
		write = trimSpaces(plain)
	}
	return parseChild(write, trimSpaces(r.read), p.immutable)
}

// trimSpaces drops what later versions may write to hide a cap's length.
func trimSpaces(b []byte) string { return strings.TrimRight(string(b), " ") }

const (
	saltSize = 16
	macSize  = len(hashes.Hash{})
)

// encrypt hides the write cap of a child from those who can only read the
// directory. The salt is made from the cap: the same cap gives the same
// bytes.
func encrypt(key *caps.WriteKey, writeCap []byte) []byte {
	salt := hashes.DirnodeSalt(writeCap)
	childKey := hashes.DirnodeKey(salt[:], key.Bytes())
	out := make([]byte, saltSize+len(writeCap), saltSize+len(writeCap)+macSize)
	copy(out, salt[:])
	crypt(childKey, out[saltSize:], writeCap)
	// Nobody has checked it since Tahoe-LAFS 1.3: the file is signed.
	mac := hashes.DirnodeMAC(childKey[:], out)
	return append(out, mac[:]...)
}

func decrypt(key *caps.WriteKey, data []byte) ([]byte, error) {
	if len(data) == 0 {
		return nil, nil
	}
	if len(data) < saltSize+macSize {
		return nil, fmt.Errorf("%w: an encrypted write cap is cut", ErrCorrupt)
	}
	salt, data := data[:saltSize], data[saltSize:len(data)-macSize]
	out := make([]byte, len(data))
	crypt(hashes.DirnodeKey(salt, key.Bytes()), out, data)
	return out, nil
}

// crypt is AES-128-CTR from a zero counter: each key is used once.
func crypt(key [16]byte, dst, src []byte) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // Keys of 16 bytes are right.
	}
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(dst, src)
}
