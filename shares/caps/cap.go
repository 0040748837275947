// Package caps parses, prints and attenuates caps: the short strings that are
// all one needs to read, write or verify a file or directory (FORMATS.md
// section 2). No I/O; values are not changed after they are made, so all may
// be used at once.
//
// A cap that gives the right to read or write is a secret: no verb prints it
// and logs show [secret]. Only Reveal returns the text.
package caps

import (
	"fmt"
	"io"
	"log/slog"
)

// A Cap is one capability: *CHK, *CHKVerifier, *LIT, *MutableWriter,
// *MutableReader, *MutableVerifier, *Directory over one of those, or
// *Unknown.
type Cap interface {
	// Kind tells which of the formats' caps this is.
	Kind() Kind
	// Reveal returns the cap's whole text, for the user, a request or a file
	// of mode 0600. Parse reads it.
	Reveal() string
	// ReadOnly returns the cap that reads the same and cannot write; the cap
	// itself if it cannot write, nil if there is none.
	ReadOnly() Cap
	// Verifier returns the cap that can check and repair the shares and read
	// nothing; nil if there are no shares to check.
	Verifier() Cap
	// Format and LogValue show what may be shown.
	fmt.Formatter
	slog.LogValuer
}

// A Kind is the word between URI: and the next colon in a cap's text.
type Kind string

// The kinds of cap. KindUnknown is the kind of every text that is none of the
// others.
const (
	KindCHK             Kind = "CHK"
	KindCHKVerifier     Kind = "CHK-Verifier"
	KindLIT             Kind = "LIT"
	KindSSK             Kind = "SSK"
	KindSSKReader       Kind = "SSK-RO"
	KindSSKVerifier     Kind = "SSK-Verifier"
	KindMDMF            Kind = "MDMF"
	KindMDMFReader      Kind = "MDMF-RO"
	KindMDMFVerifier    Kind = "MDMF-Verifier"
	KindDir             Kind = "DIR2"
	KindDirReader       Kind = "DIR2-RO"
	KindDirVerifier     Kind = "DIR2-Verifier"
	KindDirMDMF         Kind = "DIR2-MDMF"
	KindDirMDMFReader   Kind = "DIR2-MDMF-RO"
	KindDirMDMFVerifier Kind = "DIR2-MDMF-Verifier"
	KindDirCHK          Kind = "DIR2-CHK"
	KindDirCHKVerifier  Kind = "DIR2-CHK-Verifier"
	KindDirLIT          Kind = "DIR2-LIT"
	KindUnknown         Kind = "unknown"
)

// prefix is what a cap of this kind starts with.
func (k Kind) prefix() string { return "URI:" + string(k) + ":" }

// Writable reports whether caps of this kind give the right to write.
func (k Kind) Writable() bool {
	switch k {
	case KindSSK, KindMDMF, KindDir, KindDirMDMF:
		return true
	}
	return false
}

// Mutable reports whether what caps of this kind name can change.
func (k Kind) Mutable() bool {
	switch k {
	case KindSSKReader, KindMDMFReader, KindDirReader, KindDirMDMFReader,
		KindSSKVerifier, KindMDMFVerifier, KindDirVerifier, KindDirMDMFVerifier:
		return true
	}
	return k.Writable()
}

// A secret shows nothing of the cap that it stands in.
type secret struct{}

// Format prints [secret], whatever the verb.
func (secret) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// LogValue logs [secret].
func (secret) LogValue() slog.Value { return slog.StringValue("[secret]") }
