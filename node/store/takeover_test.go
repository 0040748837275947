package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"lafs/node/store"
	"lafs/node/store/ondisk"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// A tahoe is a directory with containers.
type tahoe struct {
	*testing.T
	dir string
}

func (h *tahoe) share(si caps.StorageIndex, n storage.ShareNumber, raw []byte) store.Takeover {
	h.Helper()
	path := filepath.Join(h.dir, fmt.Sprintf("%s.%d", si, n))
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		h.Fatal(err)
	}
	c, err := ondisk.ReadContainer(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		h.Fatal(err)
	}
	return store.Takeover{Index: si, Number: n, Path: path, Container: c}
}

var ourTub = [20]byte(bytes.Repeat([]byte{7}, 20))

func TestTakeOver(t *testing.T) {
	clock := newClock()
	ends := uint32(clock.Now().Add(5 * 24 * time.Hour).Unix())
	for _, link := range []bool{false, true} {
		t.Run(fmt.Sprint("link ", link), func(t *testing.T) {
			// One directory: links stay on one file system.
			dir := t.TempDir()
			h := &tahoe{t, dir}
			bucket, slot, strange := caps.StorageIndex{1}, caps.StorageIndex{2}, caps.StorageIndex{3}
			shares := []store.Takeover{
				h.share(bucket, 0, bucketContainer(1, "share zero", ends, ends)),
				h.share(bucket, 200, bucketContainer(2, "another share", ends)),
				h.share(slot, 0, slotContainer(slotV1, 9, "the enabler of another", "slot zero", ends)),
				h.share(slot, 1, slotContainer(slotV2, 7, string(enabler[:]), "slot one", ends)),
				h.share(strange, 4, slotContainer(slotV2, 9, "the enabler of another", "moved", ends)),
			}
			cfg := store.Config{Dir: filepath.Join(dir, "store"), Now: clock.Now, TubID: ourTub}
			s := open(t, cfg)
			// Twice, as after a crash that lost what was noted last.
			for range 2 {
				if err := s.TakeOver(t.Context(), shares, link); err != nil {
					t.Fatalf("TakeOver: %v", err)
				}
			}
			check := func(when string) {
				t.Helper()
				for _, sh := range shares {
					if ok, err := s.Taken(sh.Kind, sh.Index, sh.Number); err != nil || !ok {
						t.Errorf("%s: Taken of share %d: got %v, %v", when, sh.Number, ok, err)
					}
				}
				for _, want := range []struct {
					kind storage.Kind
					si   caps.StorageIndex
					n    storage.ShareNumber
					data string
				}{
					{storage.Immutable, bucket, 0, "share zero"}, {storage.Immutable, bucket, 200, "another share"},
					{storage.Mutable, slot, 0, "slot zero"}, {storage.Mutable, slot, 1, "slot one"}, {storage.Mutable, strange, 4, "moved"},
				} {
					p := make([]byte, 100)
					n, err := s.Read(t.Context(), want.kind, want.si, want.n, 0, p)
					if err != nil || string(p[:n]) != want.data {
						t.Errorf("%s: Read of share %d: got %q, %v, want %q", when, want.n, p[:n], err, want.data)
					}
				}
				if got, err := s.Shares(t.Context(), storage.Immutable, bucket); err != nil || !slices.Equal(got, []storage.ShareNumber{0, 200}) {
					t.Errorf("%s: Shares: got %v, %v", when, got, err)
				}
			}
			check("at once")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, cfg)
			check("after a restart")
			if st, err := s.Stats(); err != nil || st.Shares != 5 || st.StateLost {
				t.Errorf("Stats: got %+v, %v, want 5 shares", st, err)
			}
			// Without the index, the files alone say it.
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(cfg.Dir, "index.db")); err != nil {
				t.Fatal(err)
			}
			s = open(t, cfg)
			check("with a new index")

			writes := map[storage.ShareNumber]storage.TestWrite{1: {Patches: []storage.Patch{{Offset: 5, Data: []byte("two, longer")}}}}
			if ok, _, err := s.ReadTestWrite(t.Context(), slot, enabler, lease, writes, nil); err != nil || !ok {
				t.Errorf("ReadTestWrite of a slot of ours: got %v, %v", ok, err)
			}
			p := make([]byte, 100)
			if n, err := s.Read(t.Context(), storage.Mutable, slot, 1, 0, p); err != nil || string(p[:n]) != "slot two, longer" {
				t.Errorf("Read of a share written to: got %q, %v", p[:n], err)
			}
			if raw, err := os.ReadFile(shares[3].Path); err != nil || !bytes.Contains(raw, []byte("slot one")) {
				t.Error("the container from which a share came was written to")
			}
			writes[4] = writes[1]
			if _, _, err := s.ReadTestWrite(t.Context(), strange, enabler, lease, writes, nil); !errors.Is(err, storage.ErrUnauthorized) {
				t.Errorf("ReadTestWrite of a slot of another server: got %v, want ErrUnauthorized", err)
			}
		})
	}
}

