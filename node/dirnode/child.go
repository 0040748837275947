package dirnode

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"lafs/shares/caps"
)

// A Child is what a link leads to: one object, with the rights that the link
// gives. Secret, as the caps in it are.
type Child struct {
	// Write is the cap that can write, nil if the link gives none.
	Write caps.Cap
	// Read is the cap that can read and not write. For a cap of an unknown
	// kind it starts with ro. or imm., which is what the directory promises of
	// it; nil if the directory holds none.
	Read caps.Cap
}

// NewChild returns the child that c names, with all rights of c. A cap of an
// unknown kind without ro. or imm. is refused with ErrMustBeReadOnly: nobody
// can tell a read cap of it for those who may not write.
func NewChild(c caps.Cap) (Child, error) {
	read := c.ReadOnly()
	switch {
	case read == nil:
		return Child{}, fmt.Errorf("%w: a cap of an unknown kind, with no read cap beside it", ErrMustBeReadOnly)
	case c.Kind().Writable():
		return Child{Write: c, Read: read}, nil
	}
	return Child{Read: read}, nil
}

// ParseChild reads the two caps by which requests and directories name a
// child, either of them "" if there is none. A known cap in write gives the
// read cap itself, and then read is not looked at. A cap in read that can
// write is refused with ErrMustBeReadOnly; other errors match caps.ErrSyntax.
func ParseChild(write, read string) (Child, error) { return parseChild(write, read, false) }

// The promises that a place in a directory makes of a cap.
const (
	readOnlyPrefix  = "ro."
	immutablePrefix = "imm."
)

// promised marks what a read cap's place says of it.
func promised(read string, immutable bool) string {
	switch {
	case immutable:
		return immutablePrefix + strings.TrimPrefix(strings.TrimPrefix(read, immutablePrefix), readOnlyPrefix)
	case strings.HasPrefix(read, immutablePrefix), strings.HasPrefix(read, readOnlyPrefix):
		return read
	}
	return readOnlyPrefix + read
}

// kept is the text of a read cap in a directory: without the promise that its
// place makes.
func kept(read caps.Cap, immutable bool) string {
	if read == nil {
		return ""
	}
	text := read.Reveal()
	if rest, ok := strings.CutPrefix(text, immutablePrefix); ok {
		if immutable {
			return rest
		}
		return text
	}
	return strings.TrimPrefix(text, readOnlyPrefix)
}

func parseChild(write, read string, immutable bool) (Child, error) {
	if write == "" && read == "" {
		// A cap of the future may have no read cap, and its write cap be hidden.
		return Child{}, nil
	}
	if !utf8.ValidString(write) || !utf8.ValidString(read) {
		return Child{}, fmt.Errorf("%w: not UTF-8", caps.ErrSyntax)
	}
	if write != "" {
		c, err := caps.Parse(write)
		if err != nil {
			return Child{}, err
		}
		unknown := c.Kind() == caps.KindUnknown
		if !unknown || c.ReadOnly() != nil && read == "" {
			return newChild(c, immutable)
		}
		return parseUnknown(c, read)
	}
	c, err := caps.Parse(promised(read, immutable))
	if err != nil {
		if plain, plainErr := caps.Parse(strings.TrimPrefix(read, readOnlyPrefix)); plainErr == nil {
			if plain.Kind().Writable() {
				return Child{}, ErrMustBeReadOnly
			}
			if immutable {
				return Child{}, ErrMustBeImmutable
			}
		}
		return Child{}, err
	}
	return newChild(c, immutable)
}

// parseUnknown pairs a write cap of an unknown kind with its read cap.
func parseUnknown(write caps.Cap, read string) (Child, error) {
	if read == "" {
		return NewChild(write)
	}
	if strings.HasPrefix(read, immutablePrefix) {
		return Child{}, fmt.Errorf("%w: a write cap beside a cap that is marked immutable", ErrMustBeReadOnly)
	}
	c, err := caps.Parse(promised(read, false))
	if err != nil {
		return Child{}, err
	}
	return Child{Write: write, Read: c}, nil
}

// newChild is NewChild for a place in a directory.
func newChild(c caps.Cap, immutable bool) (Child, error) {
	child, err := NewChild(c)
	if err == nil && immutable {
		err = child.checkImmutable()
	}
	return child, err
}

// check refuses what no directory can hold.
func (c Child) check() error {
	switch {
	case c.Read == nil:
		return fmt.Errorf("%w: there is no read cap", ErrMustBeReadOnly)
	case c.Read.Kind().Writable() || c.Read.ReadOnly() == nil:
		return ErrMustBeReadOnly
	case c.Write != nil && c.Write.ReadOnly() != nil && !c.Write.Kind().Writable():
		return fmt.Errorf("%w: the other cap cannot write", ErrMustBeReadOnly)
	}
	return nil
}

// checkImmutable refuses what may not be in an immutable directory.
func (c Child) checkImmutable() error {
	if c.Write != nil || c.Read == nil {
		return ErrMustBeImmutable
	}
	kind := c.Read.Kind()
	if kind == caps.KindUnknown {
		if !strings.HasPrefix(c.Read.Reveal(), immutablePrefix) {
			return ErrMustBeImmutable
		}
		return nil
	}
	// A verify cap shows nothing that could change.
	if kind.Mutable() && !verifies(kind) {
		return ErrMustBeImmutable
	}
	return nil
}

func verifies(kind caps.Kind) bool { return strings.HasSuffix(string(kind), "-Verifier") }

// Cap returns the cap with the most rights; nil if there is none.
func (c Child) Cap() caps.Cap {
	if c.Write != nil {
		return c.Write
	}
	return c.Read
}

// ReadOnly returns the child without the right to write.
func (c Child) ReadOnly() Child { return Child{Read: c.Read} }

// IsDirectory reports whether the child is a directory, of a known kind.
func (c Child) IsDirectory() bool {
	_, ok := c.Cap().(*caps.Directory)
	return ok
}

// Known reports whether the child is of a known kind.
func (c Child) Known() bool { return c.Cap() != nil && c.Cap().Kind() != caps.KindUnknown }

// Equal reports whether both are the same object with the same rights.
func (c Child) Equal(other Child) bool {
	return text(c.Write) == text(other.Write) && text(c.Read) == text(other.Read)
}

// text is a cap's text, "" if there is no cap.
func text(c caps.Cap) string {
	if c == nil {
		return ""
	}
	return c.Reveal()
}
