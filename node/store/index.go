package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterr "go.etcd.io/bbolt/errors"

	"lafs/node/durable"
	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// indexFormat is the format number of index.db. Format 1 lacks authorities:
// what it has of shares and slots is read as Default's. Format 2 lacks
// intents, so that a crash left it to be compared with all files. Format 3
// lacks lodged shares (see lodge), and is read as it is.
const (
	indexFormat   = 4
	formatIntents = 3
)

// maxLeases bounds the leases on one storage index that are kept one by one:
// whoever may store could fill the disk with leases otherwise. Those above
// it share one, see sharedLease.
const maxLeases = 32

// lockTimeout is short: another process holds the lock for as long as it
// lives, and a dead one's is gone at once.
const lockTimeout = time.Second

var (
	bucketMeta = []byte("meta")
	// bucketShares: storage index, number -> kind (1 byte), length (8),
	// authority (4).
	bucketShares = []byte("shares")
	// bucketLeases: storage index, BLAKE2b-256 of the renew secret -> day
	// of its end (4 bytes), BLAKE2b-256 of the cancel secret (32).
	bucketLeases = []byte("leases")
	// bucketSlots: storage index of each slot that has ever had a record ->
	// number of shares that readers see (8 bytes), bytes of all (8), of the
	// disk (8), authority (4).
	bucketSlots = []byte("slots")

	keyFormat = []byte("format")
	keyClean  = []byte("clean")
	// keyWhole stands when the index has every file, but for its intents. It
	// is put at the end of a rebuild.
	keyWhole = []byte("whole")
)

var errBrokenIndex = errors.New("the index of the storage directory is broken")

// An index is index.db. It may be used by many goroutines at once; what its
// methods change is durable when they return. Its lock on the file keeps
// other processes out of the storage directory.
type index struct {
	db *bolt.DB
	// clean says that the index was closed in order and so agrees with the
	// files; whole that it does but for its intents.
	clean, whole bool
	// sum is what the index had when it was opened.
	sum tally

	commits commits

	mu sync.Mutex
	// settled are the keys of intents that were carried out. Guarded by mu.
	settled map[string]bool
	// lodged are the keys of shares that the index lodges, with the sizes of
	// their files, and lodgedBytes the sum of these. Guarded by mu.
	lodged      map[string]int64
	lodgedBytes int64
}

// openIndex opens or makes the index. errBrokenIndex: the file is not one
// that can be used.
func openIndex(path string) (*index, error) {
	sum, err := checkIndex(path, keepOlder)
	if err != nil {
		return nil, err
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout: lockTimeout, FreelistType: bolt.FreelistMapType, InitialMmapSize: 1 << 30,
	})
	if err != nil {
		return nil, openError(err)
	}
	x := &index{db: db, sum: sum, settled: map[string]bool{}, lodged: map[string]int64{}}
	x.commits = commits{db: db, each: x.clearIntents, nap: time.Sleep}
	if err := x.start(); err != nil {
		db.Close()
		return nil, err
	}
	return x, nil
}

// keepOlder copies an index of an older format before it is changed.
func keepOlder(tx *bolt.Tx, path string) error {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return nil
	}
	v := meta.Get(keyFormat)
	if len(v) != 4 || binary.BigEndian.Uint32(v) >= indexFormat {
		return nil
	}
	f, err := durable.Create(fmt.Sprintf("%s.format%d", path, binary.BigEndian.Uint32(v)), 0o600)
	if err != nil {
		return fmt.Errorf("copy the storage index before it is migrated: %w", reason(err))
	}
	defer f.Abort()
	if _, err := tx.WriteTo(f); err != nil {
		return fmt.Errorf("copy the storage index before it is migrated: %w", reason(err))
	}
	if err := f.Commit(); err != nil {
		return fmt.Errorf("copy the storage index before it is migrated: %w", reason(err))
	}
	return nil
}

func openError(err error) error {
	var errno syscall.Errno
	var path *fs.PathError
	switch {
	case errors.Is(err, bolterr.ErrTimeout):
		return errors.New("another lafs process is using this storage directory; stop it first")
	case errors.As(err, &errno), errors.As(err, &path):
		return fmt.Errorf("open the index of the storage directory: %w", err)
	}
	// What remains is about the content.
	return errBrokenIndex
}

