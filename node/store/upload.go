package store

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/sync/errgroup"

	"lafs/node/durable"
	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

const (
	// maxUploads bounds what unfinished uploads take of the memory, and
	// maxAllParts what the scattered parts of all do. No authority has them
	// all, see fair.
	maxUploads  = 1 << 16
	maxAllParts = 1 << 20
	// maxParts bounds the scattered parts of one upload, and with them the
	// answer to a write.
	maxParts = 1024
	// fairShare: an authority may have so many times what is left for others.
	fairShare = 3
	// sweepEvery is how often new uploads look for abandoned ones.
	sweepEvery = time.Minute
)

// fair says whether an authority that has so many of a thing may have more,
// when there are all, and no more than max of them may be.
func fair(has, more, all, max int) bool {
	left := max - all - more
	return left >= 0 && has+more <= fairShare*left
}

type uploadKey struct {
	si caps.StorageIndex
	n  storage.ShareNumber
}

// An upload is a share that is not whole yet.
type upload struct {
	key    uploadKey
	secret [32]byte // BLAKE2b-256 of the upload secret
	size   int64
	who    Authority

	// charge is what of Store.pending is this upload's; lease becomes the
	// share's. Both are guarded by Store.mu.
	charge int64
	lease  ondisk.Lease

	mu   sync.Mutex // taken before Store.mu
	gone bool       // whole or dropped; guarded by mu
	have ranges     // guarded by mu
	last time.Time  // of the last write, or the allocation; guarded by mu

	// What its note has, see note. Guarded by mu.
	noted           bool
	notedLease      ondisk.Lease
	synced, written [32]byte // places
	unsynced        int64    // bytes
}

// cost is what a share takes of the disk: its blocks, and some of a
// directory.
func cost(size int64) int64 { return (size+ondisk.HeaderSize+4095)/4096*4096 + 4096 }

// allocate is Allocate for one authority.
func (s *Store) allocate(ctx context.Context, who Authority, si caps.StorageIndex, numbers []storage.ShareNumber, size int64, secret *storage.UploadSecret, ls *storage.LeaseSecrets) (storage.Allocation, error) {
	var out storage.Allocation
	if err := ctx.Err(); err != nil {
		return out, err
	}
	if size <= 0 || size > ondisk.MaxShareSize || !validSecret(secret) || ls == nil {
		return out, storage.ErrBadRequest
	}
	s.sweepAgain()
	numbers = sorted(numbers)
	l := ondisk.HashLease(ls)
	// Reserve first and look at the files then: an upload that ends in
	// between is seen in one of the two.
	ours, fresh, err := s.reserve(who, si, numbers, size, blake2b.Sum256(secret.Bytes()), l)
	if err != nil {
		return out, err
	}
	held, taken, err := s.promise(si, l)
	for _, n := range numbers {
		if ours[n] != nil && !held[n] && !taken[n] {
			out.Allocated = append(out.Allocated, n)
			if !slices.Contains(fresh, ours[n]) {
				ours[n].tell(&out)
			} else if size > notedAtOnce && err == nil {
				err = s.noteNew(ours[n])
			}
			continue
		}
		s.release(ours[n])
	}
	out.AlreadyHave = sorted(slices.Collect(maps.Keys(held)))
	if err != nil {
		for _, u := range fresh {
			s.release(u)
		}
		return storage.Allocation{}, err
	}
	return out, nil
}

// noteNew notes an upload without bytes.
func (s *Store) noteNew(u *upload) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.gone || u.noted {
		return nil
	}
	if err := s.note(u, nil, false); err != nil {
		return s.fault("note an upload", err)
	}
	return nil
}

// tell writes into out what of an upload under way is missing, if something
// has arrived.
func (u *upload) tell(out *storage.Allocation) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.gone || len(u.have) == 0 {
		return
	}
	if out.Missing == nil {
		out.Missing = map[storage.ShareNumber][]storage.Range{}
	}
	out.Missing[u.key.n] = u.have.missing(u.size)
}

// promise lists what is held under si, and gives it a lease before anything
// of it can be collected.
func (s *Store) promise(si caps.StorageIndex, l ondisk.Lease) (held, newer map[storage.ShareNumber]bool, err error) {
	defer s.keep.share(si)()
	held, newer, err = s.settled(si)
	if err == nil && len(held) > 0 {
		if e := s.index.renewLease(si, l, s.cfg.Now()); e != nil {
			err = s.fault("write a lease", e)
		}
	}
	return held, newer, err
}

