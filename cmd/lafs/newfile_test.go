package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What cannot be written is named as the person named it, and nothing of it
// stays.
func TestNewFileNamesItsTarget(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "copy")
	_, err := newFile(target, func(w io.Writer) (int64, error) {
		return 0, &os.PathError{Op: "write", Path: w.(*os.File).Name(), Err: syscall.ENOSPC}
	})
	if err == nil || err.Error() != "write "+target+": no space left on device" {
		t.Errorf("newFile: got %v", err)
	}
	if _, err = newFile(filepath.Join(dir, "none", "copy"), nil); err == nil || strings.Contains(err.Error(), ".lafs-get") {
		t.Errorf("newFile: got %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("newFile left %v", left)
	}
}
