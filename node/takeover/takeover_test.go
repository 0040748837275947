package takeover_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lafs/node/store"
	"lafs/node/takeover"
	"lafs/shares/caps"
	"lafs/shares/immutable"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

var tub = [20]byte{1, 2, 3}

// A server is a storage directory as Tahoe-LAFS makes it.
type server struct {
	*testing.T
	dir string
}

func newServer(t *testing.T) *server {
	h := &server{t, filepath.Join(t.TempDir(), "storage")}
	h.write("shares/incoming/aa/upload", []byte("unfinished"))
	h.write("shares/aa/notes.txt", []byte("strange"))
	h.write("lease_checker.state", []byte("{}"))
	return h
}

func (h *server) write(name string, data []byte) string {
	h.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		h.Fatal(err)
	}
	return path
}

func place(si caps.StorageIndex, n int) string {
	return fmt.Sprintf("shares/%s/%s/%d", si.String()[:2], si, n)
}

// bucket puts a share in an immutable container of version 1, with a lease.
func bucket(share []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(len(share)))
	b = binary.BigEndian.AppendUint32(b, 1)
	b = append(b, share...)
	b = append(b, make([]byte, 68)...)
	return binary.BigEndian.AppendUint32(b, 2_000_000_000)
}

// slot puts a share in a mutable container of version 2, without a lease.
func slot(nodeID [20]byte, share []byte) []byte {
	b := []byte("Tahoe mutable container v2\n\xc3\x55\x21\x99\x25")
	b = append(b, nodeID[:]...)
	b = append(b, make([]byte, 32)...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(share)))
	b = binary.BigEndian.AppendUint64(b, uint64(468+len(share)))
	b = append(b, make([]byte, 4*92)...)
	b = append(b, share...)
	return append(b, 0, 0, 0, 0)
}

// file makes the shares of an immutable file.
func (h *server) file() (caps.StorageIndex, [][]byte) {
	h.Helper()
	text := bytes.Repeat([]byte("plaintext "), 500)
	e, err := immutable.NewEncoder(immutable.Params{Needed: 2, Total: 3}, int64(len(text)), immutable.RandomKey())
	if err != nil {
		h.Fatal(err)
	}
	blocks, err := e.Encode(text)
	if err != nil {
		h.Fatal(err)
	}
	tails, c, err := e.Finish()
	if err != nil {
		h.Fatal(err)
	}
	shares := make([][]byte, len(tails))
	for i := range shares {
		shares[i] = slices.Concat(e.Header(), blocks[i], tails[i])
	}
	return c.StorageIndex(), shares
}

