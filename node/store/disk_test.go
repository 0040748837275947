package store_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lafs/node/store"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

var (
	si     = caps.StorageIndex{7, 1}
	secret = storage.NewUploadSecret([]byte("an upload secret that stays off the disk"))
	lease  = &storage.LeaseSecrets{Renew: [32]byte([]byte("a renew secret, 32 bytes of text")), Cancel: [32]byte([]byte("a cancel secret, 32 bytes, text."))}
)

// indexes lists the buckets that have a directory.
func indexes(t *testing.T, dir string) (out []caps.StorageIndex) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "shares", "??", "*"))
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

func put(t *testing.T, s *store.Store, n storage.ShareNumber, data string) {
	t.Helper()
	ctx := context.Background()
	if _, err := s.Allocate(ctx, si, []storage.ShareNumber{n}, int64(len(data)), secret, lease); err != nil {
		t.Fatal(err)
	}
	if missing, err := s.Write(ctx, si, n, secret, 0, []byte(data)); err != nil || len(missing) > 0 {
		t.Fatalf("Write: %v, %v", missing, err)
	}
}

func holds(t *testing.T, s *store.Store, n storage.ShareNumber, want string) {
	t.Helper()
	p := make([]byte, len(want)+1)
	got, err := s.Read(context.Background(), storage.Immutable, si, n, 0, p)
	if err != nil || string(p[:got]) != want {
		t.Errorf("Read of share %d: got %q, %v, want %q", n, p[:got], err, want)
	}
}

func sharePath(dir, n string) string {
	name := si.String()
	return filepath.Join(dir, "shares", name[:2], name, n)
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	put(t, s, 3, "share three")
	s.Allocate(context.Background(), si, []storage.ShareNumber{4}, 10, secret, lease)
	s.Write(context.Background(), si, 4, secret, 0, []byte("half"))
	if st, err := s.Stats(); err != nil || st.Shares != 1 || st.Bytes != 11 || st.Uploads != 1 {
		t.Errorf("Stats: got %+v, %v", st, err)
	}
	s.Close()
	s = open(t, store.Config{Dir: dir})
	holds(t, s, 3, "share three")
	if st, err := s.Stats(); err != nil || st.Shares != 1 || st.Bytes != 11 || st.Uploads != 1 {
		t.Errorf("Stats after opening again: got %+v, %v", st, err)
	}
	if missing, err := s.Write(context.Background(), si, 4, secret, 4, []byte("..half")); err != nil || len(missing) > 0 {
		t.Errorf("Write after opening again: got %v, %v", missing, err)
	}
	holds(t, s, 4, "half..half")
	if left, _ := os.ReadDir(filepath.Join(dir, "incoming")); len(left) > 0 {
		t.Errorf("incoming holds %d files after opening again", len(left))
	}
}

func TestOneProcess(t *testing.T) {
	dir := t.TempDir()
	open(t, store.Config{Dir: dir})
	if _, err := store.Open(store.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another lafs process") {
		t.Errorf("Open twice: got %v", err)
	}
}

// TestBrokenIndex damages index.db in many ways: shares stay.
func TestBrokenIndex(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func(t *testing.T, path string)
	}{
		{"missing", func(t *testing.T, path string) { os.Remove(path) }},
		{"empty", func(t *testing.T, path string) { os.Truncate(path, 0) }},
		{"garbage", func(t *testing.T, path string) { os.WriteFile(path, bytes.Repeat([]byte("x"), 1<<16), 0o600) }},
		{"short garbage", func(t *testing.T, path string) { os.WriteFile(path, []byte("x"), 0o600) }},
		{"cut", func(t *testing.T, path string) { os.Truncate(path, 12288) }},
		{"pages of garbage", func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i := 8192; i < len(b); i++ {
				b[i] = 0xa5
			}
			os.WriteFile(path, b, 0o600)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, store.Config{Dir: dir})
			put(t, s, 0, "zero")
			put(t, s, 255, "the last")
			s.Close()
			tt.damage(t, filepath.Join(dir, "index.db"))
			s = open(t, store.Config{Dir: dir})
			holds(t, s, 0, "zero")
			holds(t, s, 255, "the last")
			if st, err := s.Stats(); err != nil || st.Shares != 2 || st.Bytes != 12 {
				t.Errorf("Stats: got %+v, %v", st, err)
			}
		})
	}
}

