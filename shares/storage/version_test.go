package storage_test

import (
	"testing"

	"lafs/shares/agree"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// TestVersionOf: versions of equal content that were made one by one are
// not the same, although their root hashes may be.
func TestVersionOf(t *testing.T) {
	key, err := mutable.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	seen, roots := map[agree.VersionID]bool{}, map[[32]byte]bool{}
	const count = 20
	for i := range count {
		v, err := mutable.Encode(key, mutable.Params{Needed: 3, Total: 10}, 5, nil)
		if err != nil {
			t.Fatal(err)
		}
		id := storage.VersionOf(v.Header)
		if id.Seq != 5 {
			t.Errorf("VersionOf: got sequence number %d, want 5", id.Seq)
		}
		seen[id], roots[v.Header.Root] = true, true
		for n, share := range v.Shares {
			if h, err := mutable.ParseHeader(share); err != nil || storage.VersionOf(h) != id {
				t.Errorf("share %d of version %d is named otherwise: %v", n, i, err)
			}
		}
	}
	if len(seen) != count {
		t.Errorf("%d versions have %d names", count, len(seen))
	}
	if len(roots) != 1 {
		t.Errorf("empty contents have %d root hashes, want 1", len(roots))
	}
}
