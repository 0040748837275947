package caps

import "strings"

// The prefixes by which a directory promises what a cap cannot do.
const (
	readOnlyPrefix  = "ro."
	immutablePrefix = "imm."
)

func cutPromise(text string) (rest, promise string) {
	for _, p := range []string{immutablePrefix, readOnlyPrefix} {
		if rest, ok := strings.CutPrefix(text, p); ok {
			return rest, p
		}
	}
	return text, ""
}

// An Unknown is a cap of a kind that we do not know, such as one of the
// future: kept and passed on as it is. Taken for a secret.
type Unknown struct {
	secret
	text string
}

// Kind returns KindUnknown.
func (*Unknown) Kind() Kind { return KindUnknown }

// Reveal returns the text as it was found, its prefix included.
func (u *Unknown) Reveal() string { return u.text }

// ReadOnly returns the cap itself if its prefix promises that it cannot
// write; else nil, since nobody here can attenuate it.
func (u *Unknown) ReadOnly() Cap {
	if _, promise := cutPromise(u.text); promise == "" {
		return nil
	}
	return u
}

// Verifier returns nil.
func (*Unknown) Verifier() Cap { return nil }
