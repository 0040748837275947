package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// An uploader has half of an upload.
type uploader struct {
	si     caps.StorageIndex
	secret *storage.UploadSecret
	data   []byte
}

func newUploader(size int) *uploader {
	u := &uploader{si: caps.StorageIndex{7}, secret: storage.GenerateUploadSecret(), data: make([]byte, size)}
	for i := range u.data {
		u.data[i] = byte(i * 7 >> 3)
	}
	return u
}

func (u *uploader) allocate(t *testing.T, s *Store) storage.Allocation {
	t.Helper()
	a, err := s.Allocate(t.Context(), u.si, []storage.ShareNumber{3}, int64(len(u.data)), u.secret, &storage.LeaseSecrets{})
	if err != nil || len(a.Allocated) != 1 {
		t.Fatalf("Allocate: got %+v, %v", a, err)
	}
	return a
}

func (u *uploader) write(t *testing.T, s *Store, begin, end int) []storage.Range {
	t.Helper()
	missing, err := s.Write(t.Context(), u.si, 3, u.secret, int64(begin), u.data[begin:end])
	if err != nil {
		t.Fatalf("Write: %v", err)
	}
	return missing
}

// end sends what is missing, and compares the share.
func (u *uploader) end(t *testing.T, s *Store, missing []storage.Range) {
	t.Helper()
	for _, r := range missing {
		u.write(t, s, int(r.Begin), int(r.End))
	}
	got := make([]byte, len(u.data)+1)
	n, err := s.Read(t.Context(), storage.Immutable, u.si, 3, 0, got)
	if err != nil || !bytes.Equal(got[:n], u.data) {
		t.Errorf("Read: got %d bytes, %v", n, err)
	}
	left, err := os.ReadDir(s.incomingDir())
	if err != nil || len(left) > 0 {
		t.Errorf("incoming holds %v, %v", left, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending != 0 || s.account(Own).Reserved != 0 || s.account(Own).uploads != 0 {
		t.Errorf("%d bytes are pending, %+v", s.pending, s.account(Own))
	}
}

// lose makes the disk of an upload what a loss of power leaves: zeros
// where nothing was synced.
func (u *uploader) lose(t *testing.T, s *Store, from, to int) {
	t.Helper()
	f, err := os.OpenFile(s.incoming(uploadKey{u.si, 3}), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, to-from), ondisk.HeaderSize+int64(from)); err != nil {
		t.Fatal(err)
	}
}

func TestUploadsGoOn(t *testing.T) {
	const size = 100_000
	all := []storage.Range{{Begin: 0, End: size}}
	some := []storage.Range{{Begin: 0, End: 20_000}, {Begin: 40_000, End: 70_000}, {Begin: 90_000, End: size}}
	again := func(t *testing.T, s *Store) *Store {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = mustOpen(t, s.cfg)
		t.Cleanup(func() { s.Close() })
		return s
	}
	other := func() string { return "an earlier run of the machine" }
	for _, tt := range []struct {
		name string
		stop func(t *testing.T, s *Store, u *uploader) *Store
		want []storage.Range
	}{
		{"a clean restart", func(t *testing.T, s *Store, u *uploader) *Store { return again(t, s) }, some},
		{"kill -9", func(t *testing.T, s *Store, u *uploader) *Store { return crash(t, s) }, some},
		{"twice", func(t *testing.T, s *Store, u *uploader) *Store { return crash(t, again(t, s)) }, some},
		{"power lost", func(t *testing.T, s *Store, u *uploader) *Store {
			u.lose(t, s, 0, len(u.data))
			return crash(t, s)
		}, all},
		{"power lost after a clean stop", func(t *testing.T, s *Store, u *uploader) *Store {
			return again(t, s)
		}, some},
		{"power lost after a sync", func(t *testing.T, s *Store, u *uploader) *Store {
			s = again(t, s)
			s.boot = other
			s.uploads[uploadKey{u.si, 3}].written = [32]byte{}
			u.write(t, s, 0, 20_000)
			u.lose(t, s, 0, 20_000)
			return crash(t, s)
		}, some},
		{"a copy of the file", func(t *testing.T, s *Store, u *uploader) *Store {
			path := s.incoming(uploadKey{u.si, 3})
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			os.Rename(path, filepath.Join(t.TempDir(), "keeps its inode"))
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			return crash(t, s)
		}, all},
		{"a file cut short", func(t *testing.T, s *Store, u *uploader) *Store {
			os.Truncate(s.incoming(uploadKey{u.si, 3}), 10_000)
			return crash(t, s)
		}, all},
		{"the bytes lost", func(t *testing.T, s *Store, u *uploader) *Store {
			os.Remove(s.incoming(uploadKey{u.si, 3}))
			return crash(t, s)
		}, all},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, u := mustOpen(t, Config{Dir: t.TempDir()}), newUploader(size)
			u.allocate(t, s)
			if strings.HasPrefix(tt.name, "power lost") {
				s.boot = other
			}
			u.write(t, s, 20_000, 40_000)
			u.write(t, s, 70_000, 90_000)
			s = tt.stop(t, s, u)
			if st, err := s.Stats(); err != nil || st.Uploads != 1 {
				t.Errorf("Stats: got %+v, %v", st, err)
			}
			if got, err := s.Shares(t.Context(), storage.Immutable, u.si); err != nil || len(got) > 0 {
				t.Errorf("Shares: got %v, %v", got, err)
			}
			stranger := storage.GenerateUploadSecret()
			if _, err := s.Write(t.Context(), u.si, 3, stranger, 0, u.data[:1]); !errors.Is(err, storage.ErrUnauthorized) {
				t.Errorf("Write with another secret: got %v", err)
			}
			a := u.allocate(t, s)
			missing := a.Missing[3]
			if missing == nil {
				missing = all
			}
			if !reflect.DeepEqual(missing, tt.want) {
				t.Errorf("missing: got %v, want %v", missing, tt.want)
			}
			u.end(t, s, missing)
		})
	}
}

