package store_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lafs/node/store"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

var enabler = &storage.WriteEnabler{'e', 'n', 'a', 'b', 'l', 'e', 'r', ' ', 'o', 'f', ' ', 't', 'h', 'e', ' ', 's', 'l', 'o', 't'}

// slotDirs lists the slots that have a directory.
func slotDirs(t *testing.T, dir string) (out []caps.StorageIndex) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "slots", "??", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		si, err := caps.ParseStorageIndex(filepath.Base(p))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, si)
	}
	return out
}

func slotPath(dir, name string) string {
	return filepath.Join(dir, "slots", si.String()[:2], si.String(), name)
}

// An object is a slot's versions, of two shares.
type object struct {
	*testing.T
	key *mutable.Key
}

func newObject(t *testing.T) *object {
	t.Helper()
	key, err := mutable.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return &object{t, key}
}

func (o *object) request(seq uint64, text string) (storage.SlotRequest, agree.VersionID) {
	o.Helper()
	v, err := mutable.Encode(o.key, mutable.Params{Needed: 1, Total: 2}, seq, []byte(text))
	if err != nil {
		o.Fatal(err)
	}
	return storage.SlotRequest{Enabler: enabler, Lease: lease, Fetch: 1 << 20,
		Shares: map[storage.ShareNumber][]byte{0: v.Shares[0], 1: v.Shares[1]}}, storage.VersionOf(v.Header)
}

// write votes for two versions, the second on the first.
func (o *object) write(s *store.Store) agree.State {
	o.Helper()
	req, v := o.request(1, "one")
	req.Message = agree.Fast{New: v}
	if a, err := s.Slot(o.Context(), si, req); err != nil || !a.Done {
		o.Fatalf("Slot: got %+v, %v", a, err)
	}
	req, w := o.request(2, "two")
	req.Message = agree.Fast{Old: v, Ballot: agree.Ballot{Fast: 1}, New: w}
	a, err := s.Slot(o.Context(), si, req)
	if err != nil || !a.Done {
		o.Fatalf("Slot: got %+v, %v", a, err)
	}
	return a.State
}

func read(s *store.Store) (storage.SlotAnswer, error) {
	return s.Slot(context.Background(), si, storage.SlotRequest{Message: agree.Read{}, Fetch: 1 << 20})
}

func TestSlotReopen(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func(dir string)
	}{
		{"in order", func(string) {}},
		{"the index is gone", func(dir string) { os.Remove(filepath.Join(dir, "index.db")) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, store.Config{Dir: dir})
			want := newObject(t).write(s)
			before, err := s.Stats()
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			tt.damage(dir)
			s = open(t, store.Config{Dir: dir})
			a, err := read(s)
			if err != nil || a.State != want || len(a.Current) != 2 || len(a.Base) != 2 {
				t.Errorf("Read: got %+v, %v, want %+v", a, err, want)
			}
			if st, err := s.Stats(); err != nil || st.Shares != 2 || st.Bytes != before.Bytes || st.Bytes == 0 {
				t.Errorf("Stats: got %+v, %v, want %+v", st, err, before)
			}
		})
	}
}

