package authority_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lafs/node/authority"
	"lafs/node/store"
	"lafs/shares/storage"
)

const announced = "the-announced-swissnum"

func open(t *testing.T, path string) *authority.Book {
	t.Helper()
	b, err := authority.Open(path, storage.NewSwissnum(announced))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func lookup(b *authority.Book, sw string) store.Authority {
	who, ok := b.Lookup([]byte(sw))
	if !ok {
		return 0
	}
	return who
}

func size(n int64) *int64 { return &n }

func TestBook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authorities")
	b := open(t, path)
	if got := b.List(); len(got) != 1 || got[0].Name != authority.DefaultName || got[0].Quota != authority.NoQuota || lookup(b, announced) != store.Default {
		t.Fatalf("a new book: got %+v", got)
	}
	if lookup(b, "") != 0 || lookup(b, "unknown") != 0 {
		t.Error("a swissnum that nobody has is known")
	}
	alice, one, err := b.Grant("alice", authority.Change{Quota: size(1000)})
	if err != nil || one == nil || alice.Number != 2 || alice.Quota != 1000 {
		t.Fatalf("Grant: got %+v, %v", alice, err)
	}
	bob, two, err := b.Grant("bob", authority.Change{})
	if err != nil || two == nil || bob.Number != 3 || bob.Quota != authority.NoQuota {
		t.Fatalf("Grant: got %+v, %v", bob, err)
	}
	check := func(when string, of map[string]store.Authority) {
		t.Helper()
		for range 2 {
			for sw, want := range of {
				if got := lookup(b, sw); got != want {
					t.Errorf("%s: got authority %d, want %d", when, got, want)
				}
			}
			b = open(t, path)
		}
	}
	check("granted", map[string]store.Authority{one.Reveal(): 2, two.Reveal(): 3, announced: 1})
	if err := b.Revoke("alice"); err != nil {
		t.Fatal(err)
	}
	check("revoked", map[string]store.Authority{one.Reveal(): 0, two.Reveal(): 3, announced: 1})
	if _, sw, err := b.Grant("alice", authority.Change{}); err != nil || sw != nil {
		t.Errorf("switched on again: got a swissnum %v, %v", sw != nil, err)
	}
	check("on again", map[string]store.Authority{one.Reveal(): 2})
	again, three, err := b.Grant("alice", authority.Change{Renew: true, Quota: size(authority.NoQuota)})
	if err != nil || three == nil || again.Number != 2 || again.Quota != authority.NoQuota {
		t.Fatalf("another swissnum: got %+v, %v", again, err)
	}
	check("renewed", map[string]store.Authority{one.Reveal(): 0, three.Reveal(): 2})
	if err := b.Revoke(authority.DefaultName); err != nil {
		t.Fatal(err)
	}
	check("the default one revoked", map[string]store.Authority{announced: 0, two.Reveal(): 3})
	if _, _, err := b.Grant(authority.DefaultName, authority.Change{Quota: size(5)}); err != nil {
		t.Fatal(err)
	}
	check("the default one granted", map[string]store.Authority{announced: 1})
	if q := b.Quotas(); len(q) != 1 || q[store.Default] != 5 {
		t.Errorf("Quotas: got %v", q)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{one.Reveal(), two.Reveal(), three.Reveal(), announced} {
		if strings.Contains(string(text), secret) {
			t.Error("the file holds a swissnum")
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: got %v, %v", info.Mode(), err)
	}
}

func TestRefuses(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), "authorities"))
	if err := b.Revoke("nobody"); !errors.Is(err, authority.ErrUnknown) {
		t.Errorf("Revoke of nobody: got %v", err)
	}
	for _, name := range []string{"", "-x", "a b", "ü", "a\n", strings.Repeat("x", 65), "a/b"} {
		if _, _, err := b.Grant(name, authority.Change{}); err == nil {
			t.Errorf("Grant(%q): no error", name)
		}
	}
	if _, _, err := b.Grant("a", authority.Change{Quota: size(-2)}); err == nil {
		t.Error("a negative quota: no error")
	}
	if _, _, err := b.Grant(authority.DefaultName, authority.Change{Renew: true}); err == nil {
		t.Error("another swissnum for the default authority: no error")
	}
}

// TestNotDurable: what the disk does not take is not so.
func TestNotDurable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	b := open(t, filepath.Join(dir, "authorities"))
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if _, sw, err := b.Grant("alice", authority.Change{}); err == nil || sw != nil || len(b.List()) != 1 {
		t.Errorf("Grant: got %v, %+v", err, b.List())
	}
	if err := b.Revoke(authority.DefaultName); err == nil || lookup(b, announced) != store.Default {
		t.Errorf("Revoke: got %v", err)
	}
}

func TestAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authorities")
	b := open(t, path)
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			_, sw, err := b.Grant(fmt.Sprintf("a%d", n), authority.Change{})
			if err != nil {
				t.Error(err)
				return
			}
			if lookup(b, sw.Reveal()) < 2 {
				t.Error("what was granted is not known")
			}
		})
	}
	wg.Wait()
	if got := open(t, path).List(); len(got) != 21 {
		t.Errorf("got %d authorities, want 21", len(got))
	}
}