// TestUploadsEnd: what is over is not taken up.
func TestUploadsEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		stop func(t *testing.T, s *Store, u *uploader, now *time.Time)
	}{
		{"30 minutes", func(t *testing.T, s *Store, u *uploader, now *time.Time) { *now = now.Add(uploadTimeout + time.Minute) }},
		{"a broken note", func(t *testing.T, s *Store, u *uploader, _ *time.Time) {
			os.WriteFile(s.notePath(uploadKey{u.si, 3}), make([]byte, 700), 0o600)
		}},
		{"a note of another", func(t *testing.T, s *Store, u *uploader, _ *time.Time) {
			os.Rename(s.notePath(uploadKey{u.si, 3}), s.notePath(uploadKey{u.si, 4}))
		}},
		{"no note", func(t *testing.T, s *Store, u *uploader, _ *time.Time) { os.Remove(s.notePath(uploadKey{u.si, 3})) }},
		{"whole", func(t *testing.T, s *Store, u *uploader, _ *time.Time) {
			// As a crash leaves it between the name and the end of the note.
			note, err := os.ReadFile(s.notePath(uploadKey{u.si, 3}))
			if err != nil {
				t.Fatal(err)
			}
			u.write(t, s, 0, len(u.data))
			os.WriteFile(s.notePath(uploadKey{u.si, 3}), note, 0o600)
			os.Link(s.sharePath(u.si, 3), s.incoming(uploadKey{u.si, 3}))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Date(2026, 3, 4, 13, 14, 15, 0, time.UTC)
			s, u := mustOpen(t, Config{Dir: t.TempDir(), Now: func() time.Time { return now }}), newUploader(100_000)
			u.allocate(t, s)
			u.write(t, s, 20_000, 40_000)
			tt.stop(t, s, u, &now)
			s = crash(t, s)
			if st, err := s.Stats(); err != nil || st.Uploads != 0 {
				t.Errorf("Stats: got %+v, %v", st, err)
			}
			if left, err := os.ReadDir(s.incomingDir()); err != nil || len(left) > 0 {
				t.Errorf("incoming holds %v, %v", left, err)
			}
		})
	}
}

// TestUploadsKeepTheirTime: a restart gives no upload more time, and a clock
// that was set back not more than 30 minutes.
func TestUploadsKeepTheirTime(t *testing.T) {
	now := time.Date(2026, 3, 4, 13, 14, 15, 0, time.UTC)
	s, u := mustOpen(t, Config{Dir: t.TempDir(), Now: func() time.Time { return now }}), newUploader(100_000)
	u.allocate(t, s)
	u.write(t, s, 0, 10)
	now = now.Add(uploadTimeout - time.Minute)
	s = crash(t, s)
	if st, _ := s.Stats(); st.Uploads != 1 {
		t.Error("the upload ended before its time")
	}
	now = now.Add(2 * time.Minute)
	if _, err := s.Write(t.Context(), u.si, 3, u.secret, 0, u.data); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Write after 30 minutes: got %v", err)
	}
	u.allocate(t, s)
	now = now.Add(-24 * time.Hour)
	s = crash(t, s)
	now = now.Add(uploadTimeout + time.Minute)
	s.sweep()
	if st, _ := s.Stats(); st.Uploads != 0 {
		t.Error("the upload goes on for longer, since the clock was set back")
	}
}