// reserve returns the uploads of numbers that go on under the secret, and
// those of them that are new, as far as there is space.
func (s *Store) reserve(who Authority, si caps.StorageIndex, numbers []storage.ShareNumber, size int64, secret [32]byte, l ondisk.Lease) (ours map[storage.ShareNumber]*upload, fresh []*upload, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	avail, err := s.available()
	if err != nil {
		return nil, nil, err
	}
	account := s.account(who)
	if !s.cfg.ReadOnly && !fair(account.uploads, len(numbers), len(s.uploads), maxUploads) {
		return nil, nil, storage.ErrBusy
	}
	avail = min(avail, account.left())
	ours = map[storage.ShareNumber]*upload{}
	for _, n := range numbers {
		key := uploadKey{si, n}
		if u := s.uploads[key]; u != nil {
			if subtle.ConstantTimeCompare(u.secret[:], secret[:]) == 1 && u.size == size {
				u.lease, ours[n] = l, u
			}
			continue
		}
		if cost(size) > avail {
			continue
		}
		avail -= cost(size)
		s.pending += cost(size)
		account.Reserved += cost(size)
		account.uploads++
		u := &upload{key: key, secret: secret, size: size, who: who, charge: cost(size), lease: l, last: s.cfg.Now()}
		s.uploads[key], ours[n] = u, u
		fresh = append(fresh, u)
	}
	return ours, fresh, nil
}

// Write implements storage.Server. The bytes of an unfinished upload are
// synced now and then, those of a whole share always.
func (s *Store) Write(ctx context.Context, si caps.StorageIndex, n storage.ShareNumber, secret *storage.UploadSecret, offset int64, data []byte) ([]storage.Range, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	u, err := s.lock(uploadKey{si, n}, secret)
	if err != nil {
		return nil, err
	}
	defer u.mu.Unlock()
	if offset < 0 || len(data) == 0 || offset > u.size || int64(len(data)) > u.size-offset {
		return nil, storage.ErrBadRequest
	}
	missing, err := s.write(u, offset, data)
	if err == nil || errors.Is(err, storage.ErrConflict) || errors.Is(err, storage.ErrBusy) {
		return missing, err
	}
	// Nobody knows what the file holds now.
	s.drop(u)
	return nil, s.fault("write a share", err)
}

// lock returns the upload of key, locked, if the secret is its own.
func (s *Store) lock(key uploadKey, secret *storage.UploadSecret) (*upload, error) {
	if !validSecret(secret) {
		return nil, storage.ErrBadRequest
	}
	s.mu.Lock()
	u := s.uploads[key]
	s.mu.Unlock()
	if u == nil {
		return nil, storage.ErrNotFound
	}
	hash := blake2b.Sum256(secret.Bytes())
	if subtle.ConstantTimeCompare(u.secret[:], hash[:]) != 1 {
		return nil, storage.ErrUnauthorized
	}
	u.mu.Lock()
	s.dropIfOld(u)
	if u.gone {
		u.mu.Unlock()
		return nil, storage.ErrNotFound
	}
	return u, nil
}

// write puts data in its place and ends the upload when nothing is missing.
// u.mu is held.
func (s *Store) write(u *upload, offset int64, data []byte) ([]storage.Range, error) {
	end := offset + int64(len(data))
	have := append(ranges(nil), u.have...).add(offset, end)
	more := len(have) - len(u.have)
	if len(have) > maxParts || len(have) > 1 && !s.mayScatter(u.who, more) {
		return nil, storage.ErrBusy
	}
	if len(u.have) == 0 && int64(len(data)) == u.size && s.index.lodges(u.size) {
		if stored, err := s.storeTiny(u, data); stored || err != nil {
			return nil, err
		}
	}
	f, err := s.open(s.incoming(u.key))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for _, r := range u.have.within(offset, end) {
		old := make([]byte, r.End-r.Begin)
		if _, err := f.ReadAt(old, ondisk.HeaderSize+r.Begin); err != nil {
			return nil, err
		}
		if !bytes.Equal(old, data[r.Begin-offset:r.End-offset]) {
			return nil, storage.ErrConflict
		}
	}
	if _, err := f.WriteAt(data, ondisk.HeaderSize+offset); err != nil {
		return nil, err
	}
	s.discharge(u, have.total()-u.have.total(), more)
	u.have, u.last = have, s.cfg.Now()
	missing := have.missing(u.size)
	if len(missing) > 0 {
		u.unsynced += int64(len(data))
		return missing, s.note(u, f, u.unsynced >= syncEvery)
	}
	return nil, s.finish(u, f)
}