// TestStateLost: a slot, or a store, without its record takes no part in
// updates, and its shares are still served.
func TestStateLost(t *testing.T) {
	for _, tt := range []struct {
		name   string
		lost   bool // the whole store
		reads  bool // the shares can still be read
		damage func(t *testing.T, dir, backup string)
	}{
		{"nothing", false, true, func(*testing.T, string, string) {}},
		{"no record", false, true, func(t *testing.T, dir, _ string) { os.Remove(slotPath(dir, "record")) }},
		{"no record and no index", false, true, func(t *testing.T, dir, _ string) {
			os.Remove(slotPath(dir, "record"))
			os.Remove(filepath.Join(dir, "index.db"))
		}},
		{"no slot", false, false, func(t *testing.T, dir, _ string) { os.RemoveAll(filepath.Join(dir, "slots")) }},
		{"a flipped bit", false, true, func(t *testing.T, dir, _ string) {
			b, err := os.ReadFile(slotPath(dir, "record"))
			if err != nil {
				t.Fatal(err)
			}
			b[90] ^= 1
			os.WriteFile(slotPath(dir, "record"), b, 0o600)
		}},
		{"an empty record", false, true, func(t *testing.T, dir, _ string) { os.Truncate(slotPath(dir, "record"), 0) }},
		{"no mark", true, true, func(t *testing.T, dir, _ string) { os.Remove(filepath.Join(dir, "mark")) }},
		{"a broken mark", true, true, func(t *testing.T, dir, _ string) { os.Truncate(filepath.Join(dir, "mark"), 20) }},
		{"an empty directory", true, false, func(t *testing.T, dir, _ string) { os.RemoveAll(dir) }},
		{"an older copy", true, false, func(t *testing.T, dir, backup string) {
			os.RemoveAll(dir)
			if err := os.Rename(backup, dir); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, backup := filepath.Join(t.TempDir(), "storage"), filepath.Join(t.TempDir(), "backup")
			cfg := store.Config{Dir: dir, Witness: filepath.Join(t.TempDir(), "witness"), TubID: [20]byte{1}}
			s := open(t, cfg)
			if err := os.CopyFS(backup, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			o := newObject(t)
			o.write(s)
			s.Close()
			tt.damage(t, dir, backup)

			s = open(t, cfg)
			var want error
			if tt.name != "nothing" {
				want = storage.ErrStateLost
			}
			for range 2 {
				if a, err := read(s); !errors.Is(err, want) {
					t.Errorf("Read: got %+v, %v, want %v", a.State, err, want)
				}
			}
			if _, _, err := s.ReadTestWrite(t.Context(), si, enabler, lease, nil, nil); !errors.Is(err, want) {
				t.Errorf("ReadTestWrite: got %v, want %v", err, want)
			}
			if got, err := s.Shares(t.Context(), storage.Mutable, si); err != nil && tt.reads || (len(got) == 2) != tt.reads {
				t.Errorf("Shares: got %v, %v", got, err)
			}
			if st, err := s.Stats(); err != nil || st.StateLost != tt.lost {
				t.Errorf("Stats: got %+v, %v", st, err)
			}
			other := caps.StorageIndex{8}
			if _, err := s.Slot(t.Context(), other, storage.SlotRequest{Message: agree.Read{}}); (err != nil) != tt.lost {
				t.Errorf("Read of another slot: got %v", err)
			}
			s.Close()

			// It does not go away by itself, and it does with a new name.
			s = open(t, cfg)
			if _, err := read(s); !errors.Is(err, want) {
				t.Errorf("Read after opening again: got %v, want %v", err, want)
			}
			s.Close()
			cfg.TubID = [20]byte{2}
			s = open(t, cfg)
			req, v := o.request(1, "one")
			req.Message = agree.Fast{New: v}
			if a, err := s.Slot(t.Context(), other, req); err != nil || !a.Done {
				t.Errorf("Slot under a new identity: got %+v, %v", a, err)
			}
			if a, err := read(s); tt.reads && !errors.Is(err, storage.ErrStateLost) {
				t.Errorf("Read of a slot of the old identity: got %+v, %v", a, err)
			}
		})
	}
}

// TestBrokenSlotShare: a share that is damaged is not held, and the votes
// stand; the same version brings it again.
func TestBrokenSlotShare(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	o := newObject(t)
	req, v := o.request(1, "one")
	req.Message = agree.Fast{New: v}
	first, err := s.Slot(t.Context(), si, req)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(slotPath(dir, "0.2"), 150); err != nil {
		t.Fatal(err)
	}
	a, err := read(s)
	if err != nil || a.State != first.State || len(a.Current) != 1 {
		t.Errorf("Read: got %+v, %v", a, err)
	}
	if got, err := s.Shares(t.Context(), storage.Mutable, si); err != nil || len(got) != 1 {
		t.Errorf("Shares: got %v, %v", got, err)
	}
	if _, err := s.Read(t.Context(), storage.Mutable, si, 0, 0, make([]byte, 9)); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Read of the share: got %v", err)
	}
	a, err = s.Slot(t.Context(), si, req)
	if err != nil || !a.Done || len(a.Current) != 2 || a.State != first.State {
		t.Errorf("Slot again: got %+v, %v", a, err)
	}
}

