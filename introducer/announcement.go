package introducer

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"lafs/onion"
	"lafs/shares/hashes"
)

// Limits of an announcement. MaxSeqnum is the largest whole number that
// every JSON reader keeps exactly.
const (
	MaxSize      = 4096 // bytes of a signed announcement
	MaxSeqnum    = 1<<53 - 1
	MaxNickname  = 64 // bytes
	maxProtocols = 16
	maxProtocol  = 1 << 16
	minSeed      = 16 // bytes of a permutation seed
	maxSeed      = 64
)

// ProtocolGBS is Tahoe's HTTP storage protocol on onion/mux, one of the
// numbers that an announcement lists.
const ProtocolGBS = 1

// An Announcement is what a storage server says of itself. It holds no IP
// address, no software version and no time. It is not changed after Open or
// Static returned it, and may then be read by many at once.
type Announcement struct {
	// ServerKey is the server's lasting identity: its public node key.
	ServerKey ed25519.PublicKey
	// Seqnum is 1 to MaxSeqnum and rises with each signature.
	Seqnum uint64
	// Address is the server's place, where Protocols are spoken on
	// onion/mux. It is zero for a server of Tahoe-LAFS's own, which has a
	// door and nothing else.
	Address onion.Addr
	// Door is where the storage protocol is spoken over TLS, for Tahoe-LAFS's
	// clients; nil for none. It is on the onion service of Address.
	Door *Door
	// Swissnum is the right to store under the default authority.
	Swissnum *Swissnum
	// PermutationSeed has 16 to 64 bytes and never changes (FORMATS.md 3.6).
	PermutationSeed []byte
	// TubID seeds lease secrets and write enablers. It is a function of
	// ServerKey, or Tub proves it, so no server can have another's; but of a
	// server of Tahoe-LAFS's own the user vouches for it.
	TubID [20]byte
	// Tub is that of a server that came from Tahoe-LAFS with its tub id, nil
	// for others.
	Tub *Tub
	// Nickname is empty unless the operator wrote one: up to MaxNickname
	// bytes of printable text.
	Nickname string
	// Protocols lists the numbers of the protocols spoken, in rising order.
	Protocols []int
	// Static marks a server that the user named: nothing about it is
	// signed.
	Static bool
	// Stale marks a server whose announcement was not renewed for so long
	// that it gets no new shares. Set by introducer/client.
	Stale bool
}

// ServerID returns the server's id, "v0-" and 52 characters of base32.
func (a *Announcement) ServerID() string { return NewServerID(a.ServerKey) }

// NewServerID returns the id of the server whose public node key is key.
func NewServerID(key ed25519.PublicKey) string { return idPrefix + encoding.EncodeToString(key) }

const idPrefix = "v0-"

// ParseServerID returns the public node key in a server id. It refuses keys
// under which a signature proves nothing.
func ParseServerID(id string) (ed25519.PublicKey, error) {
	text, ok := strings.CutPrefix(id, idPrefix)
	raw, good := decode32(text)
	if !ok || !good || len(raw) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: the server id is not v0- and 52 characters of base32", ErrBadAnnouncement)
	}
	// Node keys are of the same kind as onion keys, and those are checked
	// to be of the curve's prime order.
	if _, err := onion.NewAddr(raw, 1); err != nil {
		return nil, fmt.Errorf("%w: the server id is a key that proves nothing", ErrBadAnnouncement)
	}
	return raw, nil
}

// DefaultPermutationSeed returns the seed that Tahoe gives a new server: the
// characters of its base32 key, not the key (FORMATS.md 3.6). It is written
// down once and announced from there.
func DefaultPermutationSeed(key ed25519.PublicKey) []byte {
	return []byte(encoding.EncodeToString(key))
}

// CheckNickname refuses a nickname that no announcement may carry.
func CheckNickname(name string) error {
	switch {
	case len(name) > MaxNickname:
		return fmt.Errorf("%w: the nickname has more than %d bytes", ErrBadAnnouncement, MaxNickname)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unprintable):
		return fmt.Errorf("%w: the nickname has characters that cannot be shown", ErrBadAnnouncement)
	case strings.TrimSpace(name) != name:
		return fmt.Errorf("%w: the nickname has space around it", ErrBadAnnouncement)
	}
	return nil
}

func unprintable(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }

// check refuses what breaks a rule; the signatures are not its business.
func (a *Announcement) check() error {
	switch {
	case a.Seqnum == 0 || a.Seqnum > MaxSeqnum:
		return fmt.Errorf("%w: the sequence number is not from 1 to %d", ErrBadAnnouncement, uint64(MaxSeqnum))
	case a.Address.IsZero() && !a.OnlyTahoe():
		return fmt.Errorf("%w: no address", ErrBadAnnouncement)
	case a.Door != nil && !a.OnlyTahoe() && !a.besides(a.Door.Address):
		return fmt.Errorf("%w: the NURL leads to another onion service, or to the port of the address", ErrBadAnnouncement)
	case a.Swissnum == nil:
		return fmt.Errorf("%w: no swissnum", ErrBadAnnouncement)
	case len(a.PermutationSeed) < minSeed || len(a.PermutationSeed) > maxSeed:
		return fmt.Errorf("%w: the permutation seed does not have %d to %d bytes", ErrBadAnnouncement, minSeed, maxSeed)
	case a.Tub == nil && !a.OnlyTahoe() && a.TubID != hashes.TubID(a.ServerKey):
		return fmt.Errorf("%w: the tub id is not that of the server's key", ErrBadAnnouncement)
	case a.Tub != nil && !a.Tub.proves(a.TubID, a.ServerKey):
		return fmt.Errorf("%w: the tub id is another server's; the certificate's signature is wrong", ErrBadAnnouncement)
	case !goodProtocols(a.Protocols):
		return fmt.Errorf("%w: protocols are 1 to %d different numbers in rising order", ErrBadAnnouncement, maxProtocols)
	}
	return CheckNickname(a.Nickname)
}

// OnlyTahoe reports whether the server is one of Tahoe-LAFS's own, which the
// user named and which has nothing but a door.
func (a *Announcement) OnlyTahoe() bool { return a.Static && a.Address.IsZero() && a.Door != nil }

// besides reports whether door is another port of the address's onion
// service.
func (a *Announcement) besides(door onion.Addr) bool {
	return door.PublicKey().Equal(a.Address.PublicKey()) && door.Port() != a.Address.Port()
}

// NURL returns the NURL of the server's door, nil if it has none.
func (a *Announcement) NURL() *NURL {
	if a.Door == nil {
		return nil
	}
	return NewNURL(*a.Door, a.Swissnum)
}

func goodProtocols(p []int) bool {
	if len(p) == 0 || len(p) > maxProtocols || p[0] < 1 || p[len(p)-1] >= maxProtocol {
		return false
	}
	return slices.IsSorted(p) && len(slices.Compact(slices.Clone(p))) == len(p)
}

// binding is what the onion key signs: that the server may call this place
// its own, in this announcement. Each field is a netstring, so that no two
// sets of fields give one message.
func (a *Announcement) binding() []byte {
	return netstrings("lafs onion binding v1", a.ServerID(), a.Address.String(), strconv.FormatUint(a.Seqnum, 10))
}

func netstrings(fields ...string) (b []byte) {
	for _, field := range fields {
		b = append(strconv.AppendInt(b, int64(len(field)), 10), ':')
		b = append(append(b, field...), ',')
	}
	return b
}