// TestSmallUploads: of what comes in one request, no note is written.
func TestSmallUploads(t *testing.T) {
	s := mustOpen(t, Config{Dir: t.TempDir()})
	defer s.Close()
	noted := 0
	healthy := s.open
	s.open = func(path string) (file, error) {
		if filepath.Ext(path) == noteSuffix {
			noted++
		}
		return healthy(path)
	}
	u := newUploader(1000)
	u.allocate(t, s)
	u.write(t, s, 0, len(u.data))
	if noted > 0 {
		t.Errorf("%d notes were written", noted)
	}
	u.end(t, s, nil)
}

// TestLargeUploads are synced now and then.
func TestLargeUploads(t *testing.T) {
	s, u := mustOpen(t, Config{Dir: t.TempDir()}), newUploader(syncEvery+2<<20)
	u.allocate(t, s)
	for at := 0; at <= syncEvery; at += 1 << 20 {
		u.write(t, s, at, at+1<<20)
	}
	b, err := os.ReadFile(s.notePath(uploadKey{u.si, 3}))
	if err != nil {
		t.Fatal(err)
	}
	n, err := parseNote(b)
	if err != nil || n.synced.have.total() != syncEvery || n.written.have.total() != syncEvery+1<<20 {
		t.Errorf("the note has %v synced, %v written, %v", n.synced.have, n.written.have, err)
	}
	s.Close()
}

func aNote() []byte {
	n := note{key: uploadKey{caps.StorageIndex{1}, 255}, size: 1000, secret: [32]byte{2}, lease: ondisk.Lease{Renew: [32]byte{3}, Cancel: [32]byte{4}}, who: 5}
	b := make([]byte, noteWritten+maxArea)
	copy(b, n.head())
	for at, r := range map[int]noteRanges{
		noteSynced:  {time.Unix(120, 0), [32]byte{6}, ranges{{Begin: 0, End: 9}}},
		noteWritten: {time.Unix(180, 0), [32]byte{7}, ranges{{Begin: 0, End: 9}, {Begin: 10, End: 1000}}},
	} {
		copy(b[at:], r.marshal())
	}
	return b
}

// TestNote: a byte that changed takes no more away than its list.
func TestNote(t *testing.T) {
	good := aNote()
	want, err := parseNote(good)
	if err != nil || want.who != 5 || len(want.synced.have) != 1 || len(want.written.have) != 2 {
		t.Fatalf("parseNote: got %+v, %v", want, err)
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 0x10
		got, err := parseNote(b)
		switch {
		case i < noteHead+32:
			if err == nil {
				t.Errorf("byte %d of the head changed: %+v", i, got)
			}
		case err != nil:
			t.Errorf("byte %d changed: %v", i, err)
		case i < noteWritten && !reflect.DeepEqual(got.written, want.written), i >= noteWritten && !reflect.DeepEqual(got.synced, want.synced):
			t.Errorf("byte %d changed the other list", i)
		case len(got.synced.have) > 0 && !reflect.DeepEqual(got.synced, want.synced), len(got.written.have) > 0 && !reflect.DeepEqual(got.written, want.written):
			t.Errorf("byte %d changed what a list says", i)
		}
		if _, err := parseNote(good[:i]); err == nil && i < noteHead+32 {
			t.Errorf("a note of %d bytes was taken", i)
		}
	}
	newer := bytes.Clone(good)
	binary.BigEndian.PutUint32(newer[8:], noteFormat+1)
	if _, err := parseNote(newer); !errors.Is(err, ondisk.ErrNewer) {
		t.Errorf("a newer note: got %v", err)
	}
}

func FuzzNote(f *testing.F) {
	f.Add(aNote()[:600], uint32(1))
	f.Add(aNote(), uint32(2))
	f.Fuzz(func(t *testing.T, b []byte, count uint32) {
		n, err := parseNote(b)
		if err != nil {
			return
		}
		if head := n.head(); !bytes.Equal(head, b[:len(head)]) {
			t.Errorf("head: got %x, want %x", head, b[:len(head)])
		}
		for _, r := range []noteRanges{n.synced, n.written} {
			if len(r.have) > 0 && len(r.have.missing(n.size)) > len(r.have)+1 {
				t.Errorf("ranges: %v", r.have)
			}
		}
	})
}