// finish makes a share of an upload that misses nothing. A failure takes the
// share away again. u.mu is held.
func (s *Store) finish(u *upload, f file) error {
	h := ondisk.Header{Kind: storage.Immutable, Number: u.key.n, Index: u.key.si, Length: u.size, TubID: s.cfg.TubID, Who: u.who}
	if _, err := f.WriteAt(h.Marshal(), 0); err != nil {
		return err
	}
	from, to, now := s.incoming(u.key), s.sharePath(u.key.si, u.key.n), s.cfg.Now()
	if err := os.Chtimes(from, fileDay(now), fileDay(now)); err != nil {
		return err
	}
	bucket, key := filepath.Dir(to), shareKey(u.key.si, u.key.n)
	defer s.keep.share(u.key.si)()
	defer s.naming.share(u.key.si)()
	s.mu.Lock()
	l := u.lease
	s.mu.Unlock()
	// All of these before the name, the index too (see bucketIntents), and
	// all at once: each waits for the disk.
	var before errgroup.Group
	before.Go(f.Sync)
	before.Go(func() error { return s.mkBucket(bucket) })
	before.Go(func() error { return s.index.addShare(&h, l, now, nil) })
	err := before.Wait()
	if err == nil {
		err = durable.Rename(from, to)
	}
	if err != nil {
		return errors.Join(err, s.unname(u.key))
	}
	s.index.carriedOut(key)
	s.setDay(fileDay(now), bucket, filepath.Dir(bucket), s.sharesDir(), s.incomingDir())
	s.whole(u)
	return nil
}

// whole ends an upload whose share is there, and counts it. u.mu is held.
func (s *Store) whole(u *upload) {
	s.forget(u)
	s.mu.Lock()
	s.shares++
	s.bytes += u.size
	s.account(u.who).Shares++
	s.account(u.who).Disk += cost(u.size)
	s.mu.Unlock()
}

// setDay sets the times of directories. One that shows more than the day is
// no reason to refuse what was written.
func (s *Store) setDay(day time.Time, dirs ...string) {
	for _, dir := range dirs {
		if err := os.Chtimes(dir, day, day); err != nil {
			s.cfg.Log.Warn("a directory's time can not be set", "error", reason(err))
		}
	}
}

// mkBucket makes the directory of a bucket, durably.
func (s *Store) mkBucket(bucket string) error {
	// Nobody removes these: each is made once.
	prefix := filepath.Dir(bucket)
	if _, made := s.prefixes.Load(prefix); !made {
		if err := durable.Mkdir(prefix, 0o700); err != nil {
			return err
		}
		s.prefixes.Store(prefix, true)
	}
	// Another upload may have made the bucket this instant, and not synced
	// its name yet.
	return durable.Mkdir(bucket, 0o700)
}

// unname takes away a share whose name may not be durable. Where that fails,
// the intent stays, and the next start decides.
func (s *Store) unname(k uploadKey) error {
	to := s.sharePath(k.si, k.n)
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := durable.SyncDir(filepath.Dir(to)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.index.dropShare(k.si, k.n); err != nil {
		return err
	}
	s.index.carriedOut(shareKey(k.si, k.n))
	return nil
}

// Abort implements storage.Server.
func (s *Store) Abort(ctx context.Context, si caps.StorageIndex, n storage.ShareNumber, secret *storage.UploadSecret) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	u, err := s.lock(uploadKey{si, n}, secret)
	if errors.Is(err, storage.ErrNotFound) {
		switch _, e := s.readHeader(storage.Immutable, si, n); {
		case e == nil:
			return storage.ErrComplete
		case !errors.Is(e, fs.ErrNotExist):
			return s.fault("read a share", e)
		}
	}
	if err != nil {
		return err
	}
	defer u.mu.Unlock()
	s.drop(u)
	return nil
}

// discharge moves n bytes of u from promised to written, in so many more
// parts.
func (s *Store) discharge(u *upload, n int64, parts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.charge -= n
	s.pending -= n
	s.scatterLocked(u.who, parts)
}

// mayScatter says whether the uploads of who may have more parts.
func (s *Store) mayScatter(who Authority, more int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return more <= 0 || fair(s.account(who).parts, more, s.parts, maxAllParts)
}

// scatterLocked counts the parts of unfinished uploads.
func (s *Store) scatterLocked(who Authority, n int) {
	s.parts += n
	s.account(who).parts += n
}

func validSecret(u *storage.UploadSecret) bool {
	return u != nil && len(u.Bytes()) >= 1 && len(u.Bytes()) <= 256
}