// start checks the format, reads the mark of a clean end, and takes it away.
func (x *index) start() error {
	return x.db.Update(func(tx *bolt.Tx) error {
		older := false
		meta, err := tx.CreateBucketIfNotExists(bucketMeta)
		if err != nil {
			return err
		}
		if v := meta.Get(keyFormat); v != nil {
			if len(v) != 4 {
				return errBrokenIndex
			}
			format := binary.BigEndian.Uint32(v)
			if format > indexFormat {
				return fmt.Errorf("the storage directory was %w", ondisk.ErrNewer)
			}
			older = format < formatIntents
		}
		for _, name := range [][]byte{bucketShares, bucketLeases, bucketSlots, bucketIntents} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		// What an older format lacks, the files have.
		x.clean = meta.Get(keyClean) != nil && !older
		x.whole = meta.Get(keyWhole) != nil && !older
		if err := meta.Delete(keyClean); err != nil {
			return err
		}
		return meta.Put(keyFormat, binary.BigEndian.AppendUint32(nil, indexFormat))
	})
}

// guarded turns the panics that bbolt answers broken pages with into
// errBrokenIndex.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			err = errBrokenIndex
		}
	}()
	return f()
}

// setWhole notes that the index has every file.
func (x *index) setWhole() error {
	return x.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyWhole, []byte{1}) })
}

// close marks the index as agreeing with the files, and closes it.
func (x *index) close() error {
	if err := x.clearAll(); err != nil {
		return errors.Join(err, x.db.Close())
	}
	err := x.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyClean, []byte{1}) })
	if cerr := x.db.Close(); err == nil {
		err = cerr
	}
	return err
}

func shareKey(si caps.StorageIndex, n storage.ShareNumber) []byte { return append(si[:], byte(n)) }

func shareValue(h *ondisk.Header) []byte {
	b := binary.BigEndian.AppendUint64([]byte{byte(h.Kind)}, uint64(h.Length))
	return binary.BigEndian.AppendUint32(b, uint32(h.Who))
}

// addShare notes a share that is about to have its name, and its lease. whole
// are the bytes of its file, if it is to be lodged, else nil.
func (x *index) addShare(h *ondisk.Header, l ondisk.Lease, now time.Time, whole []byte) error {
	return x.batch(func(tx *bolt.Tx) error {
		if err := x.intend(tx, shareKey(h.Index, h.Number), whole); err != nil {
			return err
		}
		if err := tx.Bucket(bucketShares).Put(shareKey(h.Index, h.Number), shareValue(h)); err != nil {
			return err
		}
		return putLease(tx, h.Index, l, now)
	})
}

// addLease adds or renews a lease.
func (x *index) addLease(si caps.StorageIndex, l ondisk.Lease, now time.Time) error {
	return x.batch(func(tx *bolt.Tx) error { return putLease(tx, si, l, now) })
}

// renewLease is addLease that writes nothing where that would change
// nothing.
func (x *index) renewLease(si caps.StorageIndex, l ondisk.Lease, now time.Time) error {
	var stands bool
	err := x.db.View(func(tx *bolt.Tx) error {
		for _, renew := range [][32]byte{l.Renew, sharedLease} {
			old := tx.Bucket(bucketLeases).Get(append(si[:], renew[:]...))
			stands = stands || len(old) == 36 && binary.BigEndian.Uint32(old) >= leaseEnd(now)
		}
		return nil
	})
	if err != nil || stands {
		return err
	}
	return x.addLease(si, l, now)
}

// value is what bucketSlots has of a slot.
func (t slotTotals) value() []byte {
	var b []byte
	for _, n := range []int64{t.shares, t.bytes, t.disk} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return binary.BigEndian.AppendUint32(b, uint32(t.who))
}

// dropShare forgets a share that did not get its name.
func (x *index) dropShare(si caps.StorageIndex, n storage.ShareNumber) error {
	return x.batch(func(tx *bolt.Tx) error {
		// What it may have lodged goes too.
		if err := x.intend(tx, shareKey(si, n), nil); err != nil {
			return err
		}
		return forgetShare(tx, si, n)
	})
}

// addSlot notes a slot that is about to have its first record, and its
// lease, if l is not nil.
func (x *index) addSlot(t slotTotals, l *ondisk.Lease, now time.Time) error {
	return x.batch(func(tx *bolt.Tx) error {
		if err := x.intend(tx, t.si[:], nil); err != nil {
			return err
		}
		if err := tx.Bucket(bucketSlots).Put(t.si[:], t.value()); err != nil || l == nil {
			return err
		}
		return putLease(tx, t.si, *l, now)
	})
}

// dropSlot forgets a slot whose record is about to go, or never came.
func (x *index) dropSlot(si caps.StorageIndex) error {
	return x.batch(func(tx *bolt.Tx) error {
		if err := x.intend(tx, si[:], nil); err != nil {
			return err
		}
		return tx.Bucket(bucketSlots).Delete(si[:])
	})
}

