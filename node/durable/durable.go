// Package durable writes files that survive kill -9 and power loss: it is
// the one place that knows the order of write, fsync, rename and fsync of
// the directory. A reader sees the old file or the new one, never a part.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// WriteFile makes data the content of path, with mode perm whatever the
// umask. When it returns nil, that is durable; on an error what stood at
// path before still stands, unless only the last fsync of the directory
// failed: then either may be found after a crash.
func WriteFile(path string, data []byte, perm os.FileMode) error {
	f, err := Create(path, perm)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(data); err != nil {
		return of(path, err)
	}
	return f.Commit()
}

// of is err about the file that a person knows, not the temporary one.
func of(path string, err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return &os.PathError{Op: pe.Op, Path: path, Err: pe.Err}
	}
	return err
}

// A File is written beside its final name, and takes it at Commit.
// One goroutine uses it at a time.
type File struct {
	*os.File
	path string
	done bool
}

// Create starts a file that will be path, in a temporary file of mode perm
// in the same directory. Either Commit or Abort must follow.
func Create(path string, perm os.FileMode) (*File, error) {
	dir, name := filepath.Split(path)
	// os.CreateTemp opens with mode 0600, so the content is never readable
	// more widely than at the end.
	f, err := os.CreateTemp(filepath.Clean(dir+"."), "."+name+".tmp-*")
	if err != nil {
		return nil, of(path, err)
	}
	out := &File{File: f, path: path}
	if err := f.Chmod(perm); err != nil {
		out.Abort()
		return nil, err
	}
	return out, nil
}

// Commit makes what was written the content of the path, durably, and closes
// the file. On an error the file is gone, as by Abort.
func (f *File) Commit() error {
	if err := f.Sync(); err != nil {
		f.Abort()
		return of(f.path, err)
	}
	if err := f.Close(); err != nil {
		f.Abort()
		return of(f.path, err)
	}
	if err := Rename(f.Name(), f.path); err != nil {
		f.Abort()
		return err
	}
	f.done = true
	return nil
}

// Abort closes and removes the temporary file. After Commit it does nothing.
func (f *File) Abort() {
	if f.done {
		return
	}
	f.done = true
	f.Close()
	os.Remove(f.Name())
}

// Rename moves a file whose content was synced to its place, and makes the
// new name durable. The old name may come back with a crash if it was in
// another directory.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(to))
}

// Mkdir makes a directory and its missing parents, with mode perm, durably.
// That it is there already is no error.
func Mkdir(path string, perm os.FileMode) error {
	path = filepath.Clean(path)
	err := os.Mkdir(path, perm)
	parent := filepath.Dir(path)
	switch {
	case err == nil:
		return SyncDir(parent)
	case os.IsNotExist(err) && parent != path:
		if err := Mkdir(parent, perm); err != nil {
			return err
		}
		return Mkdir(path, perm)
	case os.IsExist(err):
		if info, statErr := os.Stat(path); statErr != nil || !info.IsDir() {
			return err
		}
		// Another caller may have made it this instant and not synced it
		// yet.
		return SyncDir(parent)
	}
	return err
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}