func openStore(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(store.Config{Dir: dir, TubID: tub})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRun takes over a server with whole, damaged and foreign shares, by
// copies and by links, in a dry run first, and again when all is done.
func TestRun(t *testing.T) {
	key, err := mutable.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	version, err := mutable.Encode(key, mutable.Params{Needed: 1, Total: 2}, 3, []byte("mutable text"))
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range []bool{false, true} {
		t.Run(fmt.Sprint("link ", link), func(t *testing.T) {
			h := newServer(t)
			si, shares := h.file()
			h.write(place(si, 0), bucket(shares[0]))
			part := bytes.Clone(shares[1])
			part[100] ^= 1
			h.write(place(si, 1), bucket(part))
			h.write(place(si, 2), bucket(shares[0])) // under another's number
			si2 := caps.StorageIndex{2}
			h.write(place(si2, 0), []byte("no container"))
			si3, si4, si5 := caps.StorageIndex{3}, caps.StorageIndex{4}, caps.StorageIndex{5}
			h.write(place(si3, 0), slot(tub, version.Shares[0]))
			h.write(place(si3, 1), slot(tub, version.Shares[1]))
			forged := bytes.Clone(version.Shares[0])
			forged[5] ^= 1
			h.write(place(si4, 0), slot(tub, forged))
			h.write(place(si5, 1), slot([20]byte{9}, version.Shares[1]))

			want := takeover.Summary{Found: 8, Looked: 8, Taken: 5, Immutable: 2, Mutable: 3, Damaged: 1, Left: 3, Leases: 2, Foreign: 1, Unfinished: 1, Strange: 1}
			dir := filepath.Join(filepath.Dir(h.dir), "store")
			var left []takeover.Left
			cfg := takeover.Config{From: h.dir, TubID: tub, Link: link, Left: func(l takeover.Left) { left = append(left, l) }}
			sizes := func(s takeover.Summary) takeover.Summary {
				if s.FoundBytes == 0 || s.LookedBytes != s.FoundBytes {
					t.Errorf("sizes: got %+v", s)
				}
				s.FoundBytes, s.LookedBytes, s.TakenBytes = 0, 0, 0
				return s
			}
			if got, err := takeover.Run(t.Context(), cfg); err != nil || sizes(got) != want {
				t.Errorf("dry run: got %+v, %v, want %+v", got, err, want)
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Error("a dry run made something")
			}
			left = nil
			s := openStore(t, dir)
			cfg.Store = s
			if got, err := takeover.Run(t.Context(), cfg); err != nil || sizes(got) != want {
				t.Errorf("Run: got %+v, %v, want %+v", got, err, want)
			}
			if len(left) != 3 || !slices.ContainsFunc(left, func(l takeover.Left) bool { return l.Path == place(si2, 0) }) {
				t.Errorf("left: got %+v", left)
			}
			for _, l := range left {
				if l.Why == "" || strings.Contains(l.Why, si2.String()) {
					t.Errorf("the reason why a share is left: %q", l.Why)
				}
			}
			again := want
			again.Taken, again.Immutable, again.Mutable, again.Damaged, again.Leases, again.Foreign, again.Before = 0, 0, 0, 0, 0, 0, 5
			if got, err := takeover.Run(t.Context(), cfg); err != nil || sizes(got) != again {
				t.Errorf("Run again: got %+v, %v, want %+v", got, err, again)
			}
			if got, err := s.Shares(t.Context(), storage.Immutable, si); err != nil || !slices.Equal(got, []storage.ShareNumber{0, 1}) {
				t.Errorf("Shares: got %v, %v", got, err)
			}
			if _, err := os.Stat(filepath.Join(dir, "corruption-advisories", si.String()+".1")); err != nil {
				t.Errorf("the share that is damaged in part has no advisory: %v", err)
			}
			p := make([]byte, len(shares[0])+1)
			if n, err := s.Read(t.Context(), storage.Immutable, si, 0, 0, p); err != nil || !bytes.Equal(p[:n], shares[0]) {
				t.Errorf("Read of a bucket: got %d bytes, %v", n, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			// Trusting, a share with a wrong signature is taken too.
			cfg.Store = openStore(t, dir)
			defer cfg.Store.Close()
			cfg.Trust = true
			if got, err := takeover.Run(t.Context(), cfg); err != nil || got.Taken != 2 || got.Left != 1 {
				t.Errorf("Run without checks: got %+v, %v, want 2 more", got, err)
			}
		})
	}
}

func TestRunNowhere(t *testing.T) {
	if _, err := takeover.Run(t.Context(), takeover.Config{From: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "no storage directory") {
		t.Errorf("Run: got %v", err)
	}
}

// TestRunStopped: what is stopped goes on later.
func TestRunStopped(t *testing.T) {
	h := newServer(t)
	for range 3 {
		si, shares := h.file()
		h.write(place(si, 0), bucket(shares[0]))
	}
	s := openStore(t, filepath.Join(filepath.Dir(h.dir), "store"))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := takeover.Run(ctx, takeover.Config{From: h.dir, Store: s}); !errors.Is(err, context.Canceled) {
		t.Errorf("Run: got %v, want it stopped", err)
	}
	if got, err := takeover.Run(t.Context(), takeover.Config{From: h.dir, Store: s}); err != nil || got.Taken+got.Before != 3 {
		t.Errorf("Run again: got %+v, %v", got, err)
	}
}
