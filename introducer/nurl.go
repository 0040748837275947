package introducer

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"lafs/onion"
)

// A NURL says where a server's second door is, the one that speaks TLS for
// Tahoe-LAFS's clients, by which key it is known, and what its holder may do
// there (FORMATS.md section 8):
//
//	pb+tor://<pin>@<address>.onion:<port>/<swissnum>#v=1
//
// Secret: it travels as a pointer and no verb prints it.
type NURL struct {
	door     Door
	swissnum *Swissnum
}

// A Door is where a storage server speaks its protocol over TLS, and the one
// key that it shows there.
type Door struct {
	Address onion.Addr
	Pin     onion.Pin
}

const (
	nurlScheme  = "pb+tor://"
	nurlVersion = "#v=1"
	maxNURL     = 512
)

// NewNURL returns the NURL of a door.
func NewNURL(d Door, sw *Swissnum) *NURL { return &NURL{d, sw} }

// ParseNURL reads a NURL over Tor. Every error matches ErrBadNURL and does
// not quote the text; a NURL over anything but an onion service gets one that
// says so.
func ParseNURL(text string) (*NURL, error) {
	if len(text) > maxNURL {
		return nil, fmt.Errorf("%w: longer than %d characters", ErrBadNURL, maxNURL)
	}
	rest, ok := strings.CutPrefix(text, nurlScheme)
	if !ok {
		if scheme, _, ok := strings.Cut(text, "://"); ok && (scheme == "pb" || strings.HasPrefix(scheme, "pb+")) {
			return nil, fmt.Errorf("%w: it does not lead over Tor to an onion service (%s...)", ErrBadNURL, nurlScheme)
		}
		return nil, fmt.Errorf("%w: it does not start with %s", ErrBadNURL, nurlScheme)
	}
	if rest, ok = strings.CutSuffix(rest, nurlVersion); !ok {
		return nil, fmt.Errorf("%w: it does not end in %s, the version that lafs knows", ErrBadNURL, nurlVersion)
	}
	pin, rest, ok := strings.Cut(rest, "@")
	place, swissnum, ok2 := strings.Cut(rest, "/")
	if !ok || !ok2 {
		return nil, fmt.Errorf("%w: no @ or nothing after the address", ErrBadNURL)
	}
	n := new(NURL)
	var err error
	if n.door.Pin, err = onion.ParsePin(pin); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadNURL, err)
	}
	if n.door.Address, err = onion.ParseAddr(place); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadNURL, err)
	}
	if n.door.Address.String() != place {
		return nil, fmt.Errorf("%w: the address is not in lower case", ErrBadNURL)
	}
	if n.swissnum, err = NewSwissnum(swissnum); err != nil {
		return nil, fmt.Errorf("%w: a swissnum has 16 to 64 letters and digits", ErrBadNURL)
	}
	return n, nil
}

// Door returns where the NURL leads.
func (n *NURL) Door() Door { return n.door }

// Swissnum returns the right that the NURL gives.
func (n *NURL) Swissnum() *Swissnum { return n.swissnum }

// Reveal returns the whole string: a secret, for a file of mode 0600 or for
// the person who asked for it.
func (n *NURL) Reveal() string {
	return nurlScheme + n.door.Pin.String() + "@" + n.door.Address.String() + "/" + n.swissnum.Reveal() + nurlVersion
}

// Format prints [secret], whatever the verb.
func (*NURL) Format(s fmt.State, _ rune) { io.WriteString(s, "[secret]") }

// LogValue logs [secret].
func (*NURL) LogValue() slog.Value { return slog.StringValue("[secret]") }