// slot returns what the index has of a slot.
func (x *index) slot(si caps.StorageIndex) (t slotTotals, known bool, err error) {
	err = x.db.View(func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketSlots).Get(si[:])
		t, _ = parseSlotValue(v)
		t.si, known = si, v != nil
		return nil
	})
	return t, known, err
}

// knowsSlot says whether si has ever had a record.
func (x *index) knowsSlot(si caps.StorageIndex) (known bool, err error) {
	err = x.db.View(func(tx *bolt.Tx) error {
		known = tx.Bucket(bucketSlots).Get(si[:]) != nil
		return nil
	})
	return known, err
}

// putLease never shortens a lease, whatever the clock does.
func putLease(tx *bolt.Tx, si caps.StorageIndex, l ondisk.Lease, now time.Time) error {
	return putLeaseUntil(tx, si, l, leaseEnd(now), now)
}

// putLeaseUntil is putLease for a lease that ends on a given day.
func putLeaseUntil(tx *bolt.Tx, si caps.StorageIndex, l ondisk.Lease, end uint32, now time.Time) error {
	leases := tx.Bucket(bucketLeases)
	key := append(si[:], l.Renew[:]...)
	old := leases.Get(key)
	if old == nil {
		room, err := roomForLease(leases, si, end, now)
		if err != nil {
			return err
		}
		if !room {
			key, l.Cancel = append(si[:], sharedLease[:]...), [32]byte{}
			old = leases.Get(key)
		}
	}
	if len(old) == 36 {
		end = max(end, binary.BigEndian.Uint32(old))
	}
	return leases.Put(key, append(binary.BigEndian.AppendUint32(nil, end), l.Cancel[:]...))
}

// hasLease says whether somebody has a lease on si, ended or not.
func hasLease(tx *bolt.Tx, si caps.StorageIndex) bool {
	k, _ := tx.Bucket(bucketLeases).Cursor().Seek(si[:])
	return len(k) >= len(si) && caps.StorageIndex(k[:len(si)]) == si
}

// sharedLease stands for the renew secret of the lease that those share who
// find maxLeases others on a storage index. What is held lasts until the last
// of its leases ends, whoever has that, so that nobody is refused because of
// strangers, and no lease is ended for another. Nobody can know a secret with
// this hash, and cancel what others count on.
var sharedLease [32]byte

// roomForLease says whether si may have one more lease of its own, that ends
// on a day. When there are too many it drops those that have ended, and that
// end no later than this one.
func roomForLease(leases *bolt.Bucket, si caps.StorageIndex, until uint32, now time.Time) (bool, error) {
	var live int
	var ended [][]byte
	c := leases.Cursor()
	for k, v := c.Seek(si[:]); len(k) == 48 && caps.StorageIndex(k[:16]) == si; k, v = c.Next() {
		switch {
		case [32]byte(k[16:]) == sharedLease:
		case len(v) == 36 && (time.Unix(int64(binary.BigEndian.Uint32(v))*86400, 0).After(now) || binary.BigEndian.Uint32(v) > until):
			live++
		default:
			ended = append(ended, append([]byte(nil), k...))
		}
	}
	if live+len(ended) < maxLeases {
		return true, nil
	}
	if live >= maxLeases {
		return false, nil
	}
	for _, k := range ended {
		if err := leases.Delete(k); err != nil {
			return false, err
		}
	}
	return true, nil
}

// parseShareValue reads what bucketShares has of a share.
func parseShareValue(v []byte) (length int64, who Authority, ok bool) {
	switch len(v) {
	case 9:
		return int64(binary.BigEndian.Uint64(v[1:])), Default, true
	case 13:
		return int64(binary.BigEndian.Uint64(v[1:])), Authority(binary.BigEndian.Uint32(v[9:])), true
	}
	return 0, 0, false
}

// parseSlotValue reads what bucketSlots has of a slot.
func parseSlotValue(v []byte) (t slotTotals, ok bool) {
	if len(v) != 16 && len(v) != 28 {
		return t, false
	}
	t.shares, t.bytes, t.who = int64(binary.BigEndian.Uint64(v)), int64(binary.BigEndian.Uint64(v[8:])), Default
	t.disk = cost(0)
	if t.bytes > 0 {
		t.disk += cost(t.bytes)
	}
	if len(v) == 28 {
		t.disk, t.who = int64(binary.BigEndian.Uint64(v[16:])), Authority(binary.BigEndian.Uint32(v[24:]))
	}
	return t, true
}

// setAside moves a broken index out of the way, so that another can be made.
func setAside(path string, log *slog.Logger) error {
	log.Warn("the storage index is broken: it is made again from the share files, and leases start anew")
	return os.Rename(path, path+".broken")
}
