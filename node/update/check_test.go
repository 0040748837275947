package update_test

import (
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/update"
)

// A share is damaged, another is lost and a server comes back empty; a
// repair puts everything back under the same version.
func TestCheckAndRepair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newMemGrid(5, 100*time.Millisecond, 1)
		e := g.engine(3, 10, 1)
		defer e.Close()
		w, err := e.Create(t.Context(), update.CreateOptions{}, []byte("some content"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		before, err := e.Check(t.Context(), w.Verifier(), true)
		if err != nil || !before.Healthy || before.Good != 10 || len(before.Answered) != 5 {
			t.Fatalf("a new object: %+v, %v", before, err)
		}
		si := w.StorageIndex()
		for n, share := range g.servers[0].slots[si].current {
			share[400] ^= 1 // in the signature
			g.servers[0].slots[si].current[n] = share
		}
		for n := range g.servers[1].slots[si].current {
			delete(g.servers[1].slots[si].current, n)
			break
		}
		g.servers[2].set(dead)
		hurt, err := e.Check(t.Context(), w, false)
		if err != nil || hurt.Healthy || !hurt.Recoverable || len(hurt.Silent) != 1 || hurt.Good != 5 || len(hurt.Corrupt) != 2 {
			t.Errorf("a hurt object: %+v, %v", hurt, err)
		}
		g.servers[2].set(healthy)
		if err := e.Repair(t.Context(), w); err != nil {
			t.Fatalf("Repair: %v", err)
		}
		time.Sleep(time.Minute)
		after, err := e.Check(t.Context(), w, true)
		if err != nil || !after.Healthy || after.Version != before.Version {
			t.Errorf("after a repair: %+v, %v", after, err)
		}
		fresh := g.engine(3, 10, 2)
		defer fresh.Close()
		got, err := fresh.Read(t.Context(), w)
		if err != nil || string(got.Data) != "some content" {
			t.Errorf("Read: %q, %v", got.Data, err)
		}
	})
}
