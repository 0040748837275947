package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"unicode/utf8"

	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// maxMutableShareSize is Tahoe's.
const maxMutableShareSize = 69105 * 1000 * 1000 * 1000 * 1000

func (s *Store) sharesDir() string   { return filepath.Join(s.cfg.Dir, "shares") }
func (s *Store) incomingDir() string { return filepath.Join(s.cfg.Dir, "incoming") }

func (s *Store) advisoriesDir() string {
	return filepath.Join(s.cfg.Dir, "corruption-advisories")
}

func (s *Store) advisoryPath(si caps.StorageIndex, n storage.ShareNumber) string {
	return filepath.Join(s.advisoriesDir(), fmt.Sprintf("%s.%d", si, n))
}

func (s *Store) bucketDir(si caps.StorageIndex) string {
	name := si.String()
	return filepath.Join(s.sharesDir(), name[:2], name)
}

func (s *Store) sharePath(si caps.StorageIndex, n storage.ShareNumber) string {
	return filepath.Join(s.bucketDir(si), strconv.Itoa(int(n)))
}

func (s *Store) incoming(k uploadKey) string {
	return filepath.Join(s.incomingDir(), k.si.String()+"."+strconv.Itoa(int(k.n)))
}

// parseNumber reads the name of a share file.
func parseNumber(name string) (storage.ShareNumber, bool) {
	n, err := strconv.ParseUint(name, 10, 8)
	return storage.ShareNumber(n), err == nil && strconv.FormatUint(n, 10) == name
}

// version tells one authority what it may store. The free space is rounded
// down to its four upper bits: the exact number would tell when others store,
// and which two servers share a disk.
func (s *Store) version(ctx context.Context, who Authority) (storage.Version, error) {
	if err := ctx.Err(); err != nil {
		return storage.Version{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	avail, err := s.available()
	if err != nil {
		return storage.Version{}, err
	}
	space := uint64(min(avail, s.account(who).left()))
	if n := bits.Len64(space); n > 4 {
		space = space >> (n - 4) << (n - 4)
	}
	return storage.Version{MaxImmutableShareSize: space, MaxMutableShareSize: maxMutableShareSize, AvailableSpace: space}, nil
}

// Shares implements storage.Server.
func (s *Store) Shares(ctx context.Context, kind storage.Kind, si caps.StorageIndex) ([]storage.ShareNumber, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if kind == storage.Mutable {
		return s.slotShares(si)
	}
	held, _, err := s.settled(si)
	if err != nil {
		return nil, err
	}
	var out []storage.ShareNumber
	for n := range held {
		out = append(out, n)
	}
	return sorted(out), nil
}

// settled is list without shares that a crash or a fault could still take
// away: it waits for those that are about to be whole.
func (s *Store) settled(si caps.StorageIndex) (held, newer map[storage.ShareNumber]bool, err error) {
	defer s.naming.lock(si)()
	return s.list(si)
}

// list returns the whole shares under si, and the numbers whose file is of a
// later format, which may be neither read nor replaced. A file with a broken
// header is in neither: its share may be uploaded again.
func (s *Store) list(si caps.StorageIndex) (held, newer map[storage.ShareNumber]bool, err error) {
	headers, newer, err := s.headers(si)
	if headers != nil {
		held = make(map[storage.ShareNumber]bool, len(headers))
		for n := range headers {
			held[n] = true
		}
	}
	return held, newer, err
}

// headers is list with what the files say.
func (s *Store) headers(si caps.StorageIndex) (held map[storage.ShareNumber]*ondisk.Header, newer map[storage.ShareNumber]bool, err error) {
	entries, err := os.ReadDir(s.bucketDir(si))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, s.fault("list a bucket", err)
	}
	held, newer = map[storage.ShareNumber]*ondisk.Header{}, map[storage.ShareNumber]bool{}
	for _, e := range entries {
		n, ok := parseNumber(e.Name())
		if !ok {
			continue
		}
		switch h, err := s.readHeader(storage.Immutable, si, n); {
		case err == nil:
			held[n] = h
		case errors.Is(err, ondisk.ErrNewer):
			newer[n] = true
		case errors.Is(err, ondisk.ErrHeader), errors.Is(err, fs.ErrNotExist):
			s.cfg.Log.Warn("a share file is broken", "index", si, "share", n)
		default:
			return nil, nil, s.fault("read a share", err)
		}
	}
	return held, newer, nil
}

func (s *Store) readHeader(kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber) (*ondisk.Header, error) {
	f, h, err := s.openShare(kind, si, n)
	if err != nil {
		return nil, err
	}
	return h, f.Close()
}

// openShare opens the file of a share and checks that it is the one that its
// name says, whole.
func (s *Store) openShare(kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber) (*ondisk.Share, *ondisk.Header, error) {
	return ondisk.OpenShare(s.sharePath(si, n), kind, si, n)
}

// Read implements storage.Server.
func (s *Store) Read(ctx context.Context, kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber, offset int64, p []byte) (int, error) {
	f, err := s.Open(ctx, kind, si, n)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	got, err := f.ReadAt(p, offset)
	if err != nil && err != io.EOF {
		return 0, err
	}
	return got, nil
}

// Open implements storage.Opener.
func (s *Store) Open(ctx context.Context, kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber) (storage.OpenShare, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, length, err := s.openWhole(kind, si, n)
	if err != nil {
		return nil, err
	}
	return &openShare{f, s, length}, nil
}

// An openShare is a share that its readers have open.
type openShare struct {
	*ondisk.Share
	s      *Store
	length int64
}

// Size implements storage.OpenShare.
func (o *openShare) Size() int64 { return o.length }

// ReadAt implements storage.OpenShare.
func (o *openShare) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, storage.ErrBadRequest
	}
	whole := len(p)
	p = p[:max(0, min(int64(len(p)), o.length-off))]
	if got, err := o.Share.ReadAt(p, off); got < len(p) {
		return 0, o.s.fault("read a share", err)
	}
	if len(p) < whole {
		return len(p), io.EOF
	}
	return len(p), nil
}

