package node_test

import (
	"context"
	"slices"
	"testing"

	"lafs/node"
	"lafs/node/store"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// A server that nobody has announced for long is counted for what it holds,
// and is given nothing.
func TestHoldsOnly(t *testing.T) {
	st, err := store.Open(store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	ctx := context.Background()
	up, lease := storage.GenerateUploadSecret(), &storage.LeaseSecrets{}
	held, other := caps.StorageIndex{1}, caps.StorageIndex{2}
	if _, err := st.Allocate(ctx, held, []storage.ShareNumber{3, 9}, 1, up, lease); err != nil {
		t.Fatal(err)
	}
	for _, n := range []storage.ShareNumber{3, 9} {
		if _, err := st.Write(ctx, held, n, up, 0, []byte{7}); err != nil {
			t.Fatal(err)
		}
	}
	stale := node.HoldsOnly{Server: st}
	a, err := stale.Allocate(ctx, held, []storage.ShareNumber{3, 4}, 1, up, lease)
	if err != nil || !slices.Equal(a.AlreadyHave, []storage.ShareNumber{3}) || len(a.Allocated) != 0 {
		t.Errorf("Allocate: got %+v, %v, want share 3 held and nothing allocated", a, err)
	}
	if a, err = stale.Allocate(ctx, other, []storage.ShareNumber{0}, 1, up, lease); err != nil || len(a.AlreadyHave)+len(a.Allocated) != 0 {
		t.Errorf("Allocate elsewhere: got %+v, %v, want nothing", a, err)
	}
	p := make([]byte, 1)
	if n, err := stale.Read(ctx, storage.Immutable, held, 9, 0, p); err != nil || n != 1 || p[0] != 7 {
		t.Errorf("Read: got %d, %v", n, err)
	}
}
