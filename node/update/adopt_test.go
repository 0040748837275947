package update_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/dirnode"
	"lafs/node/store"
	"lafs/node/update"
	"lafs/shares/agree"
	"lafs/shares/caps"
	"lafs/shares/mutable"
	"lafs/shares/storage"
)

// putForeign writes shares as a Tahoe-LAFS client does, share n to the server
// of that number, and the rest in turn.
func putForeign(t *testing.T, g *storeGrid, w *caps.MutableWriter, shares [][]byte) {
	t.Helper()
	for n, share := range shares {
		s := g.servers[n%len(g.servers)]
		length := int64(len(share))
		s.step(func(st *store.Store) {
			ok, _, err := st.ReadTestWrite(context.Background(), w.StorageIndex(), enablerOf(w, s), &storage.LeaseSecrets{},
				map[storage.ShareNumber]storage.TestWrite{storage.ShareNumber(n): {Patches: []storage.Patch{{Data: share}}, NewLength: &length}}, nil)
			if err != nil || !ok {
				t.Errorf("write a foreign share: %v, %v", ok, err)
			}
		})
	}
}

// A foreigner is an object that a Tahoe-LAFS client made.
type foreigner struct {
	name   string
	cap    caps.Cap // a write cap
	shares [][]byte
	digest string // SHA-256 of the content; "": a directory
	names  []string
}

func (f *foreigner) writer() *caps.MutableWriter {
	if d, ok := f.cap.(*caps.Directory); ok {
		return d.File().(*caps.MutableWriter)
	}
	return f.cap.(*caps.MutableWriter)
}

// foreigners are those of the shared vectors.
func foreigners(t *testing.T) (out []*foreigner) {
	t.Helper()
	place := os.Getenv("LAFS_VECTORS")
	if place == "" {
		place = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	raw, err := os.ReadFile(filepath.Join(place, "tahoe-shares", "index.json"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no tahoe-shares in the folder of shared vectors; set LAFS_VECTORS")
	}
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		Objects []struct {
			Name, Cap, SHA256 string
			Shares            []struct {
				Number int
				File   string
			}
			Listing []json.RawMessage
		}
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		t.Fatal(err)
	}
	for _, o := range index.Objects {
		c, err := caps.Parse(o.Cap)
		if err != nil {
			t.Fatal(err)
		}
		f := &foreigner{name: o.Name, cap: c, digest: o.SHA256, shares: make([][]byte, len(o.Shares))}
		if d, ok := c.(*caps.Directory); ok {
			f.digest = ""
			c = d.File()
			var node struct {
				Children map[string]json.RawMessage
			}
			if len(o.Listing) == 2 {
				if err := json.Unmarshal(o.Listing[1], &node); err != nil {
					t.Fatal(err)
				}
			}
			f.names = slices.Sorted(maps.Keys(node.Children))
		}
		if _, ok := c.(*caps.MutableWriter); !ok {
			continue
		}
		for _, ref := range o.Shares {
			container, err := os.ReadFile(filepath.Join(place, "tahoe-shares", ref.File))
			if err != nil {
				t.Fatal(err)
			}
			f.shares[ref.Number] = container[468:][:binary.BigEndian.Uint64(container[84:])]
		}
		out = append(out, f)
	}
	if len(out) < 8 {
		t.Fatalf("only %d mutable objects among the vectors", len(out))
	}
	return out
}

// engineObjects is an engine as directories see it.
type engineObjects struct{ *update.Engine }

func (o engineObjects) Read(ctx context.Context, c caps.Cap) ([]byte, error) {
	got, err := o.Engine.Read(ctx, c)
	return got.Data, err
}

func (o engineObjects) Create(ctx context.Context, opts dirnode.CreateOptions, content func(w *caps.MutableWriter) ([]byte, error)) (*caps.MutableWriter, error) {
	format := mutable.SDMF
	if opts.MDMF {
		format = mutable.MDMF
	}
	return o.CreateWith(ctx, update.CreateOptions{Key: opts.Key, Format: &format}, content)
}

func (o engineObjects) Put(context.Context, []byte) (caps.Cap, error) {
	return nil, errors.New("no immutable files here")
}

// TestAdopt: objects that Tahoe-LAFS made are read, listed, and changed by
// two engines at once. A Tahoe-LAFS client that writes later is noticed, and
// what it wrote is what the next change is made on.
func TestAdopt(t *testing.T) {
	dir := tmpDir(t)
	for i, f := range foreigners(t) {
		t.Run(f.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newStoreGrid(t, dir, 5, 0, 200*time.Millisecond, uint64(i))
				defer g.close()
				putForeign(t, g, f.writer(), f.shares)
				if f.digest == "" {
					adoptDirectory(t, g, f)
				} else {
					adoptFile(t, g, f)
				}
			})
		})
	}
}

