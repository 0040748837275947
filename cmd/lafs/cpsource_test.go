package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Directories that each hold the next one twice stand for more than any disk
// holds; a copy of them ends with an error.
func TestCopyOfMany(t *testing.T) {
	dir := t.TempDir()
	at := func(i int) string { return filepath.Join(dir, strconv.Itoa(i)) }
	for i := range 40 {
		if err := os.Mkdir(at(i), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b"} {
			if err := os.Symlink(at(i+1), filepath.Join(at(i), name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Mkdir(at(40), 0o700); err != nil {
		t.Fatal(err)
	}
	for first, bad := range map[int]bool{33: false, 0: true} {
		info, err := os.Stat(at(first))
		if err != nil {
			t.Fatal(err)
		}
		c := &copier{most: 1000}
		err = c.plant(t.Context(), newTree(), &thing{says: "here", local: true, path: at(first), info: info})
		if bad != (err != nil && strings.Contains(err.Error(), "more than 1000 things")) {
			t.Errorf("from %d on: %v", first, err)
		}
	}
}