// TestTakeOverLeases: ends are kept, to the day, and secrets are hashed once.
func TestTakeOverLeases(t *testing.T) {
	clock := newClock()
	ends := uint32(clock.Now().Add(5 * 24 * time.Hour).Unix())
	dir := t.TempDir()
	h := &tahoe{t, dir}
	var many []uint32
	for i := range 300 {
		many = append(many, ends+uint32(i)*86400)
	}
	cfg := store.Config{Dir: filepath.Join(dir, "store"), Now: clock.Now}
	s := open(t, cfg)
	if err := s.TakeOver(context.Background(), []store.Takeover{
		h.share(caps.StorageIndex{1}, 0, bucketContainer(1, "version one", ends)),
		h.share(caps.StorageIndex{1}, 1, bucketContainer(1, "the same lease, later", ends+86400)),
		h.share(caps.StorageIndex{2}, 0, slotContainer(slotV2, 7, "we", "many", many...)),
		h.share(caps.StorageIndex{3}, 0, bucketContainer(2, "none")),
	}, false); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got := store.LeasesOf(t, cfg.Dir)
	rounded := (ends + 86399) / 86400
	if l := got[caps.StorageIndex{1}]; len(l) != 1 || l[0].End != rounded+1 || l[0].RenewHash != store.HashOf(make([]byte, 32)) {
		t.Errorf("leases of a bucket: got %+v, want one that ends on day %d", l, rounded+1)
	}
	if l := got[caps.StorageIndex{2}]; len(l) != 32 || !slices.ContainsFunc(l, func(l store.StoredLease) bool { return l.End == rounded+299 }) {
		t.Errorf("leases of a slot that had 300: got %d, want the 32 that end last", len(l))
	}
	if l := got[caps.StorageIndex{3}]; len(l) != 1 {
		t.Errorf("leases of a share without: got %d, want one of nobody's", len(l))
	}
}

// TestTakeOverWithoutRoom takes nothing.
func TestTakeOverWithoutRoom(t *testing.T) {
	dir := t.TempDir()
	h := &tahoe{t, dir}
	s := open(t, store.Config{Dir: filepath.Join(dir, "store"), ReservedSpace: 1 << 60})
	sh := []store.Takeover{h.share(caps.StorageIndex{1}, 0, bucketContainer(2, "share", 1))}
	if err := s.TakeOver(t.Context(), sh, false); !errors.Is(err, storage.ErrNoSpace) {
		t.Errorf("TakeOver by copy: got %v, want ErrNoSpace", err)
	}
	if err := s.TakeOver(t.Context(), sh, true); err != nil {
		t.Errorf("TakeOver by links, which need no room: got %v", err)
	}
}

// TestTakeOverCutOff: what a crash leaves at any point of a takeover is
// completed by another.
func TestTakeOverCutOff(t *testing.T) {
	dir := t.TempDir()
	h := &tahoe{t, dir}
	shares := []store.Takeover{
		h.share(caps.StorageIndex{1}, 0, bucketContainer(1, "bucket", 9)),
		h.share(caps.StorageIndex{2}, 0, slotContainer(slotV2, 7, "we", "slot", 9)),
	}
	for _, link := range []bool{false, true} {
		for step := range 8 {
			cfg := store.Config{Dir: filepath.Join(dir, fmt.Sprint("store", link, step)), TubID: ourTub}
			s := open(t, cfg)
			if err := s.TakeOverSteps(shares, link, step); err != nil {
				t.Fatal(err)
			}
			s.Crash()
			s = open(t, cfg)
			for _, sh := range shares {
				if has, err := s.HasSlot(sh.Index); err != nil || has && step < 5 && sh.Kind == storage.Mutable {
					t.Errorf("after %d steps: HasSlot: got %v, %v", step, has, err)
				}
			}
			var rest []store.Takeover
			for _, sh := range shares {
				if taken, err := s.Taken(sh.Kind, sh.Index, sh.Number); err != nil {
					t.Fatal(err)
				} else if !taken {
					rest = append(rest, sh)
				}
			}
			if err := s.TakeOver(t.Context(), rest, link); err != nil {
				t.Fatal(err)
			}
			holdsAll(t, s, shares)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			for si, l := range store.LeasesOf(t, cfg.Dir) {
				if len(l) != 1 || l[0].End != 1 {
					t.Errorf("link %v, after %d steps: leases of %v: got %+v, want the one it had", link, step, si, l)
				}
			}
		}
	}
}

func holdsAll(t *testing.T, s *store.Store, shares []store.Takeover) {
	t.Helper()
	for _, sh := range shares {
		raw, err := os.ReadFile(sh.Path)
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 100)
		n, err := s.Read(t.Context(), sh.Kind, sh.Index, sh.Number, 0, p)
		if want := raw[sh.At : sh.At+sh.Length]; err != nil || !bytes.Equal(p[:n], want) {
			t.Errorf("Read of share %d: got %q, %v, want %q", sh.Number, p[:n], err, want)
		}
	}
}
