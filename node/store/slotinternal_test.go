package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// versions makes the requests for a first version and one that follows it.
func versions(t *testing.T) (first, second storage.SlotRequest) {
	t.Helper()
	key, err := mutable.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	var ids []agree.VersionID
	var reqs []storage.SlotRequest
	for seq := uint64(1); seq <= 2; seq++ {
		v, err := mutable.Encode(key, mutable.Params{Needed: 1, Total: 2}, seq, make([]byte, 10_000))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, storage.VersionOf(v.Header))
		reqs = append(reqs, storage.SlotRequest{Enabler: &storage.WriteEnabler{1}, Lease: &storage.LeaseSecrets{}, Fetch: 1 << 20,
			Shares: map[storage.ShareNumber][]byte{0: v.Shares[0], 1: v.Shares[1]}})
	}
	reqs[0].Message = agree.Fast{New: ids[0]}
	reqs[1].Message = agree.Fast{Old: ids[0], Ballot: agree.Ballot{Fast: 1}, New: ids[1]}
	return reqs[0], reqs[1]
}

func slotNames(t *testing.T, s *Store, si caps.StorageIndex) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(s.slotDir(si))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// TestSickSlot: a step that meets a fault of the disk has not been.
func TestSickSlot(t *testing.T) {
	for _, tt := range []struct {
		name        string
		write, sync error
		want        error
	}{
		{"full at write", syscall.ENOSPC, nil, storage.ErrNoSpace},
		{"full at sync", nil, &os.PathError{Err: syscall.ENOSPC}, storage.ErrNoSpace},
		{"broken at write", syscall.EIO, nil, storage.ErrBroken},
		{"broken at sync", nil, syscall.EIO, storage.ErrBroken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Open(Config{Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			si := caps.StorageIndex{9}
			first, second := versions(t)
			healthy := s.open
			sickness := func() {
				s.open = func(path string) (file, error) {
					f, err := healthy(path)
					// Share 0 is well: half of a step must not be seen.
					if filepath.Base(path)[0] == '0' {
						return f, err
					}
					return sick{f, tt.write, tt.sync}, err
				}
			}
			try := func(req storage.SlotRequest) {
				t.Helper()
				before := slotNames(t, s, si)
				sickness()
				if _, err := s.Slot(t.Context(), si, req); !errors.Is(err, tt.want) {
					t.Errorf("Slot: got %v, want %v", err, tt.want)
				}
				patch := storage.TestWrite{Patches: []storage.Patch{{Data: []byte("x")}}}
				if _, _, err := s.ReadTestWrite(t.Context(), si, req.Enabler, req.Lease, map[storage.ShareNumber]storage.TestWrite{0: patch, 1: patch}, nil); !errors.Is(err, tt.want) {
					t.Errorf("ReadTestWrite: got %v, want %v", err, tt.want)
				}
				if after := slotNames(t, s, si); !slices.Equal(before, after) || s.pending != 0 {
					t.Errorf("the slot had %v and has %v; %d bytes are promised", before, after, s.pending)
				}
				s.open = healthy
			}
			try(first)
			a, err := s.Slot(t.Context(), si, first)
			if err != nil || !a.Done {
				t.Fatalf("Slot on a healthy disk: got %+v, %v", a, err)
			}
			try(second)
			again, err := s.Slot(t.Context(), si, storage.SlotRequest{Message: agree.Read{}, Fetch: 1 << 20})
			if err != nil || again.State != a.State || len(again.Current) != 2 {
				t.Errorf("Read: got %+v, %v, want %+v", again, err, a)
			}
			for n, sh := range again.Current {
				if string(sh.Data) != string(first.Shares[n]) {
					t.Errorf("share %d is not what was acknowledged", n)
				}
			}
		})
	}
}

// An ordered file looks that what it holds is on the disk before a record
// says so.
type ordered struct {
	file
	dirty  bool
	record func() string // what the record is now
	old    string
	t      *testing.T
}

func (f *ordered) WriteAt(p []byte, at int64) (int, error) {
	f.dirty = true
	return f.file.WriteAt(p, at)
}

func (f *ordered) Truncate(n int64) error {
	f.dirty = true
	return f.file.Truncate(n)
}

func (f *ordered) Sync() error {
	f.dirty = false
	if f.record() != f.old {
		f.t.Error("the record was replaced before a share was synced")
	}
	return f.file.Sync()
}

// TestSyncedBeforeRecord: shares are synced, and only then the record that
// names them is written.
func TestSyncedBeforeRecord(t *testing.T) {
	s, err := Open(Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	si := caps.StorageIndex{9}
	record := func() string {
		b, _ := os.ReadFile(s.recordPath(si))
		return string(b)
	}
	var files []*ordered
	healthy := s.open
	s.open = func(path string) (file, error) {
		f, err := healthy(path)
		o := &ordered{file: f, record: record, old: record(), t: t}
		files = append(files, o)
		return o, err
	}
	first, second := versions(t)
	for _, req := range []storage.SlotRequest{first, second} {
		if a, err := s.Slot(t.Context(), si, req); err != nil || !a.Done {
			t.Fatalf("Slot: got %+v, %v", a, err)
		}
	}
	patch := storage.TestWrite{Patches: []storage.Patch{{Offset: 50, Data: []byte("x")}}}
	if ok, _, err := s.ReadTestWrite(t.Context(), si, first.Enabler, first.Lease, map[storage.ShareNumber]storage.TestWrite{0: patch, 1: patch}, nil); !ok || err != nil {
		t.Fatalf("ReadTestWrite: got %v, %v", ok, err)
	}
	if len(files) != 6 {
		t.Errorf("%d files were written, want 6", len(files))
	}
	for _, f := range files {
		if f.dirty {
			t.Error("a share was not synced")
		}
	}
}

// TestUnsure: after a step of which nobody knows whether it will be on the
// disk, the slot writes its record again before it says anything.
func TestUnsure(t *testing.T) {
	s, err := Open(Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	si := caps.StorageIndex{9}
	first, _ := versions(t)
	a, err := s.Slot(t.Context(), si, first)
	if err != nil {
		t.Fatal(err)
	}
	s.unsure.Store(si, true)
	before, err := s.readRecord(si)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Slot(t.Context(), si, storage.SlotRequest{Message: agree.Read{}})
	if err != nil || again.State != a.State {
		t.Errorf("Read: got %+v, %v", again, err)
	}
	after, err := s.readRecord(si)
	if err != nil || after.Step <= before.Step {
		t.Errorf("the record was not written again: step %d, then %d, %v", before.Step, after.Step, err)
	}
}

// TestCutOff: what a step left that a crash cut off is removed, and is no
// slot if it was the first.
func TestCutOff(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	si, new := caps.StorageIndex{9}, caps.StorageIndex{10}
	first, second := versions(t)
	if _, err := s.Slot(t.Context(), si, first); err != nil {
		t.Fatal(err)
	}
	for _, left := range []string{s.slotShare(si, 0, 4), s.slotShare(si, 1, 3), filepath.Join(s.slotDir(si), ".record.tmp-1"), s.slotShare(new, 0, 2), s.slotShare(new, 5, 1)} {
		os.MkdirAll(filepath.Dir(left), 0o700)
		if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Without a clean end.
	s.index.db.Close()
	if s, err = Open(Config{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.recount(t.Context())
	if got := slotNames(t, s, si); !slices.Equal(got, []string{"0.2", "1.2", "record"}) {
		t.Errorf("the slot has %v", got)
	}
	if got := slotNames(t, s, new); len(got) > 0 {
		t.Errorf("the new slot has %v", got)
	}
	for _, si := range []caps.StorageIndex{si, new} {
		if _, err := s.Slot(t.Context(), si, storage.SlotRequest{Message: agree.Read{}}); err != nil {
			t.Errorf("Read: %v", err)
		}
	}
	if a, err := s.Slot(t.Context(), si, second); err != nil || !a.Done {
		t.Errorf("Slot: got %+v, %v", a, err)
	}
}

func FuzzMark(f *testing.F) {
	m := &mark{[20]byte{1}, [16]byte{2}, 3}
	f.Add(m.marshal()[:56])
	f.Fuzz(func(t *testing.T, b []byte) {
		parseMark(b)
		m, err := parseMark(summed(b))
		if err != nil {
			return
		}
		if got := m.marshal(); string(got) != string(summed(b)) {
			t.Fatalf("got %x, want %x", got, summed(b))
		}
	})
}

// summed puts the right sum behind b.
func summed(b []byte) []byte {
	sum := sha256.Sum256(b)
	return append(slices.Clone(b), sum[:]...)
}

// TestOnlyNumbers: a Read brings the bytes of the shares that it names and
// the lengths of all.
func TestOnlyNumbers(t *testing.T) {
	s, err := Open(Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	si := caps.StorageIndex{9}
	first, second := versions(t)
	for _, req := range []storage.SlotRequest{first, second} {
		if a, err := s.Slot(t.Context(), si, req); err != nil || !a.Done {
			t.Fatal(a.Done, err)
		}
	}
	all, err := s.Slot(t.Context(), si, storage.SlotRequest{Message: agree.Read{}, Fetch: 1 << 20})
	if err != nil || len(all.Current) < 2 {
		t.Fatalf("Read: %d shares, %v", len(all.Current), err)
	}
	one, err := s.Slot(t.Context(), si, storage.SlotRequest{Message: agree.Read{}, Fetch: 1 << 20, Numbers: []storage.ShareNumber{1}})
	if err != nil || one.State != all.State {
		t.Fatalf("Read of share 1: %+v, %v", one.State, err)
	}
	for _, set := range []struct {
		all, one map[storage.ShareNumber]storage.SlotShare
	}{{all.Current, one.Current}, {all.Base, one.Base}} {
		for n, sh := range set.all {
			got, ok := set.one[n]
			if !ok || got.Size != sh.Size || n == 1 && !bytes.Equal(got.Data, sh.Data) || n != 1 && len(got.Data) > 0 {
				t.Errorf("share %d: %d of %d bytes", n, len(got.Data), sh.Size)
			}
		}
	}
}
