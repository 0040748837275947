package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lafs/node/durable"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// Config says where and how shares are kept.
type Config struct {
	// Dir is the storage directory. Open makes it; nobody else writes there.
	Dir string
	// TubID is noted in each share file, and with each vote: those of a
	// server that had another one are not its own.
	TubID [20]byte
	// Witness is a file outside Dir, which Open makes. By it the store
	// notices that Dir was lost, or replaced by an older copy, and then takes
	// no part in updates until TubID is another. "": it does not notice.
	Witness string
	// ReservedSpace is how many bytes stay free on the disk.
	ReservedSpace int64
	// ReadOnly takes no new shares. Leases are still renewed, and what is
	// held is still served.
	ReadOnly bool
	// Expire says which shares are collected; its zero value collects none.
	Expire Expiry
	// Now tells the time of leases and of abandoned uploads; nil: time.Now.
	Now func() time.Time
	// Log gets what the operator should know; nil: nothing is logged.
	Log *slog.Logger
}

// A Store keeps shares in one directory, which it locks. It implements
// storage.Server. All methods may be called at once; Close comes last.
type Store struct {
	cfg   Config
	index *index
	// open opens or makes the file of an upload, or its note; free tells how
	// many bytes of the disk are free. They are fields for the sake of tests
	// with a disk that fails.
	open func(path string) (file, error)
	free func(dir string) (int64, error)
	// boot tells one run of the machine from others, see bootID.
	boot func() string
	// syncDisk syncs all that was written to the file system of disk, which
	// is the storage directory. A fault is told once. A field like those.
	syncDisk func(disk *os.File) error
	disk     *os.File
	// laying: somebody lays down what the index lodges, in background.
	laying     atomic.Bool
	background sync.WaitGroup
	layMu      sync.Mutex
	// layEach: the disk did not take all that is lodged. Guarded by layMu.
	layEach bool

	// slots lets one request at a time work on a slot.
	slots indexLocks
	// naming is shared by those who make whole shares of uploads, and taken
	// alone to list what is held: a name is seen before it is durable, and
	// nobody may be promised it until then.
	naming indexLocks
	// keep is shared by those who promise that what is held under an index
	// stays, and taken alone to collect it. It is taken before slots and
	// naming.
	keep indexLocks
	// prefixes are the directories of buckets (paths) whose names are known
	// to be on the disk.
	prefixes sync.Map
	// unsure are the slots (caps.StorageIndex) whose newest record may not
	// have reached the disk.
	unsure sync.Map
	// stateLost: the records of slots are not this server's newest.
	stateLost bool
	// crashed: the index may have old totals of slots, until recount ends.
	crashed atomic.Bool

	collector *collector

	mu      sync.Mutex
	uploads map[uploadKey]*upload // guarded by mu
	pending int64                 // bytes promised to uploads and not yet written; guarded by mu
	parts   int                   // of unfinished uploads; guarded by mu
	swept   time.Time             // when abandoned uploads were last looked for; guarded by mu
	shares  int64                 // guarded by mu
	bytes   int64                 // guarded by mu
	// touched are the slots whose totals in the index are old. Guarded by mu.
	touched map[caps.StorageIndex]slotTotals
	// accounts are what each authority has. Guarded by mu.
	accounts map[Authority]*account

	advised advised

	markMu sync.Mutex
	mark   mark      // guarded by markMu
	markAt time.Time // when it last rose; guarded by markMu
}

// A file is what writing a share needs of an *os.File.
type file interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

var (
	_ storage.Server = (*Store)(nil)
	_ storage.Slots  = (*Store)(nil)
	_ storage.Opener = (*Store)(nil)
)

// Stats is what a store holds.
type Stats struct {
	Shares, Bytes int64 // whole shares, and the bytes of data in them
	Uploads       int   // unfinished ones
	Available     int64 // bytes that may still be allocated
	// StateLost: the directory is not the one that the server last used, or
	// is an older copy, so that its slots can not be updated. The server
	// needs a new identity.
	StateLost bool
}

// Open locks and opens the storage directory, and makes it if there is none.
// It scans no shares, after a crash neither, unless the index is gone or
// broken.
func Open(cfg Config) (*Store, error) {
	if cfg.ReservedSpace < 0 {
		return nil, errors.New("the reserved space is negative")
	}
	if err := cfg.Expire.check(); err != nil {
		return nil, err
	}
	s := newStore(cfg)
	for _, dir := range []string{cfg.Dir, s.sharesDir(), s.slotsDir()} {
		if err := durable.Mkdir(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the storage directory: %w", reason(err))
		}
	}
	// It is told of faults from here on.
	var err error
	if s.disk, err = os.Open(cfg.Dir); err != nil {
		return nil, fmt.Errorf("open the storage directory: %w", reason(err))
	}
	if err := s.openIndex(); err != nil {
		s.disk.Close()
		return nil, err
	}
	if err := s.start(); err != nil {
		s.index.db.Close()
		s.disk.Close()
		return nil, err
	}
	return s, nil
}