func adoptFile(t *testing.T, g *storeGrid, f *foreigner) {
	a, _ := g.client(3, 5, 1)
	defer a.Close()
	b, _ := g.client(3, 5, 1)
	defer b.Close()
	w := f.writer()
	old, err := a.Read(t.Context(), w.ReadOnly())
	if sum := sha256.Sum256(old.Data); err != nil || hex.EncodeToString(sum[:]) != f.digest {
		t.Fatalf("Read: %d bytes that are not the object's, %v", len(old.Data), err)
	}
	content := bytes.Clone(old.Data)
	var both sync.WaitGroup
	for i, e := range []*update.Engine{a, b} {
		both.Go(func() {
			if err := e.Modify(t.Context(), w, add(fmt.Sprintf("by %d\n", i))); err != nil {
				t.Errorf("Modify: %v", err)
			}
		})
	}
	both.Wait()
	time.Sleep(time.Minute)
	fresh, _ := g.client(3, 5, 1)
	defer fresh.Close()
	got, err := fresh.Read(t.Context(), w.ReadOnly())
	if err != nil || !bytes.HasPrefix(got.Data, content) || len(got.Data) != len(content)+10 || !bytes.Contains(got.Data, []byte("by 0\n")) || !bytes.Contains(got.Data, []byte("by 1\n")) {
		t.Fatalf("Read: %d bytes, %v, want the %d there were and two lines", len(got.Data), err, len(content))
	}
	// A Tahoe-LAFS client writes over it.
	foreignWrite(t, g, f, got.Version.Seq+1, []byte("foreign\n"))
	if got, err := a.Read(t.Context(), w.ReadOnly()); err != nil || string(got.Data) != "foreign\n" {
		t.Errorf("Read: %d bytes, %v, want what was written past us", len(got.Data), err)
	}
	for i, e := range []*update.Engine{b, a} {
		if err := e.Modify(t.Context(), w, add(fmt.Sprintf("again %d\n", i))); err != nil {
			t.Errorf("Modify: %v", err)
		}
	}
	if got, err := fresh.Read(t.Context(), w); err != nil || string(got.Data) != "foreign\nagain 0\nagain 1\n" {
		t.Errorf("Read: %d bytes, %v", len(got.Data), err)
	}
}

// foreignWrite writes a version as the object's owner with Tahoe-LAFS does.
func foreignWrite(t *testing.T, g *storeGrid, f *foreigner, seq uint64, data []byte) {
	t.Helper()
	s, err := mutable.OpenShare(t.Context(), f.writer().Fingerprint, 0, mutable.Bytes(f.shares[0]))
	if err != nil {
		t.Fatal(err)
	}
	key, err := s.Key(f.writer())
	if err != nil {
		t.Fatal(err)
	}
	v, err := mutable.Encode(key, mutable.Params{Format: s.Format, Needed: s.Needed, Total: s.Total}, seq, data)
	if err != nil {
		t.Fatal(err)
	}
	putForeign(t, g, f.writer(), v.Shares)
}

func adoptDirectory(t *testing.T, g *storeGrid, f *foreigner) {
	var trees []*dirnode.Tree
	for range 2 {
		e, _ := g.client(3, 5, 1)
		defer e.Close()
		trees = append(trees, dirnode.New(engineObjects{e}, nil))
	}
	names := func(tree *dirnode.Tree, want []string) {
		t.Helper()
		l, err := tree.List(t.Context(), f.cap)
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		var got []string
		for _, e := range l.Entries {
			got = append(got, e.Name)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("List: %q, want %q", got, want)
		}
	}
	names(trees[0], f.names)
	child, err := dirnode.NewChild(mustParse(t, "URI:LIT:krugkidfnzsc4"))
	if err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	for i, tree := range trees {
		both.Go(func() {
			if _, err := tree.Link(t.Context(), f.cap, fmt.Sprintf("~new %d", i), child, dirnode.Never, nil); err != nil {
				t.Errorf("Link: %v", err)
			}
		})
	}
	both.Wait()
	want := append(slices.Clone(f.names), "~new 0", "~new 1")
	slices.Sort(want)
	for _, tree := range trees {
		names(tree, want)
	}
}

