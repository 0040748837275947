package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"lafs/shares/caps"
	"lafs/shares/storage"
)

// checked runs Check and returns what it found.
func checked(t *testing.T, cfg Config, o CheckOptions) (CheckSum, []Fault) {
	t.Helper()
	var faults []Fault
	o.Found = func(f Fault) { faults = append(faults, f) }
	sum, err := Check(t.Context(), cfg, o)
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	return sum, faults
}

// tree is every file of a directory with its content.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		fmt.Fprintf(&out, "%s %x\n", path, sha256.Sum256(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestCheck(t *testing.T) {
	a, b, slot, gone := caps.StorageIndex{1}, caps.StorageIndex{2}, caps.StorageIndex{3}, caps.StorageIndex{4}
	update := func(t *testing.T, s *Store, f func(tx *bolt.Tx) error) {
		t.Helper()
		x, err := openIndex(filepath.Join(s.cfg.Dir, "index.db"))
		if err == nil {
			err = errors.Join(x.db.Update(f), x.close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(t *testing.T, path, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name   string
		damage func(t *testing.T, s *Store)
		want   string // in what is found; "": nothing
		left   int64  // after repair
		lost   int64  // shares
	}{
		{"nothing", func(*testing.T, *Store) {}, "", 0, 0},
		{"an index that is missing", func(t *testing.T, s *Store) { os.Remove(filepath.Join(s.cfg.Dir, "index.db")) }, "the index is missing", 0, 0},
		{"an index that is broken", func(t *testing.T, s *Store) {
			write(t, filepath.Join(s.cfg.Dir, "index.db"), strings.Repeat("x", 40000))
		}, "the index is broken", 0, 0},
		{"a share that the index does not have", func(t *testing.T, s *Store) {
			update(t, s, func(tx *bolt.Tx) error { return tx.Bucket(bucketShares).Delete(shareKey(a, 0)) })
		}, "the index did not have it", 0, 0},
		{"a share of which the index has another length", func(t *testing.T, s *Store) {
			update(t, s, func(tx *bolt.Tx) error { return tx.Bucket(bucketShares).Put(shareKey(a, 0), make([]byte, 13)) })
		}, "something else", 0, 0},
		{"a share that is gone", func(t *testing.T, s *Store) { os.Remove(s.sharePath(a, 0)) }, "it is gone", 0, 1},
		{"a share that is cut", func(t *testing.T, s *Store) { os.Truncate(s.sharePath(a, 0), 130) }, "no whole share", 0, 1},
		{"a share under another name", func(t *testing.T, s *Store) { os.Rename(s.sharePath(a, 0), s.sharePath(a, 9)) }, "no whole share", 0, 1},
		{"a file among the shares", func(t *testing.T, s *Store) { write(t, s.sharePath(a, 0)+".bak", "x") }, "it is no share", 0, 0},
		{"a file among the buckets", func(t *testing.T, s *Store) { write(t, s.bucketDir(a)+".bak", "x") }, "not a storage index", 0, 0},
		{"a file among the prefixes", func(t *testing.T, s *Store) { write(t, filepath.Join(s.sharesDir(), "zz"), "x") }, "not a directory", 0, 0},
		{"a slot that the index does not have", func(t *testing.T, s *Store) {
			update(t, s, func(tx *bolt.Tx) error { return tx.Bucket(bucketSlots).Delete(slot[:]) })
		}, "the index did not have it", 0, 0},
		{"a slot that the index counted wrong", func(t *testing.T, s *Store) {
			update(t, s, func(tx *bolt.Tx) error { return tx.Bucket(bucketSlots).Put(slot[:], slotTotals{shares: 7}.value()) })
		}, "counted something else", 0, 0},
		{"a slot that is gone", func(t *testing.T, s *Store) { os.RemoveAll(s.slotDir(slot)) }, "the slot is gone", 1, 2},
		{"a record that is gone", func(t *testing.T, s *Store) { os.Remove(s.recordPath(slot)) }, "the record is gone", 1, 2},
		{"a record that is broken", func(t *testing.T, s *Store) { write(t, s.recordPath(slot), "x") }, "the record is broken", 1, 2},
		{"a share that a record names and that is gone", func(t *testing.T, s *Store) { os.Remove(s.slotShare(slot, 0, 2)) }, "the record names it", 1, 1},
		{"a share that no record names", func(t *testing.T, s *Store) { write(t, s.slotShare(slot, 0, 99), "x") }, "no record names it", 0, 0},
		{"a first write that was cut off", func(t *testing.T, s *Store) { write(t, s.slotShare(gone, 0, 2), "x") }, "cut off", 0, 0},
		{"a lease on nothing", func(t *testing.T, s *Store) {
			update(t, s, func(tx *bolt.Tx) error { return putLease(tx, gone, nobodysLease(), s.cfg.Now()) })
		}, "a lease was on nothing", 0, 0},
		{"a lease that makes no sense", func(t *testing.T, s *Store) {
			update(t, s, func(tx *bolt.Tx) error { return tx.Bucket(bucketLeases).Put([]byte("short"), []byte("x")) })
		}, "a lease made no sense", 0, 0},
		{"no lease", func(t *testing.T, s *Store) {
			update(t, s, func(tx *bolt.Tx) error { return dropLeases(tx, b) })
		}, "it had no lease", 0, 0},
		{"no mark", func(t *testing.T, s *Store) { os.Remove(s.markPath()) }, "not the directory that the server last used", 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := mustOpen(t, Config{Dir: t.TempDir()})
			s.cfg.Witness = s.cfg.Dir + ".witness"
			s.Close()
			s = mustOpen(t, s.cfg)
			mustPut(t, s, a, 0, "content of a")
			mustPut(t, s, b, 5, "content of b")
			first, _ := versions(t)
			if _, err := s.Slot(t.Context(), slot, first); err != nil {
				t.Fatal(err)
			}
			s.Close()
			tt.damage(t, s)
			before := tree(t, s.cfg.Dir)
			sum, faults := checked(t, s.cfg, CheckOptions{})
			if tree(t, s.cfg.Dir) != before {
				t.Error("Check without Repair changed something")
			}
			if tt.want == "" {
				if len(faults) > 0 || sum.Shares != 2 || sum.Slots != 1 || sum.SlotShares != 2 || sum.Leases != 3 {
					t.Errorf("Check: got %+v, %v", sum, faults)
				}
				return
			}
			if !strings.Contains(fmt.Sprint(faults), tt.want) || sum.Left != int64(len(faults)) || sum.Mended != 0 {
				t.Errorf("Check: got %+v, %v, want %q", sum, faults, tt.want)
			}
			sum, faults = checked(t, s.cfg, CheckOptions{Repair: true})
			if !strings.Contains(fmt.Sprint(faults), tt.want) || sum.Left != tt.left {
				t.Errorf("Repair: got %+v, %v", sum, faults)
			}
			sum, faults = checked(t, s.cfg, CheckOptions{})
			if sum.Left != tt.left || sum.Shares+sum.SlotShares != 4-tt.lost {
				t.Errorf("Check after Repair: got %+v, %v", sum, faults)
			}
			s = mustOpen(t, s.cfg)
			defer s.Close()
			if tt.lost == 0 {
				got := make([]byte, 20)
				if n, err := s.Read(t.Context(), storage.Immutable, a, 0, 0, got); err != nil || string(got[:n]) != "content of a" {
					t.Errorf("Read after Repair: got %q, %v", got[:n], err)
				}
			}
		})
	}
}

// TestRebuild: the files alone are enough, and the old index is kept.
func TestRebuild(t *testing.T) {
	s := mustOpen(t, Config{Dir: t.TempDir()})
	a, slot := caps.StorageIndex{1}, caps.StorageIndex{3}
	mustPut(t, s, a, 0, "content of a")
	first, _ := versions(t)
	if _, err := s.Slot(t.Context(), slot, first); err != nil {
		t.Fatal(err)
	}
	want, _ := s.Stats()
	s.Close()
	for range 2 {
		if sum, faults := checked(t, s.cfg, CheckOptions{Rebuild: true}); sum.Left != 0 || sum.Mended != 2 || sum.Shares != 1 || sum.Leases != 2 {
			t.Errorf("Rebuild: got %+v, %v", sum, faults)
		}
	}
	for _, name := range []string{"index.db", "index.db.2"} {
		if _, err := os.Stat(filepath.Join(s.cfg.Dir, "aside", name)); err != nil {
			t.Errorf("the old index: %v", err)
		}
	}
	s = mustOpen(t, s.cfg)
	defer s.Close()
	if got, _ := s.Stats(); got.Shares != want.Shares || got.Bytes != want.Bytes {
		t.Errorf("Stats: got %+v, want %+v", got, want)
	}
	if _, err := Check(t.Context(), s.cfg, CheckOptions{}); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("Check beside a store: got %v", err)
	}
}

