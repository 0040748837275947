package caps

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"lafs/shares/hashes"
)

// A MutableWriter reads and writes one slot: an SSK cap, or an MDMF cap.
// Secret.
type MutableWriter struct {
	secret
	// Key gives everything else: the read key, and the right to write.
	Key *WriteKey
	// Fingerprint is the hash of the slot's public key.
	Fingerprint hashes.Hash
	// MDMF tells the format of the slot: MDMF, else SDMF.
	MDMF bool
}

// Kind returns KindSSK or KindMDMF.
func (w *MutableWriter) Kind() Kind { return either(w.MDMF, KindMDMF, KindSSK) }

// Reveal returns the whole text.
func (w *MutableWriter) Reveal() string { return slotText(w.Kind(), w.Key.Bytes(), w.Fingerprint) }

// ReadOnly returns the *MutableReader.
func (w *MutableWriter) ReadOnly() Cap { return w.reader() }

func (w *MutableWriter) reader() *MutableReader {
	return &MutableReader{Key: w.Key.ReadKey(), Fingerprint: w.Fingerprint, MDMF: w.MDMF}
}

// Verifier returns the *MutableVerifier.
func (w *MutableWriter) Verifier() Cap { return w.reader().Verifier() }

// StorageIndex derives where the shares are.
func (w *MutableWriter) StorageIndex() StorageIndex { return w.reader().StorageIndex() }

// A MutableReader reads one slot. Secret.
type MutableReader struct {
	secret
	Key         *ReadKey
	Fingerprint hashes.Hash
	MDMF        bool
}

// Kind returns KindSSKReader or KindMDMFReader.
func (r *MutableReader) Kind() Kind { return either(r.MDMF, KindMDMFReader, KindSSKReader) }

// Reveal returns the whole text.
func (r *MutableReader) Reveal() string { return slotText(r.Kind(), r.Key.Bytes(), r.Fingerprint) }

// ReadOnly returns the cap itself.
func (r *MutableReader) ReadOnly() Cap { return r }

// Verifier returns the *MutableVerifier.
func (r *MutableReader) Verifier() Cap {
	return &MutableVerifier{Index: r.StorageIndex(), Fingerprint: r.Fingerprint, MDMF: r.MDMF}
}

// StorageIndex derives where the shares are.
func (r *MutableReader) StorageIndex() StorageIndex { return hashes.MutableStorageIndex(r.Key.Bytes()) }

// A MutableVerifier checks the shares of one slot and reads nothing. Not
// secret, but linkable: logs get it shortened.
type MutableVerifier struct {
	Index       StorageIndex
	Fingerprint hashes.Hash
	MDMF        bool
}

// Kind returns KindSSKVerifier or KindMDMFVerifier.
func (v *MutableVerifier) Kind() Kind { return either(v.MDMF, KindMDMFVerifier, KindSSKVerifier) }

// Reveal returns the whole text.
func (v *MutableVerifier) Reveal() string { return slotText(v.Kind(), v.Index[:], v.Fingerprint) }

// ReadOnly returns the cap itself.
func (v *MutableVerifier) ReadOnly() Cap { return v }

// Verifier returns the cap itself.
func (v *MutableVerifier) Verifier() Cap { return v }

// StorageIndex tells where the shares are.
func (v *MutableVerifier) StorageIndex() StorageIndex { return v.Index }

// Format prints the kind and the shortened storage index, whatever the verb.
func (v MutableVerifier) Format(f fmt.State, _ rune) { io.WriteString(f, short(v.Kind(), v.Index)) }

// LogValue logs what Format prints.
func (v MutableVerifier) LogValue() slog.Value { return slog.StringValue(short(v.Kind(), v.Index)) }

func either(mdmf bool, yes, no Kind) Kind {
	if mdmf {
		return yes
	}
	return no
}

func slotText(kind Kind, first []byte, fingerprint hashes.Hash) string {
	return kind.prefix() + Encoding.EncodeToString(first) + ":" + Encoding.EncodeToString(fingerprint[:])
}

// parseSlot reads the two fields that all mutable caps have. Old MDMF caps
// have hints behind them, which nobody uses any more.
func parseSlot(mdmf bool, fields string) (first [16]byte, fingerprint hashes.Hash, err error) {
	head, tail, ok := strings.Cut(fields, ":")
	if !ok {
		return first, fingerprint, fmt.Errorf("%w: it is cut off or mistyped: it has one of 2 fields", ErrSyntax)
	}
	if mdmf {
		tail, _, _ = strings.Cut(tail, ":")
	}
	if first, err = parse16(head); err != nil {
		return first, fingerprint, err
	}
	fingerprint, err = parseHash(tail)
	return first, fingerprint, err
}
