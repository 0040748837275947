package dirnode

import (
	"fmt"
	"slices"
	"strings"

	"lafs/shares/caps"
)

// A Listing is what a directory holds. Secret, as its entries are.
type Listing struct {
	// Entries are sorted by name, which no two share.
	Entries []Entry
	// Damaged are the entries that cannot be shown.
	Damaged []Damaged
	// Size of the directory's content, in bytes.
	Size int64
}

// A Damaged entry breaks a rule. Edits keep it until one replaces or removes
// its name.
type Damaged struct {
	// Name in NFC, "" if it is not even UTF-8.
	Name string
	// Err matches one of this package's errors, or caps.ErrSyntax.
	Err error
}

// Find returns the entry of a name, which need not be normalized.
func (l *Listing) Find(name string) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(l.Entries, nameKey(name), func(e Entry, name string) int {
		return strings.Compare(e.Name, name)
	})
	if !ok {
		return Entry{}, false
	}
	return l.Entries[i], true
}

// directory returns the directory that a cap names.
func directory(c caps.Cap) (*caps.Directory, error) {
	d, ok := c.(*caps.Directory)
	if !ok {
		return nil, ErrNotADirectory
	}
	if verifies(d.Kind()) {
		return nil, fmt.Errorf("%w that could be read: it is a verify cap", ErrNotADirectory)
	}
	return d, nil
}

// placeOf tells how the entries of a directory are read.
func placeOf(d *caps.Directory) place {
	w, ok := d.File().(*caps.MutableWriter)
	if !ok {
		return place{immutable: !d.Kind().Mutable()}
	}
	return place{key: w.Key}
}

// Decode reads the content of the directory that dir names, with the rights
// of dir: those who can only read it get no write caps. It aliases data. An
// error matches ErrCorrupt or ErrTooMany, or ErrNotADirectory if dir is no
// directory's read or write cap; entries that are damaged by themselves are in the listing.
func Decode(dir caps.Cap, data []byte) (*Listing, error) {
	d, err := directory(dir)
	if err != nil {
		return nil, err
	}
	c, err := parse(data)
	if err != nil {
		return nil, err
	}
	p := placeOf(d)
	l := &Listing{Size: int64(len(data)), Entries: make([]Entry, 0, len(c.lines))}
	for i, line := range c.lines {
		// Of several with one name the last one counts.
		if i+1 < len(c.lines) && c.lines[i+1].key == line.key {
			continue
		}
		if p.immutable && len(line.write) != 0 {
			return nil, fmt.Errorf("%w: a write cap in an immutable directory", ErrCorrupt)
		}
		e, err := p.decode(line.raw)
		if err != nil {
			l.Damaged = append(l.Damaged, Damaged{e.Name, err})
			continue
		}
		l.Entries = append(l.Entries, e)
	}
	return l, nil
}

// EncodeMutable returns the content of a new mutable directory. Metadata are
// written as they are, nil as an empty object. Names are normalized, and may
// not meet in one; errors match ErrName, ErrMetadata or ErrMustBeReadOnly.
func EncodeMutable(key *caps.WriteKey, entries []Entry) ([]byte, error) {
	return encodeAll(place{key: key}, entries)
}

// EncodeImmutable is EncodeMutable for an immutable directory. What could
// change is refused with ErrMustBeImmutable.
func EncodeImmutable(entries []Entry) ([]byte, error) {
	return encodeAll(place{immutable: true}, entries)
}

func encodeAll(p place, entries []Entry) ([]byte, error) {
	if len(entries) > maxEntries {
		return nil, errTooManyEntries
	}
	changes := make([]change, 0, len(entries))
	for _, e := range entries {
		name, err := Normalize(e.Name)
		if err != nil {
			return nil, err
		}
		if e.Metadata != nil {
			if err := e.Metadata.check(); err != nil {
				return nil, err
			}
		}
		r, err := p.encode(name, e.Child, e.Metadata)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change{key: name, text: r.append(nil)})
	}
	if err := sortChanges(changes); err != nil {
		return nil, err
	}
	return (&content{}).apply(changes), nil
}