// TestCheckContent: garbage in a whole file is found when it is asked for.
func TestCheckContent(t *testing.T) {
	s := mustOpen(t, Config{Dir: t.TempDir()})
	mustPut(t, s, caps.StorageIndex{1}, 0, "this was never a share")
	slot := caps.StorageIndex{3}
	first, _ := versions(t)
	if _, err := s.Slot(t.Context(), slot, first); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if sum, faults := checked(t, s.cfg, CheckOptions{}); sum.Left != 0 {
		t.Errorf("Check: got %v", faults)
	}
	if sum, faults := checked(t, s.cfg, CheckOptions{Content: true}); sum.Left != 1 || sum.SlotShares != 2 {
		t.Errorf("Check of content: got %+v, %v", sum, faults)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Check(ctx, s.cfg, CheckOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Check that was cancelled: got %v", err)
	}
	if _, err := Check(t.Context(), Config{Dir: t.TempDir()}, CheckOptions{}); err == nil {
		t.Error("Check of an empty directory: got nil")
	}
}

// TestAdvisories: reports are listed as they were given, and are not more
// than so many.
func TestAdvisories(t *testing.T) {
	s := mustOpen(t, Config{Dir: t.TempDir()})
	defer s.Close()
	si := caps.StorageIndex{1}
	for n := range storage.ShareNumber(2) {
		mustPut(t, s, si, n, "content")
	}
	const why = "line\nreason: \"x\" \x1b[2J"
	for range 2 {
		if err := s.AdviseCorrupt(t.Context(), storage.Immutable, si, 1, why); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Advisories(s.cfg.Dir)
	if err != nil || len(got) != 1 || got[0].Index != si || got[0].Share != 1 || got[0].Reason != why || got[0].Kind != "immutable" {
		t.Errorf("Advisories: got %+v, %v", got, err)
	}
	s.advised.count = maxAdvisories
	for n := range storage.ShareNumber(2) {
		if err := s.AdviseCorrupt(t.Context(), storage.Immutable, si, n, "again"); err != nil {
			t.Fatal(err)
		}
	}
	if got, err = Advisories(s.cfg.Dir); err != nil || len(got) != 1 || got[0].Reason != "again" {
		t.Errorf("Advisories when there are too many: got %+v, %v", got, err)
	}
}

func FuzzAdvisory(f *testing.F) {
	a := Advisory{Kind: "mutable", Share: 3, Reason: "why"}
	f.Add(a.Index.String()+".3", a.text())
	f.Fuzz(func(t *testing.T, name, text string) {
		if a, ok := parseAdvisory(name, text); ok {
			if b, ok := parseAdvisory(name, a.text()); !ok || a != b {
				t.Errorf("got %+v, %v, want %+v", b, ok, a)
			}
		}
	})
}