func mustParse(t *testing.T, text string) caps.Cap {
	t.Helper()
	c, err := caps.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// foreignVersion makes the shares of an object that a Tahoe-LAFS client made
// with key.
func foreignVersion(t *testing.T, key *mutable.Key, needed, total int, content string) (*caps.MutableWriter, [][]byte) {
	t.Helper()
	v, err := mutable.Encode(key, mutable.Params{Needed: needed, Total: total}, 1, []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return key.WriteCap(mutable.SDMF), v.Shares
}

// Two engines of which each sees another half of a foreign object's shares
// must not both write: what one of them wrote would be lost.
func TestAdoptHalves(t *testing.T) {
	dir := tmpDir(t)
	for _, shape := range []struct{ servers, needed, total int }{{4, 1, 4}, {6, 3, 6}, {5, 2, 10}} {
		synctest.Test(t, func(t *testing.T) {
			g := newStoreGrid(t, dir, shape.servers, 0, 100*time.Millisecond, 1)
			defer g.close()
			w, shares := foreignVersion(t, keys()[0], shape.needed, shape.total, "")
			putForeign(t, g, w, shares)
			var engines []*update.Engine
			for c := range 2 {
				e, number := g.client(shape.needed, shape.total, 1)
				defer e.Close()
				engines = append(engines, e)
				for s := range shape.servers {
					if s*2/shape.servers != c {
						g.setLink(number, s, dead)
					}
				}
			}
			acked := map[string]bool{}
			var mu sync.Mutex
			var both sync.WaitGroup
			for i, e := range engines {
				both.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
					defer cancel()
					entry := fmt.Sprintf("by %d\n", i)
					err := e.Modify(ctx, w, add(entry))
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						acked[entry] = true
					} else if !strings.Contains(err.Error(), "answer") {
						t.Errorf("the error %q says nothing of servers that do not answer", err)
					}
				})
			}
			both.Wait()
			g.heal()
			for i, e := range engines {
				entry := fmt.Sprintf("later %d\n", i)
				if err := e.Modify(t.Context(), w, add(entry)); err != nil {
					t.Errorf("Modify, when all is well: %v", err)
				}
				acked[entry] = true
			}
			fresh, _ := g.client(shape.needed, shape.total, 1)
			defer fresh.Close()
			got, err := fresh.Read(t.Context(), w)
			if err != nil {
				t.Fatal(err)
			}
			for entry := range acked {
				if !strings.Contains(string(got.Data), entry) {
					t.Errorf("%d of %d shares on %d servers: %q was acknowledged and is lost", shape.needed, shape.total, shape.servers, entry)
				}
			}
		})
	}
}

// An engine that adopts an object dies when one server alone has its list and
// its vote; then another goes on, whether it sees that server or not, and who
// comes later reads what it wrote.
func TestAdoptBrokenOff(t *testing.T) {
	dir := tmpDir(t)
	for _, sees := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			g := newStoreGrid(t, dir, 5, 0, 100*time.Millisecond, 1)
			defer g.close()
			w, shares := foreignVersion(t, keys()[0], 3, 10, "old\n")
			putForeign(t, g, w, shares)
			g.deny = func(client, server int, m agree.Message) bool {
				_, votes := m.(agree.Accept)
				return client == 0 && server > 0 && votes
			}
			a, _ := g.client(3, 10, 1)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			if err := a.Modify(ctx, w, add("lost\n")); err == nil {
				t.Error("a change is acknowledged that one server has")
			}
			a.Close()
			b, number := g.client(3, 10, 1)
			defer b.Close()
			if !sees {
				g.setLink(number, 0, dead)
			}
			start := time.Now()
			if err := b.Modify(t.Context(), w, add("new\n")); err != nil {
				t.Errorf("Modify: %v", err)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("it took %v, at 100 ms a trip", took)
			}
			g.heal()
			fresh, _ := g.client(3, 10, 1)
			defer fresh.Close()
			got, err := fresh.Read(t.Context(), w.ReadOnly())
			if err != nil || !strings.HasPrefix(string(got.Data), "old\n") || !strings.HasSuffix(string(got.Data), "new\n") {
				t.Errorf("Read: %q, %v", got.Data, err)
			}
		})
	}
}
