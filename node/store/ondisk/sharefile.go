package ondisk

import (
	"errors"
	"io"
	"os"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// A Share is an open share file, one of ours or a container of
// Tahoe-LAFS's that was taken over as it was. Offsets are those of the
// share's data.
type Share struct {
	file *os.File
	at   int64 // where the data begins
}

// ReadAt reads from byte off of the share on. The caller knows where the
// share ends: in a container something follows it.
func (f *Share) ReadAt(p []byte, off int64) (int, error) { return f.file.ReadAt(p, f.at+off) }

// Close ends the use of the file.
func (f *Share) Close() error { return f.file.Close() }

// OpenShare opens a share file and checks that it is the one that its
// name says, whole. A container does not say whose share it holds: its name
// alone does.
func OpenShare(path string, kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber) (*Share, *Header, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	h, at, err := checkShare(f, kind, si, n)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return &Share{f, at}, h, nil
}

// checkShare returns also where the data begins.
func checkShare(f *os.File, kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber) (*Header, int64, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	buf := make([]byte, HeaderSize)
	got, err := f.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		return nil, 0, err
	}
	h, err := ParseHeader(buf[:got])
	if errors.Is(err, ErrHeader) {
		return checkContainer(f, info.Size(), kind, si, n)
	}
	if err != nil {
		return nil, 0, err
	}
	if h.Kind != kind || h.Index != si || h.Number != n || info.Size() != HeaderSize+h.Length {
		return nil, 0, ErrHeader
	}
	return h, HeaderSize, nil
}

// checkContainer is checkShare for containers of Tahoe-LAFS's.
func checkContainer(f *os.File, size int64, kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber) (*Header, int64, error) {
	buf := make([]byte, slotStart)
	got, err := f.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		return nil, 0, err
	}
	c, err := parseContainer(buf[:got], size)
	if err != nil || c.Kind != kind {
		return nil, 0, ErrHeader
	}
	return &Header{Kind: kind, Number: n, Index: si, Length: c.Length, TubID: c.NodeID, Enabler: c.Enabler, Who: Default}, c.At, nil
}
