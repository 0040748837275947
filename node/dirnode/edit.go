package dirnode

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"lafs/shares/caps"
)

// Edits are functions from a directory's content to its next one, for
// Objects.Modify: they may run several times, each time on a newer base, and
// what they tell is about the last run. An edit that finds itself done already
// returns the base as it is.

// A Replace says what may happen to a link that is in the way.
type Replace int

const (
	// Always replaces it.
	Always Replace = iota
	// Never leaves it, with ErrChildExists; unless it leads to the same child
	// with the same rights already: then nothing has to be done.
	Never
	// OnlyFiles replaces it unless it leads to a directory.
	OnlyFiles
)

// A Link is one link to set. Metadata replace those of the link that stood
// there; nil keeps them. Its tahoe key is the system's: what it holds here is
// dropped.
type Link struct {
	Name     string
	Child    Child
	Metadata Metadata
}

// admit decides about the link in the way of child. done tells that it is the
// same already, and that nothing else is wanted.
func (r Replace) admit(p place, old line, child Child) (done bool, err error) {
	if r == Always {
		return false, nil
	}
	e, err := p.decode(old.raw)
	if err != nil {
		// It may be a directory.
		return false, ErrChildExists
	}
	if e.Child.Equal(child) {
		return r == Never, nil
	}
	if r == Never || e.Child.IsDirectory() {
		return false, ErrChildExists
	}
	return false, nil
}

// A linking sets links.
type linking struct {
	place   place
	links   []Link
	replace Replace
	now     time.Time
	// replaced are the links that stood there in the last base.
	replaced []Entry
}

// newLinking checks what does not depend on the base.
func newLinking(key *caps.WriteKey, links []Link, replace Replace, now time.Time) (*linking, error) {
	l := &linking{place: place{key: key}, links: slices.Clone(links), replace: replace, now: now}
	names := make(map[string]bool, len(links))
	for i := range l.links {
		link := &l.links[i]
		var err error
		if link.Name, err = Normalize(link.Name); err != nil {
			return nil, err
		}
		if names[link.Name] {
			return nil, fmt.Errorf("%w: two are the same once normalized", ErrName)
		}
		names[link.Name] = true
		if link.Metadata != nil {
			if err := link.Metadata.check(); err != nil {
				return nil, err
			}
		}
		if _, err := l.place.encode(link.Name, link.Child, link.Metadata); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *linking) apply(base []byte) ([]byte, error) {
	c, err := parse(base)
	if err != nil {
		return nil, err
	}
	l.replaced = nil
	changes := make([]change, 0, len(l.links))
	for _, link := range l.links {
		var old Metadata
		if there, ok := c.find(link.Name); ok {
			child := link.Child
			if link.Metadata.NoWrite() || link.Metadata == nil && Metadata(there.metadata).NoWrite() {
				child = child.ReadOnly()
			}
			done, err := l.replace.admit(l.place, there, child)
			if err != nil {
				return nil, err
			}
			e, err := l.place.decode(there.raw)
			if err != nil {
				e = Entry{Name: link.Name}
			}
			l.replaced = append(l.replaced, e)
			if done {
				continue
			}
			if e.Metadata.check() == nil {
				old = e.Metadata
			}
		}
		r, err := l.entry(link, old)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change{link.Name, r.append(nil)})
	}
	if len(changes) == 0 {
		return base, nil
	}
	if len(c.lines)+len(changes)-len(l.replaced) > maxEntries {
		return nil, errTooManyEntries
	}
	if err := sortChanges(changes); err != nil {
		return nil, err
	}
	return c.apply(changes), nil
}

func (l *linking) entry(link Link, old Metadata) (raw, error) {
	m, err := update(old, link.Metadata, l.now)
	if err != nil {
		return raw{}, err
	}
	return l.place.encode(link.Name, link.Child, m)
}

// An unlinking removes one link.
type unlinking struct {
	place place
	key   string
	// only, if set, is the one child that is to be unlinked: any other that
	// has the name stays.
	only *Child
	// removed is what was found, in this base or an earlier one.
	removed *Entry
}

func (u *unlinking) apply(base []byte) ([]byte, error) {
	c, err := parse(base)
	if err != nil {
		return nil, err
	}
	there, ok := c.find(u.key)
	if !ok {
		// Once it has been seen, somebody has removed it: us, maybe.
		if u.removed == nil && u.only == nil {
			return nil, ErrNoChild
		}
		return base, nil
	}
	e, err := u.place.decode(there.raw)
	if u.only != nil && (err != nil || !e.Child.Equal(*u.only)) {
		return base, nil
	}
	if err != nil {
		e = Entry{Name: u.key}
	}
	u.removed = &e
	return c.apply([]change{{key: u.key}}), nil
}

// A renaming moves one link within a directory, in one step.
type renaming struct {
	place    place
	from, to string
	replace  Replace
	now      time.Time
	// moved is the entry as it was found, in this base or an earlier one.
	moved *raw
}

func (r *renaming) apply(base []byte) ([]byte, error) {
	c, err := parse(base)
	if err != nil {
		return nil, err
	}
	from, found := c.find(r.from)
	to, taken := c.find(r.to)
	if !found {
		if r.moved != nil && taken && bytes.Equal(to.read, r.moved.read) && bytes.Equal(to.write, r.moved.write) {
			return base, nil
		}
		return nil, ErrNoChild
	}
	moved := from.raw
	moved.name = []byte(r.to)
	r.moved = &moved
	var old Metadata
	if taken {
		child, err := r.place.child(from.raw)
		if err != nil && r.replace != Always {
			return nil, err
		}
		if _, err := r.replace.admit(r.place, to, child); err != nil {
			return nil, err
		}
		if Metadata(to.metadata).check() == nil {
			old = Metadata(to.metadata)
		}
	}
	if moved, err = r.place.remark(moved, old, Metadata(from.metadata), r.now); err != nil {
		return nil, err
	}
	changes := []change{{key: r.from}, {r.to, moved.append(nil)}}
	if err := sortChanges(changes); err != nil {
		return nil, err
	}
	return c.apply(changes), nil
}

// remark gives an entry new metadata; its caps stay as they are written
// unless the link may no longer write.
func (p place) remark(r raw, old, fresh Metadata, now time.Time) (raw, error) {
	m, err := update(old, fresh, now)
	if err != nil {
		return raw{}, err
	}
	r.metadata = m
	if !m.NoWrite() {
		return r, nil
	}
	child, err := p.child(r)
	if err != nil {
		return raw{}, err
	}
	// What the write cap gave counts, whatever stood beside it.
	r.read = []byte(kept(child.Read, false))
	r.write = encrypt(p.key, nil)
	return r, nil
}

// A marking sets the metadata of one link.
type marking struct {
	place    place
	key      string
	metadata Metadata
	now      time.Time
}

func (m *marking) apply(base []byte) ([]byte, error) {
	c, err := parse(base)
	if err != nil {
		return nil, err
	}
	there, ok := c.find(m.key)
	if !ok {
		return nil, ErrNoChild
	}
	old := Metadata(there.metadata)
	if old.check() != nil {
		old = nil
	}
	r, err := m.place.remark(there.raw, old, m.metadata, m.now)
	if err != nil {
		return nil, err
	}
	return c.apply([]change{{m.key, r.append(nil)}}), nil
}