func newStore(cfg Config) *Store {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Store{cfg: cfg, uploads: map[uploadKey]*upload{}, touched: map[caps.StorageIndex]slotTotals{}, accounts: map[Authority]*account{}, free: freeSpace, open: openFile, boot: bootID, syncDisk: syncDisk}
}

// openIndex replaces an index that is broken.
func (s *Store) openIndex() error {
	path := filepath.Join(s.cfg.Dir, "index.db")
	for {
		x, err := openIndex(path)
		if err == nil {
			if err = s.bring(x); err != nil {
				x.db.Close()
			}
		}
		if err == nil {
			s.index = x
			return nil
		}
		if !errors.Is(err, errBrokenIndex) {
			return err
		}
		if err := setAside(path, s.cfg.Log); err != nil {
			return fmt.Errorf("set the broken index aside: %w", reason(err))
		}
	}
}

// bring makes the index agree with the files.
func (s *Store) bring(x *index) error {
	switch {
	case x.whole && x.clean:
		return nil
	case x.whole:
		s.crashed.Store(true)
		return s.recover(x)
	}
	if err := s.reconcile(x); err != nil {
		return err
	}
	if err := x.countAll(); err != nil {
		return fmt.Errorf("count the shares: %w", reason(err))
	}
	return x.setWhole()
}

// start counts what there is, and takes up the uploads of an earlier run.
func (s *Store) start() error {
	if err := durable.Mkdir(s.incomingDir(), 0o700); err != nil {
		return fmt.Errorf("make the directory of uploads: %w", reason(err))
	}
	if err := s.checkMark(); err != nil {
		return fmt.Errorf("read the mark of the storage directory: %w", reason(err))
	}
	s.shares, s.bytes = s.index.sum.shares, s.index.sum.bytes
	s.charged(s.index.sum.by)
	s.collector = &collector{s: s}
	if err := s.collector.load(); err != nil {
		return fmt.Errorf("read where collection was: %w", reason(err))
	}
	if err := s.resume(); err != nil {
		return fmt.Errorf("take up unfinished uploads: %w", reason(err))
	}
	return nil
}

// Run drops abandoned uploads, collects what Config.Expire says, and keeps
// the index and the mark new, until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	if s.crashed.Load() {
		wg.Go(func() { s.recount(ctx) })
	}
	wg.Go(func() { s.collect(ctx) })
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			s.sweep()
			s.tend()
		}
	}
}

// tend does what should be done now and then; a fault is logged, and comes
// up again where it matters.
func (s *Store) tend() {
	_ = s.flush()
	s.layLater()
	s.markMu.Lock()
	due := s.cfg.Now().Sub(s.markAt) >= markEvery
	s.markMu.Unlock()
	if due {
		if err := s.raiseMark(); err != nil {
			_ = s.fault("write the mark of the storage directory", err)
		}
	}
}

// Close leaves unfinished uploads for the next start and gives the directory
// free. No other call may be under way or follow.
func (s *Store) Close() error {
	if err := s.park(); err != nil {
		// They are not promised to anybody.
		_ = s.fault("note the unfinished uploads", err)
	}
	s.collector.save()
	s.background.Wait()
	defer s.disk.Close()
	err := errors.Join(s.flush(), s.lay(), s.raiseMark())
	sure := true
	s.unsure.Range(func(any, any) bool { sure = false; return false })
	if err != nil || !sure {
		// The next Open shall look at what was under way, and sync what a
		// slot shows before anybody is told.
		return errors.Join(err, s.index.db.Close())
	}
	return s.index.close()
}

// Stats tells what the store holds.
func (s *Store) Stats() (Stats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	avail, err := s.available()
	return Stats{Shares: s.shares, Bytes: s.bytes, Uploads: len(s.uploads), Available: avail, StateLost: s.stateLost}, err
}

// available tells how many bytes may be allocated. s.mu is held.
func (s *Store) available() (int64, error) {
	if s.cfg.ReadOnly {
		return 0, nil
	}
	return s.room()
}

// room tells how many bytes there is space for, read-only or not. s.mu is
// held.
func (s *Store) room() (int64, error) {
	free, err := s.free(s.cfg.Dir)
	if err != nil {
		return 0, s.fault("ask for the free space", err)
	}
	return max(free-s.cfg.ReservedSpace-s.pending, 0), nil
}

// fault logs what the disk answered and returns the sentinel for it.
func (s *Store) fault(what string, err error) error {
	if errors.Is(err, storage.ErrNoSpace) {
		return storage.ErrNoSpace
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		s.cfg.Log.Warn("the disk of the storage directory is full", "doing", what)
		return storage.ErrNoSpace
	}
	s.cfg.Log.Error("the storage directory fails", "doing", what, "error", reason(err))
	return storage.ErrBroken
}

// reason strips paths, which hold storage indexes.
func reason(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

func openFile(path string) (file, error) { return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) }

func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
