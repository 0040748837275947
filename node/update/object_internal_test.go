package update

import (
	"testing"
	"time"

	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/hashes"
)

// TestForgottenContents: contents of an object that is forgotten while
// somebody works with it, or that another takes the place of, must not fill
// the memory for contents for ever.
func TestForgottenContents(t *testing.T) {
	e := &Engine{objects: map[caps.StorageIndex]*object{}}
	key := caps.NewReadKey([16]byte{1})
	first := &caps.MutableReader{Key: key}
	other := &caps.MutableReader{Key: key, Fingerprint: hashes.Hash{1}}
	v := &version{id: agree.VersionID{Seq: 1}, data: make([]byte, 1<<20)}
	held := func() (n int64) {
		for _, o := range e.objects {
			n += o.held
		}
		return n
	}
	for range 3 {
		o := e.object(first)
		e.remember(o, v, agree.Ballot{}, true, time.Time{})
		if e.cached != 1<<20 || held() != e.cached || o.remembered(v.id) == nil {
			t.Fatalf("remember: %d bytes count, %d are held", e.cached, held())
		}
		// One cap more, of the same place.
		e.object(other)
		if e.cached != 0 {
			t.Fatalf("another object in its place: %d bytes count, none are held", e.cached)
		}
		// An operation on the first one ends now.
		e.remember(o, v, agree.Ballot{}, true, time.Time{})
		if e.cached != held() {
			t.Fatalf("remember, of what was forgotten: %d bytes count, %d are held", e.cached, held())
		}
	}
}
