package store

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"lafs/node/durable"
	"lafs/node/store/ondisk"
)

const (
	markMagic  = "lafsmark"
	markFormat = 1
	markSize   = 88
	// markEvery is how old a copy of the storage directory may be that takes
	// its place unnoticed, after a crash.
	markEvery = time.Hour
)

// A mark tells one storage directory, at one time, from all others. It
// stands in the directory, and again at Config.Witness. The directory's is
// written first, so that it is never below the witness's, unless somebody
// put an older directory, or an empty one, in its place: the votes of its
// slots are not those that this server gave then.
type mark struct {
	tubID [20]byte
	id    [16]byte // random, made with the directory
	count uint64   // rises while the server runs
}

var errMark = errors.New("not a mark of a storage directory")

// marshal writes the mark; integers are big-endian: magic "lafsmark" 8,
// format number 4, tub id 20, id 16, count 8, SHA-256 of that 32.
func (m *mark) marshal() []byte {
	b := binary.BigEndian.AppendUint32([]byte(markMagic), markFormat)
	b = append(b, m.tubID[:]...)
	b = append(b, m.id[:]...)
	b = binary.BigEndian.AppendUint64(b, m.count)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// parseMark reads a mark. ErrNewer: its format is of a later version.
func parseMark(b []byte) (*mark, error) {
	if len(b) < 12 || string(b[:8]) != markMagic {
		return nil, errMark
	}
	format := binary.BigEndian.Uint32(b[8:])
	if format > markFormat {
		return nil, ondisk.ErrNewer
	}
	if format < markFormat || len(b) != markSize || [32]byte(b[56:]) != sha256.Sum256(b[:56]) {
		return nil, errMark
	}
	return &mark{[20]byte(b[12:32]), [16]byte(b[32:48]), binary.BigEndian.Uint64(b[48:56])}, nil
}

// readMark returns nil if there is no mark.
func readMark(path string) (*mark, error) {
	b, err := readFile(path, markSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseMark(b)
}

func (s *Store) markPath() string { return filepath.Join(s.cfg.Dir, "mark") }

// judge compares the directory with what the server knew of it: lost if its
// slots can not be trusted to have all of their votes. here is the mark that
// goes on, nil if a new one is to be made.
func (s *Store) judge() (here *mark, lost bool, err error) {
	here, err = readMark(s.markPath())
	if err != nil && !errors.Is(err, errMark) {
		return nil, false, err
	}
	lost = err != nil
	if here == nil && !lost {
		// A directory without slots may be new. One with slots is not.
		entries, err := os.ReadDir(s.slotsDir())
		if err != nil {
			return nil, false, err
		}
		lost = len(entries) > 0
	}
	if s.cfg.Witness != "" {
		there, err := readMark(s.cfg.Witness)
		if err != nil && !errors.Is(err, errMark) {
			return nil, false, err
		}
		switch {
		case err != nil:
			lost = true
		case there == nil:
		case there.tubID != s.cfg.TubID:
			// This server, as it is called now, has not voted yet.
			lost, here = false, nil
		case here == nil || here.tubID != there.tubID || here.id != there.id || here.count < there.count:
			lost = true
		}
	}
	return here, lost, nil
}

// checkMark sets stateLost if that is so, and makes older copies of the
// directory known as such.
func (s *Store) checkMark() error {
	here, lost, err := s.judge()
	if err != nil {
		return err
	}
	if lost {
		s.stateLost = true
		s.cfg.Log.Error("the storage directory is not the one that this server last used, or is an older copy of it: " +
			"shares are served, but mutable objects are not updated. Bring the right directory back, or make it a new server with lafs storage new-identity")
		return nil
	}
	if here == nil || here.tubID != s.cfg.TubID {
		here = &mark{tubID: s.cfg.TubID}
		// crypto/rand.Read never fails: it ends the program first.
		rand.Read(here.id[:])
	}
	s.mark = *here
	return s.raiseMark()
}

// raiseMark makes older copies of the directory known as such.
func (s *Store) raiseMark() error {
	if s.stateLost {
		return nil
	}
	s.markMu.Lock()
	defer s.markMu.Unlock()
	s.mark.count++
	s.markAt = s.cfg.Now()
	for _, path := range []string{s.markPath(), s.cfg.Witness} {
		if path == "" {
			continue
		}
		if err := durable.WriteFile(path, s.mark.marshal(), 0o600); err != nil {
			return err
		}
		day := fileDay(s.cfg.Now())
		if err := os.Chtimes(path, day, day); err != nil {
			return err
		}
	}
	return nil
}

// Disown makes the next store with this witness, whatever its directory, one
// that has not voted yet: its owner gave up the identity that it had. The tub
// id must be another one from then on.
func Disown(witness string) error {
	m := mark{}
	if err := durable.WriteFile(witness, m.marshal(), 0o600); err != nil {
		return reason(err)
	}
	return nil
}
