package store

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// fullDisk is set in the process that has a small disk of its own.
const fullDisk = "LAFS_TEST_FULL_DISK"

// TestFullDisk: on a disk that is really full, at any moment of each
// operation, the answer is that there is no space, nothing half-written is
// seen or kept, and the store goes on when there is room.
func TestFullDisk(t *testing.T) {
	if dir := os.Getenv(fullDisk); dir != "" {
		onFullDisk(t, dir)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), fullDisk+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOSPC), strings.Contains(string(out), "--- SKIP: TestFullDisk"):
		t.Skipf("there is no file system of a test's own here: %v %s", err, out)
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// A ballast takes what a disk has.
type ballast struct{ path string }

// leave lets the disk have n bytes.
func (b ballast) leave(t *testing.T, n int64) {
	t.Helper()
	b.drop()
	free, err := freeSpace(filepath.Dir(b.path))
	if err == nil {
		err = os.WriteFile(b.path, make([]byte, max(free-n, 0)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (b ballast) drop() { os.Remove(b.path) }

func onFullDisk(t *testing.T, dir string) {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=12m"); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skipf("no file system can be mounted here: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := mustOpen(t, Config{Dir: filepath.Join(dir, "storage"), Now: func() time.Time { return now }, Expire: Expiry{Enabled: true, Immutable: true, Mutable: true}})
	// The store does not know how little there is: the kernel says it.
	s.free = func(string) (int64, error) { return 1 << 40, nil }
	full := ballast{filepath.Join(dir, "ballast")}
	first, second := versions(t)
	secret, owner := storage.NewUploadSecret([]byte("u")), &storage.LeaseSecrets{Renew: [32]byte{1}}
	var si caps.StorageIndex
	upload := func(size int, parts ...[2]int) error {
		if _, err := s.Allocate(t.Context(), si, []storage.ShareNumber{0}, int64(size), secret, owner); err != nil {
			return err
		}
		for _, p := range parts {
			if _, err := s.Write(t.Context(), si, 0, secret, int64(p[0]), make([]byte, p[1]-p[0])); err != nil {
				return err
			}
		}
		return nil
	}
	// ends says that nothing is left of an upload.
	ends := func() error {
		held, err := s.Shares(t.Context(), storage.Immutable, si)
		left, err2 := os.ReadDir(s.incomingDir())
		if err := errors.Join(err, err2); err != nil || len(held) > 0 || len(left) > 0 {
			return fmt.Errorf("%v are held, %v are left, %w", held, left, err)
		}
		return nil
	}
	slot := func() (storage.SlotAnswer, error) {
		return s.Slot(t.Context(), si, storage.SlotRequest{Message: agree.Read{}, Fetch: 1 << 20})
	}
	plain := func(text string) error {
		w := storage.TestWrite{Patches: []storage.Patch{{Offset: 9000, Data: []byte(text)}}}
		_, _, err := s.ReadTestWrite(t.Context(), si, &storage.WriteEnabler{}, owner, map[storage.ShareNumber]storage.TestWrite{0: w, 1: w}, nil)
		return err
	}
	for i, op := range []struct {
		name   string
		before func() error
		do     func() error
		// undone is asked after a failure.
		undone func() error
	}{
		{"store a tiny share", nil, func() error { return upload(1000, [2]int{0, 1000}) }, ends},
		{"store a share", nil, func() error { return upload(60_000, [2]int{0, 60_000}) }, ends},
		{"upload in parts", nil, func() error { return upload(60_000, [2]int{30_000, 60_000}, [2]int{0, 30_000}) }, ends},
		{"upload a large one", nil, func() error { return upload(90_000, [2]int{0, 45_000}, [2]int{45_000, 90_000}) }, ends},
		{"write a slot", nil, func() error { _, err := s.Slot(t.Context(), si, first); return err }, func() error {
			a, err := slot()
			if err == nil && (a.State != agree.State{} || len(a.Current) > 0) {
				err = fmt.Errorf("the slot has %+v", a.State)
			}
			return err
		}},
		{"change a slot", func() error { _, err := s.Slot(t.Context(), si, first); return err },
			func() error { _, err := s.Slot(t.Context(), si, second); return err }, func() error {
				a, err := slot()
				if err == nil && (a.State.Current != storageVersion(first) || len(a.Current) == 0) {
					err = fmt.Errorf("the slot has %+v", a.State)
				}
				return err
			}},
		{"change a slot as Tahoe does", func() error { return plain("old") }, func() error { return plain("new") }, func() error {
			for n := range storage.ShareNumber(2) {
				p := make([]byte, 3)
				if _, err := s.Read(t.Context(), storage.Mutable, si, n, 9000, p); err != nil || string(p) != "old" {
					return fmt.Errorf("share %d has %q, %w", n, p, err)
				}
			}
			return nil
		}},
		{"add a lease", func() error { return upload(1000, [2]int{0, 1000}) },
			func() error { return s.AddLease(t.Context(), si, &storage.LeaseSecrets{Renew: [32]byte{2}}) }, func() error {
				until, err := s.Leased(t.Context(), si, owner)
				if err == nil && until.IsZero() {
					err = errors.New("the lease that stood is gone")
				}
				return err
			}},
		{"commit much to the index", nil, func() error {
			err := s.index.batch(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(si[:], make([]byte, 100<<10)) })
			if err != nil {
				err = s.fault("commit", err)
			}
			return err
		}, func() error {
			return s.index.db.View(func(tx *bolt.Tx) error {
				if tx.Bucket(bucketMeta).Get(si[:]) != nil || tx.Bucket(bucketMeta).Get(keyFormat) == nil {
					return errors.New("the index has what was refused, or lacks what stood")
				}
				return nil
			})
		}},
	} {
		failed := 0
		for try, room := range []int64{0, 4, 8, 12, 16, 20, 24, 32, 40, 48, 56, 64, 80, 96, 128, 192, 256} {
			si = caps.StorageIndex{byte(i + 1), byte(try)}
			if op.before != nil {
				if err := op.before(); err != nil {
					t.Fatalf("before %s: %v", op.name, err)
				}
			}
			full.leave(t, room<<10)
			err := op.do()
			if err != nil {
				failed++
				if !errors.Is(err, storage.ErrNoSpace) {
					t.Errorf("%s with %d KiB: got %v", op.name, room, err)
				}
				if err := op.undone(); err != nil {
					t.Errorf("after %s with %d KiB: %v", op.name, room, err)
				}
			}
			full.drop()
			if err != nil {
				if err := op.do(); err != nil {
					t.Errorf("%s with room again: %v", op.name, err)
				}
			}
		}
		// A lease may find a free page in the index.
		if failed == 0 && op.name != "add a lease" {
			t.Errorf("%s never met a full disk", op.name)
		}
		t.Logf("%s: failed %d times", op.name, failed)
	}
	// Lodged files, laid down on a full disk.
	full.leave(t, 0)
	if err := s.lay(); err != nil {
		t.Logf("lay: %v", err)
	}
	full.drop()
	s = fullCollect(t, s, full, &now)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if sum, faults := checked(t, s.cfg, CheckOptions{}); len(faults) > 0 {
		t.Errorf("at the end fsck finds %+v, %v", sum, faults)
	}
}

func storageVersion(r storage.SlotRequest) agree.VersionID {
	switch m := r.Message.(type) {
	case agree.Fast:
		return m.New
	case agree.Accept:
		return m.Version
	}
	return agree.VersionID{}
}

// fullCollect collects all on a full disk, and starts the store there.
func fullCollect(t *testing.T, s *Store, full ballast, now *time.Time) *Store {
	t.Helper()
	for range 40 {
		*now = now.Add(day)
		s.collector.day()
	}
	kept := caps.StorageIndex{1, 1}
	if err := s.AddLease(t.Context(), kept, &storage.LeaseSecrets{Renew: [32]byte{3}}); err != nil {
		t.Fatal(err)
	}
	before := s.shares
	full.leave(t, 0)
	sum, err := s.Collect(t.Context())
	t.Logf("collected on a full disk: %+v, %v", sum, err)
	if err != nil && !errors.Is(err, storage.ErrNoSpace) {
		t.Errorf("Collect on a full disk: %v", err)
	}
	again := crash(t, s)
	if held, err := again.Shares(t.Context(), storage.Immutable, kept); err != nil || !slices.Equal(held, []storage.ShareNumber{0}) {
		t.Errorf("what has a live lease: %v, %v", held, err)
	}
	full.drop()
	again.free = s.free
	if _, err := again.Collect(t.Context()); err != nil {
		t.Errorf("Collect with room again: %v", err)
	}
	if again.shares != 1 || before < 2 {
		t.Errorf("%d of %d shares are left, want the one with a lease", again.shares, before)
	}
	return again
}
