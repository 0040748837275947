package store

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/semaphore"

	"lafs/node/durable"
	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

func (s *Store) slotsDir() string { return filepath.Join(s.cfg.Dir, "slots") }

func (s *Store) slotDir(si caps.StorageIndex) string {
	name := si.String()
	return filepath.Join(s.slotsDir(), name[:2], name)
}

func (s *Store) recordPath(si caps.StorageIndex) string {
	return filepath.Join(s.slotDir(si), "record")
}

func (s *Store) slotShare(si caps.StorageIndex, n storage.ShareNumber, step uint64) string {
	return filepath.Join(s.slotDir(si), strconv.Itoa(int(n))+"."+strconv.FormatUint(step, 10))
}

// parseSlotShare reads the name of a share file in a slot.
func parseSlotShare(name string) (n storage.ShareNumber, step uint64, ok bool) {
	number, rest, _ := strings.Cut(name, ".")
	if n, ok = parseNumber(number); !ok {
		return 0, 0, false
	}
	step, err := strconv.ParseUint(rest, 10, 64)
	return n, step, err == nil && strconv.FormatUint(step, 10) == rest
}

// indexLocks are a lock for each storage index.
type indexLocks struct {
	mu    sync.Mutex
	locks map[caps.StorageIndex]*indexLock // guarded by mu
}

// An indexLock is waited for on a channel, since whoever holds it may wait
// for the index's batch: in virtual time, a mutex would stop the clock that
// ends the batch.
type indexLock struct {
	*semaphore.Weighted
	users int // guarded by indexLocks.mu
}

// lock waits until nobody has si, and returns what gives it free.
func (l *indexLocks) lock(si caps.StorageIndex) (unlock func()) {
	k := l.use(si)
	k.take(alone)
	return func() {
		k.Release(alone)
		l.drop(si, k)
	}
}

// share waits until nobody has si for himself alone.
func (l *indexLocks) share(si caps.StorageIndex) (unlock func()) {
	k := l.use(si)
	k.take(1)
	return func() {
		k.Release(1)
		l.drop(si, k)
	}
}

// alone is a lock taken whole; those who share it take 1 of it.
const alone = 1 << 30

func (k *indexLock) take(n int64) {
	// It fails only with its context.
	_ = k.Acquire(context.Background(), n)
}

func (l *indexLocks) use(si caps.StorageIndex) *indexLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.locks == nil {
		l.locks = map[caps.StorageIndex]*indexLock{}
	}
	k := l.locks[si]
	if k == nil {
		k = &indexLock{Weighted: semaphore.NewWeighted(alone)}
		l.locks[si] = k
	}
	k.users++
	return k
}

func (l *indexLocks) drop(si caps.StorageIndex, k *indexLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.users--; k.users == 0 {
		delete(l.locks, si)
	}
}

// readRecord returns the record of a slot, nil if there is no such slot.
// ErrStateLost: there was one. The slot is locked.
func (s *Store) readRecord(si caps.StorageIndex) (*ondisk.Record, error) {
	b, err := readFile(s.recordPath(si), ondisk.MaxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, s.neverThere(si)
	}
	if err != nil {
		return nil, s.fault("read a slot's record", err)
	}
	r, err := ondisk.ParseRecord(b)
	switch {
	case errors.Is(err, ondisk.ErrNewer):
		return nil, s.fault("read a slot's record", err)
	case err != nil, r.Index != si:
		s.cfg.Log.Error("a slot's record is broken: its shares can be read, but the slot takes no part in updates", "index", si)
		return nil, storage.ErrStateLost
	}
	return r, nil
}

// neverThere answers for a slot without a record: ErrStateLost if there was
// one. What a first step leaves that was cut off is no slot.
func (s *Store) neverThere(si caps.StorageIndex) error {
	known, err := s.index.knowsSlot(si)
	if err != nil {
		return s.fault("look for a slot", err)
	}
	had, err := s.hadRecord(si)
	if err != nil {
		return err
	}
	if known || had {
		s.cfg.Log.Error("a slot's record is gone: the slot takes no part in updates", "index", si)
		return storage.ErrStateLost
	}
	return nil
}

