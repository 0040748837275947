package store

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/sys/unix"

	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

const (
	noteMagic  = "lafsupld"
	noteFormat = 1

	noteHead    = 8 + 4 + 4 + 16 + 8 + 32 + 32 + 32 + 4
	noteSynced  = 512
	noteWritten = noteSynced + 20<<10
	maxArea     = 8 + 32 + 4 + 16*maxParts + sha256.Size
	// noteCost is what a note takes of the disk at most, in blocks.
	noteCost = 44 << 10
)

var errNote = errors.New("not the note of an upload")

// A note is what the disk has of an upload beside its bytes, so that it goes
// on after a restart. Integers are big-endian:
//
//	  0  8  magic "lafsupld"
//	  8  4  format number
//	 12  1  share number; 3 zeros
//	 16 16  storage index
//	 32  8  size of the share
//	 40 32  BLAKE2b-256 of the upload secret
//	 72 64  lease: BLAKE2b-256 of the renew and of the cancel secret
//	136  4  authority
//	140 32  SHA-256 of all that
//
// and then two lists of ranges, each where the other is not touched when it
// is written: at 512 those that were synced, at 20992 all that were written.
// A list is the minute of the last write (8 bytes, seconds since 1970,
// rounded up), a place (32), the number of ranges (4), begin and end of each
// (8 and 8), and the SHA-256 of that.
//
// A place says what the bytes lie in. That of the synced list is the file,
// that of the other one the file as it is mounted since the machine started:
// a process that is killed leaves all that it wrote, a loss of power only
// what was synced, and a copy of the directory nothing that could be relied
// on.
type note struct {
	key    uploadKey
	size   int64
	secret [32]byte
	lease  ondisk.Lease
	who    Authority

	synced, written noteRanges
}

// noteRanges is one list of a note. place is zero where there is none.
type noteRanges struct {
	last  time.Time
	place [32]byte
	have  ranges
}

func (n *note) head() []byte {
	b := binary.BigEndian.AppendUint32([]byte(noteMagic), noteFormat)
	b = append(b, byte(n.key.n), 0, 0, 0)
	b = append(b, n.key.si[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(n.size))
	b = append(b, n.secret[:]...)
	b = append(append(b, n.lease.Renew[:]...), n.lease.Cancel[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(n.who))
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func (r *noteRanges) marshal() []byte {
	last := r.last.Unix()
	if r.last.Nanosecond() > 0 || last%60 != 0 {
		last += 60 - last%60
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(last))
	b = append(b, r.place[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.have)))
	for _, e := range r.have {
		b = binary.BigEndian.AppendUint64(b, uint64(e.Begin))
		b = binary.BigEndian.AppendUint64(b, uint64(e.End))
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// parseNote reads a note. A list that is damaged is an empty one.
func parseNote(b []byte) (*note, error) {
	if len(b) < noteHead+sha256.Size || string(b[:8]) != noteMagic {
		return nil, errNote
	}
	if format := binary.BigEndian.Uint32(b[8:]); format > noteFormat {
		return nil, ondisk.ErrNewer
	} else if format < 1 || [32]byte(b[noteHead:]) != sha256.Sum256(b[:noteHead]) {
		return nil, errNote
	}
	n := &note{
		key:    uploadKey{caps.StorageIndex(b[16:32]), storage.ShareNumber(b[12])},
		size:   int64(binary.BigEndian.Uint64(b[32:])),
		secret: [32]byte(b[40:72]),
		lease:  ondisk.Lease{Renew: [32]byte(b[72:104]), Cancel: [32]byte(b[104:136])},
		who:    Authority(binary.BigEndian.Uint32(b[136:])),
	}
	if b[13]|b[14]|b[15] != 0 || n.size <= 0 || n.size > ondisk.MaxShareSize {
		return nil, errNote
	}
	for _, list := range []struct {
		at int
		to *noteRanges
	}{{noteSynced, &n.synced}, {noteWritten, &n.written}} {
		*list.to = parseNoteRanges(b[min(list.at, len(b)):], n.size)
	}
	return n, nil
}

func parseNoteRanges(b []byte, size int64) (r noteRanges) {
	if len(b) < 44 {
		return r
	}
	count := binary.BigEndian.Uint32(b[40:])
	if count > maxParts || uint64(len(b)) < 44+16*uint64(count)+sha256.Size {
		return r
	}
	body := b[:44+16*count]
	if [32]byte(b[len(body):]) != sha256.Sum256(body) {
		return r
	}
	last := int64(binary.BigEndian.Uint64(b))
	if last < 0 || last > 1<<40 {
		return r
	}
	out := noteRanges{last: time.Unix(last, 0), place: [32]byte(b[8:40])}
	at := int64(-1)
	for e := body[44:]; len(e) > 0; e = e[16:] {
		p := storage.Range{Begin: int64(binary.BigEndian.Uint64(e)), End: int64(binary.BigEndian.Uint64(e[8:]))}
		if p.Begin <= at || p.End <= p.Begin || p.End > size {
			return r
		}
		at = p.End
		out.have = append(out.have, p)
	}
	return out
}

// places returns what the lists of a note say of the file at path.
func (s *Store) places(path string) (synced, written [32]byte, err error) {
	var st unix.Statx_t
	const mask = unix.STATX_INO | unix.STATX_BTIME | unix.STATX_MNT_ID
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, mask, &st); err != nil {
		return synced, written, &os.PathError{Op: "statx", Path: path, Err: err}
	}
	b := binary.BigEndian.AppendUint64([]byte("lafs place of an upload"), st.Ino)
	b = binary.BigEndian.AppendUint64(b, uint64(st.Btime.Sec))
	b = binary.BigEndian.AppendUint32(b, st.Btime.Nsec)
	synced = blake2b.Sum256(b)
	boot := s.boot()
	if boot == "" {
		return synced, written, nil
	}
	b = binary.BigEndian.AppendUint64(b, st.Mnt_id)
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, st.Dev_major), st.Dev_minor)
	return synced, blake2b.Sum256(append(b, boot...)), nil
}

// bootID tells this run of the kernel from others; "" if that is not known.
func bootID() string {
	b, err := readFile("/proc/sys/kernel/random/boot_id", 64)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
