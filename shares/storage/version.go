package storage

import (
	"crypto/sha256"
	"encoding/binary"

	"lafs/shares/agree"
	"lafs/shares/mutable"
)

// VersionOf names the version that a share with this header is of: its
// sequence number, and SHA-256 of all that the signature is over. The root
// hash R alone does not name a version: in SDMF it does not cover the salt,
// so that two short contents often have the same one, and empty ones always.
func VersionOf(h *mutable.Header) agree.VersionID {
	b := binary.BigEndian.AppendUint64([]byte{byte(h.Format)}, h.Seq)
	b = append(b, h.Root[:]...)
	if h.Format == mutable.SDMF {
		b = append(b, h.Salt[:]...)
	}
	b = append(b, byte(h.Needed), byte(h.Total))
	b = binary.BigEndian.AppendUint64(b, uint64(h.SegmentSize))
	b = binary.BigEndian.AppendUint64(b, uint64(h.DataSize))
	return agree.VersionID{Seq: h.Seq, Root: sha256.Sum256(b)}
}
