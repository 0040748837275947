package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// An event is one system call of the recorded run that matters: it changes
// the disk, or says what the run has acknowledged.
type event struct {
	what eventKind
	// path and to are relative to the recorded directory.
	path, to string
	// file tells files apart, whatever they are called.
	file   int
	offset int64
	data   []byte
}

type eventKind int

const (
	evCreate   eventKind = iota // file is made at path, empty
	evMkdir                     // path
	evRename                    // path becomes to
	evLink                      // path is also to
	evUnlink                    // path; also of directories
	evWrite                     // data at offset of file
	evTruncate                  // file gets offset bytes
	evSync                      // file
	evSyncDir                   // path
	evSyncAll
	evSay // data is a line that the run wrote
)

// A disk is the model of a file layer: what a process sees, and what a loss
// of power leaves. Of a file that is what was there at its last sync, of a
// directory the names at its own.
type disk struct {
	files map[int]*diskFile
	dirs  map[int]*diskDir // by number, in the order in which they were made
}

type diskFile struct {
	now, durable []byte
	pending      []event // writes and cuts since the last sync
}

type diskDir struct {
	now, durable map[string]entry
	pending      []change
}

// An entry is a name: of a directory, or of a file.
type entry struct {
	dir bool
	id  int
}

// A change is what happened to names of one directory at once: they get new
// entries; nil: they are gone.
type change map[string]*entry

const root = 0

func newDisk() *disk {
	return &disk{files: map[int]*diskFile{}, dirs: map[int]*diskDir{root: newDir()}}
}

func newDir() *diskDir { return &diskDir{now: map[string]entry{}, durable: map[string]entry{}} }

// find returns the directory that holds p, and p's entry, if there is one.
func (d *disk) find(p string) (dir int, name string, e *entry, err error) {
	dir, name = root, path.Base(p)
	parent := path.Dir(p)
	if p == "." {
		return root, ".", &entry{true, root}, nil
	}
	if parent != "." {
		_, _, e, err := d.find(parent)
		if err != nil || e == nil || !e.dir {
			return 0, "", nil, fmt.Errorf("no directory holds %s, %w", p, err)
		}
		dir = e.id
	}
	if e, ok := d.dirs[dir].now[name]; ok {
		return dir, name, &e, nil
	}
	return dir, name, nil, nil
}

func (d *disk) change(dir int, c change) {
	x := d.dirs[dir]
	apply(x.now, c)
	x.pending = append(x.pending, c)
}

func apply(names map[string]entry, c change) {
	for name, e := range c {
		if e == nil {
			delete(names, name)
		} else {
			names[name] = *e
		}
	}
}

// do carries an event out.
func (d *disk) do(ev event) error {
	switch ev.what {
	case evSay:
		return nil
	case evWrite, evTruncate, evSync:
		return d.doFile(ev)
	case evSyncAll:
		for _, f := range d.files {
			f.sync()
		}
		for _, x := range d.dirs {
			x.sync()
		}
		return nil
	}
	dir, name, e, err := d.find(ev.path)
	if err != nil {
		return err
	}
	switch ev.what {
	case evSyncDir:
		if e == nil || !e.dir {
			return fmt.Errorf("%s is no directory", ev.path)
		}
		d.dirs[e.id].sync()
	case evCreate:
		d.files[ev.file] = &diskFile{}
		d.change(dir, change{name: {id: ev.file}})
	case evMkdir:
		id := len(d.dirs)
		d.dirs[id] = newDir()
		d.change(dir, change{name: {true, id}})
	case evUnlink:
		d.change(dir, change{name: nil})
	case evRename, evLink:
		if e == nil {
			return fmt.Errorf("%s is not there", ev.path)
		}
		to, as, _, err := d.find(ev.to)
		if err != nil {
			return err
		}
		switch {
		case ev.what == evLink:
			d.change(to, change{as: e})
		case to == dir:
			// In one directory it is all or nothing.
			d.change(dir, change{name: nil, as: e})
		default:
			d.change(dir, change{name: nil})
			d.change(to, change{as: e})
		}
	}
	return nil
}

func (d *disk) doFile(ev event) error {
	f := d.files[ev.file]
	if f == nil {
		return fmt.Errorf("event %d of a file that was not made", ev.what)
	}
	if ev.what == evSync {
		f.sync()
		return nil
	}
	f.now = alter(f.now, ev)
	f.pending = append(f.pending, ev)
	return nil
}

func alter(b []byte, ev event) []byte {
	end := int(ev.offset) + len(ev.data)
	if ev.what == evTruncate {
		b = b[:min(len(b), end)]
	}
	if end > len(b) {
		b = append(b, make([]byte, end-len(b))...)
	}
	if ev.what == evWrite {
		copy(b[ev.offset:], ev.data)
	}
	return b
}

func (f *diskFile) sync() { f.durable, f.pending = bytes.Clone(f.now), nil }

func (x *diskDir) sync() { x.durable, x.pending = maps.Clone(x.now), nil }

// An image is what is left: paths with their bytes; nil: a directory.
type image map[string][]byte

// left is the disk after a loss of power. Without rng nothing is left that
// was not synced, else of each change perhaps some.
func (d *disk) left(rng *rand.Rand) image {
	out := image{}
	d.leave(out, ".", root, rng)
	return out
}

func (d *disk) leave(out image, at string, dir int, rng *rand.Rand) {
	x := d.dirs[dir]
	names := maps.Clone(x.durable)
	for _, c := range x.pending {
		if rng != nil && rng.IntN(2) == 0 {
			apply(names, c)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		p := path.Join(at, name)
		if e := names[name]; e.dir {
			out[p] = nil
			d.leave(out, p, e.id, rng)
		} else {
			out[p] = d.files[e.id].left(rng)
		}
	}
}

// sector is what a disk writes as a whole.
const sector = 512

func (f *diskFile) left(rng *rand.Rand) []byte {
	b := append([]byte{}, f.durable...)
	for _, ev := range f.pending {
		if rng == nil {
			continue
		}
		switch rng.IntN(4) {
		case 0, 1:
			b = alter(b, ev)
		case 2:
			// A write that was torn.
			if n := len(ev.data) / sector; ev.what == evWrite && n > 0 {
				ev.data = ev.data[:rng.IntN(n)*sector]
				b = alter(b, ev)
			}
		}
	}
	return b
}

// sum tells images apart.
func (m image) sum() (out [32]byte) {
	h := sha256.New()
	for _, p := range slices.Sorted(maps.Keys(m)) {
		b := m[p]
		h.Write(binary.BigEndian.AppendUint64([]byte(p), uint64(len(b))))
		if b == nil {
			h.Write([]byte("dir"))
		}
		h.Write(b)
	}
	h.Sum(out[:0])
	return out
}

// write makes the files of an image in dir.
func (m image) write(dir string) error {
	for _, p := range slices.Sorted(maps.Keys(m)) {
		to := filepath.Join(dir, filepath.FromSlash(p))
		var err error
		if m[p] == nil {
			err = os.Mkdir(to, 0o700)
		} else {
			err = os.WriteFile(to, m[p], 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