// TestDamagedShare: a share whose file is not whole is not held, and may be
// uploaded again.
func TestDamagedShare(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func([]byte) []byte
	}{
		{"a flipped header", func(b []byte) []byte { b[33] ^= 1; return b }},
		{"a flipped sum", func(b []byte) []byte { b[127] ^= 1; return b }},
		{"cut", func(b []byte) []byte { return b[:len(b)-1] }},
		{"a byte more", func(b []byte) []byte { return append(b, 'x') }},
		{"empty", func(b []byte) []byte { return nil }},
		{"the header alone", func(b []byte) []byte { return b[:128] }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, store.Config{Dir: dir})
			put(t, s, 0, "content")
			b, err := os.ReadFile(sharePath(dir, "0"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(sharePath(dir, "0"), tt.damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Shares(t.Context(), storage.Immutable, si); err != nil || len(got) > 0 {
				t.Errorf("Shares: got %v, %v", got, err)
			}
			if _, err := s.Read(t.Context(), storage.Immutable, si, 0, 0, make([]byte, 9)); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("Read: got %v", err)
			}
			put(t, s, 0, "again")
			holds(t, s, 0, "again")
		})
	}
}

// TestNewer: files of a later version are neither read nor replaced.
func TestNewer(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	put(t, s, 0, "content")
	s.Close()
	b, err := os.ReadFile(sharePath(dir, "0"))
	if err != nil {
		t.Fatal(err)
	}
	b[11]++
	if err := os.WriteFile(sharePath(dir, "0"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, store.Config{Dir: dir})
	a, err := s.Allocate(t.Context(), si, []storage.ShareNumber{0}, 5, secret, lease)
	if err != nil || len(a.Allocated)+len(a.AlreadyHave) > 0 {
		t.Errorf("Allocate over a newer share: got %+v, %v", a, err)
	}
	s.Close()
	os.Remove(filepath.Join(dir, "index.db"))
	if _, err := store.Open(store.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "newer lafs") {
		t.Errorf("Open: got %v", err)
	}
}

// TestReservedSpace: many who allocate at once get no more than there is.
func TestReservedSpace(t *testing.T) {
	const size = 1 << 20
	probe := open(t, store.Config{})
	st, err := probe.Stats()
	if err != nil {
		t.Fatal(err)
	}
	// About 32 MiB are left; others use the disk too, so the test only
	// looks that far fewer than all get space, and that some do.
	s := open(t, store.Config{ReservedSpace: st.Available - 32*size})
	var mu sync.Mutex
	got := 0
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			var numbers []storage.ShareNumber
			for i := range 16 {
				numbers = append(numbers, storage.ShareNumber(16*n+i))
			}
			a, err := s.Allocate(t.Context(), si, numbers, size, secret, lease)
			mu.Lock()
			defer mu.Unlock()
			got += len(a.Allocated)
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	some := got
	var all []storage.ShareNumber
	for n := range 256 {
		all = append(all, storage.ShareNumber(n))
	}
	a, err := s.Allocate(t.Context(), caps.StorageIndex{8}, all, size, secret, lease)
	if err != nil {
		t.Error(err)
	}
	// In one request, of another bucket.
	got += len(a.Allocated)
	if got >= 100 {
		t.Errorf("%d of 256 MiB were allocated, about 32 are there", got)
	}
	if some == 0 {
		t.Error("nothing was allocated")
	}
	one := open(t, store.Config{ReservedSpace: st.Available - 32*size})
	if a, err := one.Allocate(t.Context(), si, all, size, secret, lease); err != nil || len(a.Allocated) >= 100 {
		t.Errorf("in one request %d of 256 MiB were allocated, %v", len(a.Allocated), err)
	}
	st, err = s.Stats()
	if err != nil || st.Uploads != got {
		t.Errorf("Stats: got %+v, %v, want %d uploads", st, err, got)
	}
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	put(t, s, 0, "old")
	s.Close()
	s = open(t, store.Config{Dir: dir, ReadOnly: true})
	a, err := s.Allocate(t.Context(), si, []storage.ShareNumber{0, 1}, 3, secret, lease)
	if err != nil || len(a.Allocated) > 0 || len(a.AlreadyHave) != 1 {
		t.Errorf("Allocate: got %+v, %v", a, err)
	}
	if v, err := s.Version(t.Context()); err != nil || v.AvailableSpace != 0 {
		t.Errorf("Version: got %+v, %v", v, err)
	}
	if err := s.AddLease(t.Context(), si, lease); err != nil {
		t.Errorf("AddLease: %v", err)
	}
	holds(t, s, 0, "old")
}

// TestSeizer looks at what the disk gives away.
func TestSeizer(t *testing.T) {
	dir := t.TempDir()
	c := newClock()
	s := open(t, store.Config{Dir: dir, Now: c.Now})
	put(t, s, 0, "content")
	if err := s.AdviseCorrupt(t.Context(), storage.Immutable, si, 0, "reason"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	midnight := c.Now().Truncate(24 * time.Hour)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
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
		if !d.Type().IsRegular() {
			return nil
		}
		if d.Name() != "index.db" && !info.ModTime().Equal(midnight) {
			t.Errorf("%s has time %v, want %v", d.Name(), info.ModTime(), midnight)
		}
		b, err := os.ReadFile(path)
		for _, s := range [][]byte{secret.Bytes(), lease.Renew[:], lease.Cancel[:]} {
			if bytes.Contains(b, s) {
				t.Errorf("%s holds a secret", d.Name())
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