// A slotFile is a share file found in a slot's directory.
type slotFile struct {
	n    storage.ShareNumber
	step uint64
}

func (s *Store) slotFiles(si caps.StorageIndex) (out []slotFile, err error) {
	entries, err := os.ReadDir(s.slotDir(si))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, s.fault("list a slot", err)
	}
	for _, e := range entries {
		if n, step, ok := parseSlotShare(e.Name()); ok {
			out = append(out, slotFile{n, step})
		}
	}
	return out, nil
}

// visibleShares are the shares of a slot that readers see. Of one whose
// record is lost they are the newest files. The slot is locked.
func (s *Store) visibleShares(si caps.StorageIndex) (ondisk.Shares, error) {
	r, err := s.readRecord(si)
	switch {
	case err == nil && r != nil:
		return r.Visible(), nil
	case !errors.Is(err, storage.ErrStateLost):
		return nil, err
	}
	files, err := s.slotFiles(si)
	if err != nil {
		return nil, err
	}
	out := ondisk.Shares{}
	for _, f := range files {
		if old, ok := out[f.n]; ok && old.Step > f.step {
			continue
		}
		file, h, err := s.openFile(si, f.n, f.step)
		if err == nil {
			file.Close()
			out[f.n] = ondisk.Ref{Step: f.step, Length: h.Length}
		}
	}
	return out, nil
}

// slotShares lists the shares of a slot that readers see.
func (s *Store) slotShares(si caps.StorageIndex) (out []storage.ShareNumber, err error) {
	defer s.slots.lock(si)()
	set, err := s.visibleShares(si)
	if err != nil {
		return nil, err
	}
	for n, ref := range set {
		f, err := s.openRef(si, n, ref)
		if errors.Is(err, ondisk.ErrHeader) {
			continue
		}
		if err != nil {
			return nil, err
		}
		f.Close()
		out = append(out, n)
	}
	return sorted(out), nil
}

// openFile opens a share file of a slot, if it is whole.
func (s *Store) openFile(si caps.StorageIndex, n storage.ShareNumber, step uint64) (*ondisk.Share, *ondisk.Header, error) {
	return ondisk.OpenShare(s.slotShare(si, n, step), storage.Mutable, si, n)
}

// openRef opens a share that a record names. ErrHeader: the file is gone or
// damaged.
func (s *Store) openRef(si caps.StorageIndex, n storage.ShareNumber, ref ondisk.Ref) (*ondisk.Share, error) {
	f, h, err := s.openFile(si, n, ref.Step)
	if err == nil && h.Length != ref.Length {
		f.Close()
		err = ondisk.ErrHeader
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ondisk.ErrHeader) {
		s.cfg.Log.Warn("a share file is broken", "index", si, "share", n)
		return nil, ondisk.ErrHeader
	}
	if err != nil {
		return nil, s.fault("read a share", err)
	}
	return f, nil
}

// openVisible opens the share that readers see. ErrNotFound: there is none.
func (s *Store) openVisible(si caps.StorageIndex, n storage.ShareNumber) (*ondisk.Share, int64, error) {
	defer s.slots.lock(si)()
	set, err := s.visibleShares(si)
	if err != nil {
		return nil, 0, err
	}
	ref, ok := set[n]
	if !ok {
		return nil, 0, storage.ErrNotFound
	}
	f, err := s.openRef(si, n, ref)
	if errors.Is(err, ondisk.ErrHeader) {
		return nil, 0, storage.ErrNotFound
	}
	return f, ref.Length, err
}

// readFile reads a file of at most limit bytes; of a longer one it returns
// more than that.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// mkSlot makes the directory of a slot.
func (s *Store) mkSlot(si caps.StorageIndex) error {
	dir := s.slotDir(si)
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := durable.Mkdir(d, 0o700); err != nil {
			return err
		}
	}
	return nil
}