// openWhole opens a share for its readers. ErrNotFound: there is none, or
// its file is broken, so that Shares does not list it either.
func (s *Store) openWhole(kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber) (*ondisk.Share, int64, error) {
	if kind == storage.Mutable {
		return s.openVisible(si, n)
	}
	f, h, err := s.openShare(kind, si, n)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ondisk.ErrHeader) {
		return nil, 0, storage.ErrNotFound
	}
	if err != nil {
		return nil, 0, s.fault("read a share", err)
	}
	return f, h.Length, nil
}

// AddLease implements storage.Server.
func (s *Store) AddLease(ctx context.Context, si caps.StorageIndex, ls *storage.LeaseSecrets) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if ls == nil {
		return storage.ErrBadRequest
	}
	defer s.keep.share(si)()
	held, _, err := s.settled(si)
	if err != nil {
		return err
	}
	if len(held) == 0 {
		mutable, err := s.slotShares(si)
		if err != nil {
			return err
		}
		if len(mutable) == 0 {
			return storage.ErrNotFound
		}
	}
	if err := s.index.renewLease(si, ondisk.HashLease(ls), s.cfg.Now()); err != nil {
		return s.fault("write a lease", err)
	}
	return nil
}

// AdviseCorrupt implements storage.Server. The last report of a share stands
// in corruption-advisories/, its reason cut to 1 KiB, of maxAdvisories
// shares.
func (s *Store) AdviseCorrupt(ctx context.Context, kind storage.Kind, si caps.StorageIndex, n storage.ShareNumber, why string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(why) < 1 || len(why) > 32765 || !utf8.ValidString(why) {
		return storage.ErrBadRequest
	}
	f, _, err := s.openWhole(kind, si, n)
	if err != nil {
		return err
	}
	f.Close()
	s.cfg.Log.Warn("a client reports a corrupt share; see lafs storage advisories", "index", si, "share", n)
	if err := s.advise(Advisory{Kind: kind.String(), Index: si, Share: n, Day: fileDay(s.cfg.Now()), Reason: why[:min(len(why), 1024)]}); err != nil {
		return s.fault("note a report", err)
	}
	return nil
}

func sorted(numbers []storage.ShareNumber) []storage.ShareNumber {
	out := slices.Clone(numbers)
	slices.Sort(out)
	return slices.Compact(out)
}
