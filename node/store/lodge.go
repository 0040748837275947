package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"lafs/node/durable"
	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// A tiny share costs the disk more for its names than for its bytes: file,
// directory and index, each with a wait of its own. So the index lodges it:
// the file is written and named without a sync, and its bytes stand beside
// its intent, in the commit that the share needs anyway and shares with
// others. From then on it is durable. Now and then one sync of the disk does
// for all files that are lodged, and what the index has of them goes. After a
// crash the next start writes these files again. Nobody waits for the sync of
// the disk, which may take as long as all that others wrote there: when much
// is lodged, shares are synced one by one, as large ones always are.
const (
	// tinyShare is the most data of a share that is lodged, in bytes.
	tinyShare = 16 << 10
	// layFrom is how much is lodged before the disk is synced for it, apart
	// from the sync of every minute.
	layFrom = 1 << 20
	// aFew is how many are synced by themselves: the disk may have much else
	// to write, which a stop should not wait for.
	aFew = 16
	// maxLodged bounds what a start may have to write again.
	maxLodged = 8 << 20
)

// lodges reports whether a share of so many bytes of data may be lodged.
func (x *index) lodges(size int64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return size <= tinyShare && x.lodgedBytes+size+ondisk.HeaderSize <= maxLodged
}

// lodge says that the index has the bytes of the file of key, which has its
// name, and reports whether it is time to lay down what is lodged.
func (x *index) lodge(key []byte, size int64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lodged[string(key)] = size
	x.lodgedBytes += size
	return x.lodgedBytes >= layFrom
}

// unlodge ends the lodging of keys, whose files are on the disk.
func (x *index) unlodge(keys []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, k := range keys {
		x.lodgedBytes -= x.lodged[k]
		delete(x.lodged, k)
		x.settled[k] = true
	}
}

func (x *index) isLodged(key []byte) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, ok := x.lodged[string(key)]
	return ok
}

func (x *index) allLodged() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	keys := make([]string, 0, len(x.lodged))
	for k := range x.lodged {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// lodging returns the bytes of a file that the index has; nil: none.
func (x *index) lodging(key string) (b []byte, err error) {
	err = x.db.View(func(tx *bolt.Tx) error {
		b = bytes.Clone(tx.Bucket(bucketIntents).Get([]byte(key)))
		return nil
	})
	return b, err
}

// storeTiny makes a share of an upload whose bytes are all of data. It reports
// false, and has done nothing, where something is in its place. u.mu is held.
func (s *Store) storeTiny(u *upload, data []byte) (stored bool, err error) {
	si, n, now := u.key.si, u.key.n, s.cfg.Now()
	defer s.keep.share(si)()
	defer s.naming.share(si)()
	path := s.sharePath(si, n)
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	s.mu.Lock()
	l := u.lease
	s.mu.Unlock()
	h := ondisk.Header{Kind: storage.Immutable, Number: n, Index: si, Length: u.size, TubID: s.cfg.TubID, Who: u.who}
	file := append(h.Marshal(), data...)
	if err = s.index.addShare(&h, l, now, file); err == nil {
		err = s.writeTiny(path, file, fileDay(now))
	}
	if err != nil {
		return false, errors.Join(err, s.unname(u.key))
	}
	if s.index.lodge(shareKey(si, n), int64(len(file))) {
		s.layLater()
	}
	s.whole(u)
	return true, nil
}

// writeTiny makes the file of a share in its place: no reader takes a part of
// it for a share.
func (s *Store) writeTiny(path string, b []byte, day time.Time) error {
	bucket := filepath.Dir(path)
	prefix := filepath.Dir(bucket)
	err := os.Mkdir(bucket, 0o700)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.MkdirAll(bucket, 0o700); err == nil {
			s.setDay(day, s.sharesDir())
		}
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	f, err := s.open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt(b, 0); err != nil {
		return err
	}
	if err := os.Chtimes(path, day, day); err != nil {
		return err
	}
	s.setDay(day, bucket, prefix)
	return nil
}

// layLater lays down what is lodged, beside its caller, unless somebody does
// already. Close waits for it.
func (s *Store) layLater() {
	if !s.laying.CompareAndSwap(false, true) {
		return
	}
	s.background.Go(func() {
		defer s.laying.Store(false)
		if err := s.lay(); err != nil {
			_ = s.fault("write small shares from the index into their files", err)
		}
	})
}

// lay makes the files of all lodged shares durable.
func (s *Store) lay() error {
	s.layMu.Lock()
	defer s.layMu.Unlock()
	keys := s.index.allLodged()
	if len(keys) == 0 {
		return nil
	}
	if len(keys) > aFew {
		if err := s.syncDisk(s.disk); err != nil {
			// Which file the disk did not take is not known, and it is not
			// told again.
			s.layEach = true
		}
		if !s.layEach {
			s.index.unlodge(keys)
			return nil
		}
		keys = s.index.allLodged()
	}
	var failed error
	for _, k := range keys {
		if err := s.layOne(k); err != nil {
			// It must not stand before all others.
			failed = err
			continue
		}
		s.index.unlodge([]string{k})
	}
	if failed == nil {
		s.layEach = false
	}
	return failed
}

// layOne makes the file of a lodged share durable by itself.
func (s *Store) layOne(key string) error {
	b, err := s.index.lodging(key)
	if err != nil {
		return err
	}
	if err := s.writeLodged([]byte(key), b, file.Sync); err != nil {
		return err
	}
	bucket := s.bucketDir(caps.StorageIndex([]byte(key)[:16]))
	for _, dir := range []string{bucket, filepath.Dir(bucket), s.sharesDir()} {
		if err := durable.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// writeLodged makes the file of a lodged share again. sync may be nil.
func (s *Store) writeLodged(key, b []byte, sync func(file) error) error {
	k := uploadKey{caps.StorageIndex(key[:16]), storage.ShareNumber(key[16])}
	from, to := s.incoming(k), s.sharePath(k.si, k.n)
	for _, dir := range []string{filepath.Dir(from), filepath.Dir(to)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := os.Remove(from); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := s.open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt(b, 0); err != nil {
		return err
	}
	day := fileDay(s.cfg.Now())
	if err := os.Chtimes(from, day, day); err != nil {
		return err
	}
	if sync != nil {
		if err := sync(f); err != nil {
			return err
		}
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	bucket := filepath.Dir(to)
	s.setDay(day, bucket, filepath.Dir(bucket), s.sharesDir(), s.incomingDir())
	return nil
}

// settleLodged writes the file of a lodged share after a crash. That it can be
// read says nothing: the system may have it in memory, and have told somebody
// who is dead that the disk did not take it.
func (s *Store) settleLodged(key, b []byte) error {
	h, err := ondisk.ParseHeader(b)
	if err != nil || h.Kind != storage.Immutable || !bytes.Equal(shareKey(h.Index, h.Number), key) || int64(len(b)) != ondisk.HeaderSize+h.Length {
		return errBrokenIndex
	}
	return s.writeLodged(key, b, nil)
}
