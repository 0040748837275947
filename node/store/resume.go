package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lafs/node/durable"
	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

const (
	// notedAtOnce is the size from which an upload is noted when it is
	// allocated. Smaller ones come in one request, nearly always.
	notedAtOnce = 64 << 10
	// syncEvery is how much of an upload a loss of power can take away.
	syncEvery = 16 << 20

	noteSuffix = ".upload"
)

func (s *Store) notePath(k uploadKey) string { return s.incoming(k) + noteSuffix }

// parseIncoming reads the name of a file of an upload.
func parseIncoming(name string) (k uploadKey, isNote, ok bool) {
	name, isNote = strings.CutSuffix(name, noteSuffix)
	si, number, found := strings.Cut(name, ".")
	n, ok := parseNumber(number)
	index, err := caps.ParseStorageIndex(si)
	return uploadKey{index, n}, isNote, found && ok && err == nil
}

// note writes what a restart must know of u, after its bytes, which are in
// f; nil: there are none. With sync, a loss of power leaves them. u.mu is
// held.
func (s *Store) note(u *upload, f file, sync bool) error {
	if sync {
		if err := f.Sync(); err != nil {
			return err
		}
		u.unsynced = 0
	}
	nf, err := s.open(s.notePath(u.key))
	if err != nil {
		return err
	}
	defer nf.Close()
	if err := s.writeNote(u, nf, sync); err != nil || !sync {
		return err
	}
	if err := nf.Sync(); err != nil {
		return err
	}
	return durable.SyncDir(s.incomingDir())
}

// writeNote writes what changed of a note, and, if the bytes are synced, that
// list too. u.mu is held.
func (s *Store) writeNote(u *upload, nf file, synced bool) error {
	if len(u.have) > 0 && u.written == [32]byte{} {
		var err error
		if u.synced, u.written, err = s.places(s.incoming(u.key)); err != nil {
			return err
		}
	}
	s.mu.Lock()
	l := u.lease
	if !u.noted {
		u.charge += noteCost
		s.pending += noteCost
	}
	s.mu.Unlock()
	if !u.noted || l != u.notedLease {
		u.noted, u.notedLease = true, l
		n := note{key: u.key, size: u.size, secret: u.secret, lease: l, who: u.who}
		if _, err := nf.WriteAt(n.head(), 0); err != nil {
			return err
		}
	}
	list := noteRanges{last: u.last, place: u.written, have: u.have}
	if _, err := nf.WriteAt(list.marshal(), noteWritten); err != nil || !synced {
		return err
	}
	list.place = u.synced
	_, err := nf.WriteAt(list.marshal(), noteSynced)
	return err
}

// park leaves all uploads for the next start, synced.
func (s *Store) park() error {
	all := s.unfinished()
	if len(all) == 0 {
		return nil
	}
	// One sync for many: a stop takes no longer for them.
	if err := syncAll(s.cfg.Dir); err != nil {
		return err
	}
	for _, u := range all {
		if err := s.parkUpload(u); err != nil {
			return err
		}
	}
	return syncAll(s.cfg.Dir)
}

func (s *Store) parkUpload(u *upload) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.gone {
		return nil
	}
	nf, err := s.open(s.notePath(u.key))
	if err != nil {
		return err
	}
	defer nf.Close()
	return s.writeNote(u, nf, true)
}

// resume takes up the uploads of an earlier run, and removes what is left of
// those that ended.
func (s *Store) resume() error {
	entries, err := os.ReadDir(s.incomingDir())
	if err != nil {
		return err
	}
	going := map[uploadKey]bool{}
	for _, e := range entries {
		if k, isNote, ok := parseIncoming(e.Name()); ok && isNote {
			if going[k], err = s.resumeUpload(k); err != nil {
				return err
			}
		}
	}
	for _, e := range entries {
		k, _, ok := parseIncoming(e.Name())
		if ok && going[k] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(s.incomingDir(), e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// resumeUpload reports whether an upload goes on.
func (s *Store) resumeUpload(k uploadKey) (bool, error) {
	b, err := readFile(s.notePath(k), noteWritten+maxArea)
	if err != nil {
		return false, err
	}
	n, err := parseNote(b)
	if err != nil || n.key != k {
		return false, nil
	}
	if _, err := s.readHeader(storage.Immutable, k.si, k.n); err == nil || errors.Is(err, ondisk.ErrNewer) {
		return false, nil
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ondisk.ErrHeader) {
		return false, err
	}
	now := s.cfg.Now()
	u := &upload{key: k, secret: n.secret, size: n.size, who: n.who, lease: n.lease,
		noted: true, notedLease: n.lease, charge: cost(n.size) + noteCost, last: n.synced.last}
	if n.written.last.After(u.last) {
		u.last = n.written.last
	}
	if u.last.After(now) {
		u.last = now
	}
	if now.Sub(u.last) >= uploadTimeout || len(s.uploads) >= maxUploads {
		return false, nil
	}
	if err := s.trust(u, n); err != nil {
		return false, err
	}
	u.charge -= u.have.total()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads[k] = u
	s.pending += u.charge
	a := s.account(u.who)
	a.Reserved += cost(u.size)
	a.uploads++
	s.scatterLocked(u.who, len(u.have))
	return true, nil
}

// trust takes of a note the ranges whose bytes are there.
func (s *Store) trust(u *upload, n *note) error {
	path := s.incoming(u.key)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	synced, written, err := s.places(path)
	if err != nil {
		return err
	}
	for _, list := range []struct {
		noteRanges
		want [32]byte
	}{{n.written, written}, {n.synced, synced}} {
		if list.place != list.want || list.place == [32]byte{} || len(list.have) == 0 ||
			info.Size() < ondisk.HeaderSize+list.have[len(list.have)-1].End {
			continue
		}
		u.have, u.synced, u.written = list.have, synced, written
		return nil
	}
	return os.RemoveAll(path)
}
