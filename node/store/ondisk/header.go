package ondisk

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// HeaderSize is where the data of a share begins.
const HeaderSize = 128

// headerFormat is the format number of the share files written here. Files
// of format 1 are read as they are: they lack the authority.
const headerFormat = 2

const headerMagic = "lafsshr\n"

var (
	// ErrNewer is a file of a later format: it may be neither read nor
	// replaced.
	ErrNewer = errors.New("written by a newer lafs: run that version, or a newer one")
	// ErrHeader is a file that is no whole share, or not the one that its
	// name says.
	ErrHeader = errors.New("not a share file")
)

// A Header is the first 128 bytes of a share file; integers are big-endian:
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
type Header struct {
	Kind    storage.Kind
	Number  storage.ShareNumber
	Index   caps.StorageIndex
	Length  int64
	TubID   [20]byte
	Enabler [32]byte
	Who     Authority
}

// Marshal writes the header, in the newest format.
func (h *Header) Marshal() []byte {
	b := make([]byte, HeaderSize)
	copy(b, headerMagic)
	binary.BigEndian.PutUint32(b[8:], headerFormat)
	b[12], b[13] = byte(h.Kind), byte(h.Number)
	copy(b[16:], h.Index[:])
	binary.BigEndian.PutUint64(b[32:], uint64(h.Length))
	copy(b[40:], h.TubID[:])
	copy(b[60:], h.Enabler[:])
	binary.BigEndian.PutUint32(b[92:], uint32(h.Who))
	sum := sha256.Sum256(b[:96])
	copy(b[96:], sum[:])
	return b
}

// ParseHeader reads the first bytes of a share file. ErrNewer: its format
// is of a later version, ErrHeader: it is something else, or damaged.
func ParseHeader(b []byte) (*Header, error) {
	if len(b) < HeaderSize || string(b[:8]) != headerMagic {
		return nil, ErrHeader
	}
	b = b[:HeaderSize]
	// The number goes before the sum: a newer format may have its sum
	// elsewhere.
	format := binary.BigEndian.Uint32(b[8:])
	if format > headerFormat {
		return nil, ErrNewer
	}
	if format < 1 || [32]byte(b[96:]) != sha256.Sum256(b[:96]) {
		return nil, ErrHeader
	}
	h := &Header{Kind: storage.Kind(b[12]), Number: storage.ShareNumber(b[13]), Index: caps.StorageIndex(b[16:32]),
		Length: int64(binary.BigEndian.Uint64(b[32:])), TubID: [20]byte(b[40:60]), Enabler: [32]byte(b[60:92])}
	h.Who = Authority(binary.BigEndian.Uint32(b[92:]))
	if b[14]|b[15] != 0 || format == 1 && h.Who != 0 {
		return nil, ErrHeader
	}
	if format == 1 {
		h.Who = Default
	}
	switch {
	case h.Kind == storage.Immutable && h.Length > 0 && h.Enabler == [32]byte{}:
		return h, nil
	case h.Kind == storage.Mutable && h.Length >= 0:
		return h, nil
	}
	return nil, ErrHeader
}
