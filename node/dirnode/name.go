package dirnode

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Normalize returns the form in which a directory keeps a name: NFC. It
// refuses names that no path could hold, and those that mean something else
// on every disk, with an error that matches ErrName. Tahoe-LAFS writes the
// latter, so they are read and removed like others.
// Text with more than 30 combining characters in a row gets a joiner in
// between, as Unicode's stream-safe form has it.
func Normalize(name string) (string, error) {
	switch {
	case name == "":
		return "", fmt.Errorf("%w: it is empty", ErrName)
	case !utf8.ValidString(name):
		return "", fmt.Errorf("%w: it is not UTF-8", ErrName)
	case strings.Contains(name, "/"):
		return "", fmt.Errorf("%w: it has a slash", ErrName)
	case name == "." || name == "..":
		return "", fmt.Errorf("%w: . and .. mean places on a disk; a path on the grid is written from its start", ErrName)
	}
	return nameKey(name), nil
}

// nameKey is what names are found and sorted by. It takes the names that
// Normalize refuses too, so that one can get rid of them: names were not
// always normalized when they were written, nor is Unicode the same for ever.
func nameKey(name string) string { return norm.NFC.String(name) }
