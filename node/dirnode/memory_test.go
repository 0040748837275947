package dirnode_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"lafs/node/dirnode"
	"lafs/shares/caps"
	"lafs/shares/hashes"
)

// A memory is Objects in memory, which counts what a grid would be asked.
type memory struct {
	mu       sync.Mutex
	contents map[caps.StorageIndex][]byte
	serial   uint64

	reads, modifies, creates, puts int

	// stale makes each modify run its change on the base, then throw that
	// away, let stale change the object, and run it again.
	stale func()
	// lost makes that many modifies say that they do not know the outcome,
	// although they are done.
	lost int
	// dead makes modifies fail, after so many.
	dead int
}

var (
	errUnknown = errors.New("outcome unknown")
	errDead    = errors.New("dead")
)

func newMemory() *memory {
	return &memory{contents: map[caps.StorageIndex][]byte{}, dead: -1}
}

func (m *memory) get(c caps.Cap) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.contents[index(c)]
	if !ok {
		return nil, errors.New("gone")
	}
	return b, nil
}

func (m *memory) set(c caps.Cap, b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.contents[index(c)] = b
}

func index(c caps.Cap) caps.StorageIndex {
	if d, ok := c.(*caps.Directory); ok {
		c = d.File()
	}
	return c.(interface{ StorageIndex() caps.StorageIndex }).StorageIndex()
}

func (m *memory) count(n *int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*n++
}

func (m *memory) Read(_ context.Context, c caps.Cap) ([]byte, error) {
	m.count(&m.reads)
	if lit, ok := c.(*caps.LIT); ok {
		return lit.Data(), nil
	}
	return m.get(c)
}

func (m *memory) Modify(_ context.Context, w *caps.MutableWriter, change func([]byte) ([]byte, error)) error {
	m.count(&m.modifies)
	if m.dead == 0 {
		return errDead
	}
	if m.dead > 0 {
		m.dead--
	}
	base, err := m.get(w)
	if err != nil {
		return err
	}
	next, err := change(base)
	if stale := m.stale; err == nil && stale != nil {
		m.stale = nil
		stale()
		if base, err = m.get(w); err == nil {
			next, err = change(base)
		}
	}
	if err != nil {
		return err
	}
	m.set(w, next)
	if m.lost > 0 {
		m.lost--
		return errUnknown
	}
	return nil
}

func (m *memory) newKey() [16]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.serial++
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, m.serial))
	return [16]byte(sum[:])
}

func (m *memory) Create(_ context.Context, o dirnode.CreateOptions, content func(*caps.MutableWriter) ([]byte, error)) (*caps.MutableWriter, error) {
	m.count(&m.creates)
	w := &caps.MutableWriter{Key: caps.NewWriteKey(m.newKey()), MDMF: o.MDMF}
	b, err := content(w)
	if err != nil {
		return nil, err
	}
	m.set(w, b)
	return w, nil
}

func (m *memory) Put(_ context.Context, b []byte) (caps.Cap, error) {
	m.count(&m.puts)
	if len(b) <= 55 {
		return caps.NewLIT(b), nil
	}
	c := &caps.CHK{Key: caps.NewReadKey(m.newKey()), UEBHash: hashes.UEB(b), Needed: 1, Total: 1, Size: int64(len(b))}
	m.set(c, b)
	return c, nil
}

// start is a fixed time, and what Tahoe-LAFS makes of it.
var start = time.Unix(1700000000, 500000000)

const startTimes = `{"tahoe": {"linkcrtime": 1700000000.5, "linkmotime": 1700000000.5}}`

func newTree(t testing.TB) (*memory, *dirnode.Tree) {
	m := newMemory()
	return m, dirnode.New(m, func() time.Time { return start })
}

func mkdir(t testing.TB, tree *dirnode.Tree) *caps.Directory {
	t.Helper()
	d, err := tree.Mkdir(t.Context(), dirnode.CreateOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func child(t testing.TB, c caps.Cap) dirnode.Child {
	t.Helper()
	ch, err := dirnode.NewChild(c)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func lit(text string) dirnode.Child { return dirnode.Child{Read: caps.NewLIT([]byte(text))} }

func link(t testing.TB, tree *dirnode.Tree, dir caps.Cap, name string, c dirnode.Child) {
	t.Helper()
	if _, err := tree.Link(t.Context(), dir, name, c, dirnode.Always, nil); err != nil {
		t.Fatal(err)
	}
}

// names lists a directory: each name with its LIT's content, or its kind.
func names(t testing.TB, tree *dirnode.Tree, dir caps.Cap) string {
	t.Helper()
	l, err := tree.List(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	out := ""
	for _, e := range l.Entries {
		value := ""
		if l, ok := e.Child.Read.(*caps.LIT); ok {
			value = string(l.Data())
		} else if e.Child.Cap() != nil {
			value = string(e.Child.Cap().Kind())
		}
		out += e.Name + "=" + value + " "
	}
	return out
}
