package storage

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"lafs/shares/agree"
	"lafs/shares/caps"
)

// A WriteEnabler lets its holder write to one slot on one server (FORMATS.md
// section 4.1). Secret: it travels as a pointer, and no verb prints it.
type WriteEnabler [32]byte

// Format prints [secret], whatever the verb.
func (*WriteEnabler) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// LogValue logs [secret].
func (*WriteEnabler) LogValue() slog.Value { return slog.StringValue("[secret]") }

// A Span is Size bytes from Offset on, of which a share may have fewer.
type Span struct{ Offset, Size int64 }

// A Test compares a Span of a share with Specimen: they are equal byte for
// byte and in length.
type Test struct {
	Span
	Specimen []byte
}

// A Patch writes Data at Offset. What lies between a share's end and Offset
// is filled with zeros.
type Patch struct {
	Offset int64
	Data   []byte
}

// A TestWrite is what to do with one share of a slot.
type TestWrite struct {
	Tests   []Test
	Patches []Patch
	// NewLength, if not nil, cuts the share: to nothing deletes it, to more
	// than it has does nothing.
	NewLength *int64
}

// A SlotRequest is one atomic step of package agree on all shares that a
// server holds of one object.
type SlotRequest struct {
	// Message is the step. Its versions are named as VersionOf does.
	Message agree.Message
	// Enabler is asked for by every message but agree.Read; the first that
	// writes sets it. A Read does not carry it to a server of ours.
	Enabler *WriteEnabler
	// Lease is added by messages that install shares. On servers that speak
	// only Tahoe-LAFS's protocol nothing is written without, and with it and
	// Enabler a Read takes one trip and not two.
	Lease *LeaseSecrets
	// Shares are this server's shares of the version that Fast, Accept and
	// Learn install. Learn may leave them out to a server that voted.
	Shares map[ShareNumber][]byte
	// Base are its shares of the base of an Accept. May be left out if the
	// server holds them, as current or as base.
	Base map[ShareNumber][]byte
	// Replaced, if not nil, makes this server's shares of the version that a
	// Fast replaces, or returns nil. Only a server that can not keep its own
	// as base asks for them (storage/tail).
	Replaced func() map[ShareNumber][]byte
	// Numbers are, with a Read, the shares whose bytes are wanted, none for
	// all; with a Prepare, those that the server is to hold. They need not be
	// heeded, and those of a Prepare do not travel to servers of ours.
	Numbers []ShareNumber
	// Ancestors of the installed version, newest first, at most
	// MaxAncestors.
	Ancestors []agree.VersionID
	// Placement is the placement list that is voted for with the version. It
	// is recorded as agree.Recorded says, and given back with every answer.
	// The server does not read it. At most MaxPlacement bytes.
	Placement []byte
	// Room, if not nil, is asked for so many bytes before they are read for
	// the answer. Where it has none, a Read gives ErrBusy, and the answer to
	// another message brings no bytes. It does not travel.
	Room func(bytes int64) bool
	// Fetch is how many bytes of each share held the answer shall bring,
	// from byte From on; shares that are longer come cut. All answers of one
	// server together are cut to MaxSlotFetch, in equal parts.
	Fetch, From int64
}

// Valid reports whether the request is one that a server may carry out.
func (r *SlotRequest) Valid() bool {
	if r.Fetch < 0 || r.From < 0 || !agree.Valid(r.Message) {
		return false
	}
	if _, reads := r.Message.(agree.Read); reads {
		return true
	}
	return r.Enabler != nil && len(r.Ancestors) <= MaxAncestors && len(r.Placement) <= MaxPlacement
}

const (
	// MaxAncestors is how many versions a record names before its own.
	MaxAncestors = 32
	// MaxPlacement bounds the placement list, in bytes.
	MaxPlacement = 32 << 10
	// MaxSlotShare bounds a share that a SlotRequest carries, in bytes, and
	// MaxSlotRequest all of them together.
	MaxSlotShare   = 128 << 20
	MaxSlotRequest = 128 << 20
	// MaxSlotFetch bounds the share bytes in one answer to Slot, and
	// MaxSlotRead those in one to ReadTestWrite.
	MaxSlotFetch = 64 << 20
	MaxSlotRead  = 16 << 20
)

// A SlotShare is a share in an answer, cut to what was asked for.
type SlotShare struct {
	// Size is the whole share's length.
	Size int64
	Data []byte
}

// A SlotAnswer is a server's state after a step, whether it was done or not.
type SlotAnswer struct {
	Done bool
	// Missing: the step was not done only because the server does not hold
	// shares that the request left out. With them it would have been.
	Missing bool
	State   agree.State
	// Foreign: the shares that readers see were written past the protocol,
	// by a Tahoe-LAFS client, and State does not speak of them. Current has
	// them; Base has what State calls current, Older what State calls base.
	// Fast is refused then, and Accept too unless a Prepare was answered
	// since; an Accept that is done ends it.
	Foreign bool
	// Lost: what the server promised and voted for is gone, if there was
	// anything: a Tahoe-LAFS client wrote over it, or the server took the
	// place of one of Tahoe-LAFS's, which kept nothing. State must not be counted as that of a server that
	// never voted.
	Lost bool
	// Ancestors are State.Current's.
	Ancestors []agree.VersionID
	Placement []byte
	// Current and Base are the shares held, by number; Older is empty unless
	// Foreign.
	Current, Base, Older map[ShareNumber]SlotShare
}

// Slots is what a storage server does for mutable objects. All methods may
// be called at once; each is atomic and durable for all shares of the slot
// together, before it is answered.
type Slots interface {
	// ReadTestWrite reads the spans of every share, then, if all tests pass,
	// carries out all patches. data holds what was read, by share, in the
	// order of spans. ErrUnauthorized: another write enabler. ErrTooLarge:
	// the spans have more than MaxSlotRead bytes. Shares that it changes are
	// Foreign to Slot.
	ReadTestWrite(ctx context.Context, si caps.StorageIndex, enabler *WriteEnabler, lease *LeaseSecrets,
		writes map[ShareNumber]TestWrite, spans []Span) (success bool, data map[ShareNumber][][]byte, err error)

	// Slot carries out one step. A step that the rules refuse is no error:
	// Done is false. ErrUnauthorized: another write enabler. ErrStateLost:
	// the server can not say what it voted for, and must not be counted.
	// ErrBadRequest: shares that are not of the version that the message
	// names, among others.
	Slot(ctx context.Context, si caps.StorageIndex, req SlotRequest) (SlotAnswer, error)
}
