// Package authority keeps who may store on a server: named accounts, each
// with a swissnum, which is the right to store under it, a quota and a
// switch. Swissnums are kept as hashes alone, so that whoever gets the file
// can't store with it.
package authority

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/crypto/blake2b"

	"lafs/node/durable"
	"lafs/node/store"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// DefaultName is the name of the authority whose swissnum the node announces.
const DefaultName = "default"

const (
	// maxEntries bounds what one lookup compares.
	maxEntries = 1024
	maxName    = 64
	// swissnumBytes is how long a new swissnum is, in bytes of chance.
	swissnumBytes = 20
)

// NoQuota is the quota of an authority that has none.
const NoQuota = -1

// An Entry is one authority.
type Entry struct {
	// Number stands for the authority in the store's files. It is not used
	// again for another one.
	Number store.Authority
	Name   string
	// Quota is in bytes of store.Usage.Disk, or NoQuota. Who has used it up
	// can still read, and renew leases.
	Quota int64
	// Off: its swissnum is refused, as one that nobody knows. What it has
	// stored stays for others, and is charged to it.
	Off bool

	hash [32]byte // BLAKE2b-256 of the swissnum
}

// A Book is the authorities of one server, in one file. All methods may be
// called at once; what they change is durable when they return.
type Book struct {
	path string

	mu      sync.RWMutex
	entries []Entry         // guarded by mu; by number, the default one first
	next    store.Authority // guarded by mu; the number of the next one
}

// Errors of a Book, with words for a person.
var (
	ErrUnknown = errors.New("there is no authority of that name; lafs storage list shows them")
	errFull    = errors.New("there are as many authorities as a server can have")
)

// Open reads the book at path. A file that is not there is a book with the
// default authority alone, whose swissnum, if it is not nil, is the one that
// the node announces.
func Open(path string, announced *storage.Swissnum) (*Book, error) {
	b, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("read the authorities of the storage server: %w", err)
	}
	if announced != nil {
		b.entries[0].hash = hashOf([]byte(announced.Reveal()))
	}
	return b, nil
}

func hashOf(swissnum []byte) [32]byte { return blake2b.Sum256(swissnum) }

// Lookup returns the authority that a swissnum stands for. It takes as long
// for one that is switched off, or unknown, as for any other, and does not
// keep it.
func (b *Book) Lookup(swissnum []byte) (store.Authority, bool) {
	hash := hashOf(swissnum)
	b.mu.RLock()
	defer b.mu.RUnlock()
	var who, found int
	for i := range b.entries {
		e := &b.entries[i]
		same := subtle.ConstantTimeCompare(hash[:], e.hash[:])
		if e.Off || e.hash == [32]byte{} {
			same = 0
		}
		who = subtle.ConstantTimeSelect(same, int(e.Number), who)
		found |= same
	}
	return store.Authority(who), found == 1
}

// List returns all authorities, the default one first.
func (b *Book) List() []Entry {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := make([]Entry, len(b.entries))
	copy(out, b.entries)
	for i := range out {
		out[i].hash = [32]byte{}
	}
	return out
}

// Quotas are those of all authorities that have one.
func (b *Book) Quotas() map[store.Authority]int64 {
	out := map[store.Authority]int64{}
	for _, e := range b.List() {
		if e.Quota != NoQuota {
			out[e.Number] = e.Quota
		}
	}
	return out
}

// A Change is what Grant does to an authority.
type Change struct {
	// Quota is the new quota, nil to leave it as it is: none, for a new one.
	Quota *int64
	// Renew gives it another swissnum; the old one is refused from then on.
	Renew bool
}

// Grant makes an authority, or switches it on again and changes it. The
// swissnum is returned where it is new, and never again.
func (b *Book) Grant(name string, c Change) (Entry, *storage.Swissnum, error) {
	if err := checkName(name); err != nil {
		return Entry{}, nil, err
	}
	if c.Renew && name == DefaultName {
		return Entry{}, nil, errors.New("the swissnum of the default authority is the node's own and can't be changed; grant another one a name, and revoke the default one")
	}
	if c.Quota != nil && *c.Quota < 0 && *c.Quota != NoQuota {
		return Entry{}, nil, errors.New("the quota is negative")
	}
	var out Entry
	var sw *storage.Swissnum
	err := b.change(func(next *Book) error {
		e := next.find(name)
		if e == nil {
			if len(next.entries) >= maxEntries {
				return errFull
			}
			next.entries = append(next.entries, Entry{Number: next.next, Name: name, Quota: NoQuota})
			next.next++
			e = &next.entries[len(next.entries)-1]
			c.Renew = true
		}
		if c.Renew {
			sw = newSwissnum()
			e.hash = hashOf([]byte(sw.Reveal()))
		}
		if c.Quota != nil {
			e.Quota = *c.Quota
		}
		e.Off = false
		out = *e
		out.hash = [32]byte{}
		return nil
	})
	if err != nil {
		return Entry{}, nil, err
	}
	return out, sw, nil
}

// Revoke switches an authority off.
func (b *Book) Revoke(name string) error {
	return b.change(func(next *Book) error {
		e := next.find(name)
		if e == nil {
			return ErrUnknown
		}
		e.Off = true
		return nil
	})
}

// change makes what f does to a copy the book's, once it is on the disk.
func (b *Book) change(f func(next *Book) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := &Book{entries: append([]Entry(nil), b.entries...), next: b.next}
	if err := f(next); err != nil {
		return err
	}
	if err := durable.WriteFile(b.path, next.marshal(), 0o600); err != nil {
		return fmt.Errorf("write the authorities of the storage server: %w", err)
	}
	b.entries, b.next = next.entries, next.next
	return nil
}

func (b *Book) find(name string) *Entry {
	for i := range b.entries {
		if b.entries[i].Name == name {
			return &b.entries[i]
		}
	}
	return nil
}

func newSwissnum() *storage.Swissnum {
	raw := make([]byte, swissnumBytes)
	rand.Read(raw) // It never fails: it ends the program first.
	return storage.NewSwissnum(caps.Encoding.EncodeToString(raw))
}

// checkName refuses a name that could not be written on a command line, or
// shown.
func checkName(name string) error {
	bad := func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	if name == "" || len(name) > maxName || strings.HasPrefix(name, "-") || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("the name of an authority has 1 to %d letters, digits, -, _ and dots", maxName)
	}
	return nil
}
