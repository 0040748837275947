package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"lafs/node/durable"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, text := range []string{"first", "", "third, longer"} {
		if err := durable.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("ReadFile: got %q, %v, want %q", got, err, text)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode: got %v, %v, want 0600", info.Mode(), err)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("directory holds %v, want only the file", got)
	}
}

func TestWriteFileFails(t *testing.T) {
	dir := t.TempDir()
	if err := durable.WriteFile(filepath.Join(dir, "none", "a"), nil, 0o600); err == nil {
		t.Error("WriteFile into a directory that is not there: got nil")
	}
	// A directory with an entry can not be replaced by a file: the rename
	// fails, and the temporary file must go.
	if err := os.MkdirAll(filepath.Join(dir, "b", "c"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(filepath.Join(dir, "b"), nil, 0o600); err == nil {
		t.Error("WriteFile over a directory: got nil")
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("directory holds %v, want only b", got)
	}
}

func TestAbort(t *testing.T) {
	dir := t.TempDir()
	f, err := durable.Create(filepath.Join(dir, "a"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("x"))
	f.Abort()
	f.Abort()
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("directory holds %v after Abort", got)
	}
}

func TestMkdir(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "b", "c")
	for range 2 {
		if err := durable.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		t.Errorf("Stat: got %v, %v, want a directory of 0700", info, err)
	}
	file := filepath.Join(dir, "file")
	os.WriteFile(file, nil, 0o600)
	for _, p := range []string{file, filepath.Join(file, "d")} {
		if err := durable.Mkdir(p, 0o700); err == nil {
			t.Errorf("Mkdir where a file is: got nil")
		}
	}
}

// What goes wrong is told of the file that was asked for.
func TestErrorNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "file")
	err := durable.WriteFile(path, []byte("x"), 0o600)
	if pe, ok := errors.AsType[*os.PathError](err); !ok || pe.Path != path || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("WriteFile: got %v, want that %s cannot be made", err, path)
	}
}
