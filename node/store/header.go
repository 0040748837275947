package store

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// headerSize is where the data of a share begins.
const headerSize = 128

// headerFormat is the format number of the share files written here. Files
// of format 1 are read as they are: they lack the authority.
const headerFormat = 2

const headerMagic = "lafsshr\n"

var (
	errNewer  = errors.New("written by a newer lafs: run that version, or a newer one")
	errHeader = errors.New("not a share file")
)

// A header is the first 128 bytes of a share file; integers are big-endian:
//
//	 0  8  magic "lafsshr\n"
//	 8  4  format number
//	12  1  kind
//	13  1  share number
//	14  2  zero
//	16 16  storage index
//	32  8  data length
//	40 20  tub id of the server that took the share
//	60 32  BLAKE2b-256 of a slot's write enabler; zero in a bucket
//	92  4  authority (format 1: zero, which stands for Default)
//	96 32  SHA-256 of the 96 bytes before
//
// The data follows, and ends the file.
type header struct {
	kind    storage.Kind
	number  storage.ShareNumber
	si      caps.StorageIndex
	length  int64
	tubID   [20]byte
	enabler [32]byte
	who     Authority
}

func (h *header) marshal() []byte {
	b := make([]byte, headerSize)
	copy(b, headerMagic)
	binary.BigEndian.PutUint32(b[8:], headerFormat)
	b[12], b[13] = byte(h.kind), byte(h.number)
	copy(b[16:], h.si[:])
	binary.BigEndian.PutUint64(b[32:], uint64(h.length))
	copy(b[40:], h.tubID[:])
	copy(b[60:], h.enabler[:])
	binary.BigEndian.PutUint32(b[92:], uint32(h.who))
	sum := sha256.Sum256(b[:96])
	copy(b[96:], sum[:])
	return b
}

// parseHeader reads the first bytes of a share file. errNewer: its format
// is of a later version, errHeader: it is something else, or damaged.
func parseHeader(b []byte) (*header, error) {
	if len(b) < headerSize || string(b[:8]) != headerMagic {
		return nil, errHeader
	}
	b = b[:headerSize]
	// The number goes before the sum: a newer format may have its sum
	// elsewhere.
	format := binary.BigEndian.Uint32(b[8:])
	if format > headerFormat {
		return nil, errNewer
	}
	if format < 1 || [32]byte(b[96:]) != sha256.Sum256(b[:96]) {
		return nil, errHeader
	}
	h := &header{kind: storage.Kind(b[12]), number: storage.ShareNumber(b[13]), si: caps.StorageIndex(b[16:32]),
		length: int64(binary.BigEndian.Uint64(b[32:])), tubID: [20]byte(b[40:60]), enabler: [32]byte(b[60:92])}
	h.who = Authority(binary.BigEndian.Uint32(b[92:]))
	if b[14]|b[15] != 0 || format == 1 && h.who != 0 {
		return nil, errHeader
	}
	if format == 1 {
		h.who = Default
	}
	switch {
	case h.kind == storage.Immutable && h.length > 0 && h.enabler == [32]byte{}:
		return h, nil
	case h.kind == storage.Mutable && h.length >= 0:
		return h, nil
	}
	return nil, errHeader
}
