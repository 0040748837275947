package store_test

import (
	"io"
	"testing"

	"lafs/node/store"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// TestOpenShareStays: who reads a share sees one version of it, whatever
// becomes of the slot meanwhile.
func TestOpenShareStays(t *testing.T) {
	s := open(t, store.Config{Dir: t.TempDir()})
	si, enabler, lease := caps.StorageIndex{1}, &storage.WriteEnabler{2}, &storage.LeaseSecrets{}
	write := func(text string) {
		t.Helper()
		w := map[storage.ShareNumber]storage.TestWrite{0: {Patches: []storage.Patch{{Data: []byte(text)}}}}
		if ok, _, err := s.ReadTestWrite(t.Context(), si, enabler, lease, w, nil); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	read := func(o storage.OpenShare) string {
		t.Helper()
		p := make([]byte, 20)
		n, err := o.ReadAt(p, 0)
		if err != io.EOF || int64(n) != o.Size() {
			t.Errorf("ReadAt: got %d bytes of %d, %v, want all and %v", n, o.Size(), err, io.EOF)
		}
		return string(p[:n])
	}
	write("the first")
	old, err := s.Open(t.Context(), storage.Mutable, si, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	write("and the second")
	now, err := s.Open(t.Context(), storage.Mutable, si, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer now.Close()
	if got := read(old); got != "the first" {
		t.Errorf("opened before the change: got %q", got)
	}
	if got := read(now); got != "and the second" {
		t.Errorf("opened after the change: got %q", got)
	}
	for _, at := range []int64{-1, -1 << 62} {
		if _, err := now.ReadAt(make([]byte, 1), at); err != storage.ErrBadRequest {
			t.Errorf("ReadAt %d: got %v, want %v", at, err, storage.ErrBadRequest)
		}
	}
	if n, err := now.ReadAt(make([]byte, 1), 1<<62); n != 0 || err != io.EOF {
		t.Errorf("ReadAt behind the end: got %d, %v", n, err)
	}
	if _, err := s.Open(t.Context(), storage.Mutable, si, 1); err != storage.ErrNotFound {
		t.Errorf("Open of no share: got %v, want %v", err, storage.ErrNotFound)
	}
}