// TestSlotFiles: a slot has its record and the shares it needs, and nothing
// else.
func TestSlotFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	st := newObject(t).write(s)
	files := func(want string) {
		t.Helper()
		entries, err := os.ReadDir(slotPath(dir, ""))
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if got := strings.Join(names, " "); err != nil || got != want {
			t.Errorf("the slot has %s, %v, want %s", got, err, want)
		}
	}
	files("0.2 0.4 1.2 1.4 record")
	req := storage.SlotRequest{Message: agree.Learn{Version: st.Current, Ballot: st.Accepted}, Enabler: enabler}
	if _, err := s.Slot(t.Context(), si, req); err != nil {
		t.Fatal(err)
	}
	files("0.4 1.4 record")
	before, _ := os.Stat(slotPath(dir, "record"))
	s.Slot(t.Context(), si, req)
	if after, _ := os.Stat(slotPath(dir, "record")); !os.SameFile(before, after) {
		t.Error("a repeat wrote the record again")
	}
}

func TestSlotReadOnly(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	o := newObject(t)
	st := o.write(s)
	s.Close()
	s = open(t, store.Config{Dir: dir, ReadOnly: true})
	req, v := o.request(3, "three")
	req.Message = agree.Fast{Old: st.Current, Ballot: st.Accepted, New: v}
	if a, err := s.Slot(t.Context(), si, req); err != nil || !a.Done {
		t.Errorf("a new version: got %+v, %v", a, err)
	}
	for _, m := range []agree.Message{agree.Fast{New: v}, agree.Prepare{Ballot: agree.Ballot{N: 1}}} {
		req.Message = m
		if _, err := s.Slot(t.Context(), caps.StorageIndex{8}, req); !errors.Is(err, storage.ErrNoSpace) {
			t.Errorf("%T of a new slot: got %v", m, err)
		}
	}
	_, _, err := s.ReadTestWrite(t.Context(), caps.StorageIndex{8}, enabler, lease,
		map[storage.ShareNumber]storage.TestWrite{0: {Patches: []storage.Patch{{Data: []byte("x")}}}}, nil)
	if !errors.Is(err, storage.ErrNoSpace) {
		t.Errorf("ReadTestWrite of a new slot: got %v", err)
	}
}

// TestSlotNoSpace: where nothing fits, slots stay as they are.
func TestSlotNoSpace(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	o := newObject(t)
	st := o.write(s)
	s.Close()
	s = open(t, store.Config{Dir: dir, ReservedSpace: 1 << 60})
	req, v := o.request(3, "three")
	req.Message = agree.Fast{Old: st.Current, Ballot: st.Accepted, New: v}
	if a, err := s.Slot(t.Context(), si, req); !errors.Is(err, storage.ErrNoSpace) {
		t.Errorf("a new version: got %+v, %v", a, err)
	}
	if a, err := read(s); err != nil || a.State != st || len(a.Current) != 2 {
		t.Errorf("Read: got %+v, %v", a, err)
	}
	// What needs no shares still goes.
	if a, err := s.Slot(t.Context(), si, storage.SlotRequest{Message: agree.Prepare{Ballot: agree.Ballot{N: 9}}, Enabler: enabler}); err != nil || !a.Done {
		t.Errorf("Prepare: got %+v, %v", a, err)
	}
}

// TestSlotSeizer looks at what the disk gives away of slots.
func TestSlotSeizer(t *testing.T) {
	dir := t.TempDir()
	c := newClock()
	s := open(t, store.Config{Dir: dir, Now: c.Now, Witness: filepath.Join(dir, "witness")})
	newObject(t).write(s)
	_, _, err := s.ReadTestWrite(t.Context(), caps.StorageIndex{8}, enabler, lease,
		map[storage.ShareNumber]storage.TestWrite{0: {Patches: []storage.Patch{{Data: []byte("x")}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	midnight := c.Now().Truncate(24 * time.Hour)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if path != dir && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", d.Name(), info.Mode())
		}
		inSlots := strings.Contains(path, "slots")
		if d.Name() != "index.db" && !info.ModTime().Equal(midnight) && (d.Type().IsRegular() || inSlots) {
			t.Errorf("%s has time %v, want %v", d.Name(), info.ModTime(), midnight)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		for _, secret := range [][]byte{enabler[:], lease.Renew[:], lease.Cancel[:]} {
			if bytes.Contains(b, secret) {
				t.Errorf("%s holds a secret", d.Name())
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
