package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The kernel's own files are longer than they say.
func TestSourceOfUnknownSize(t *testing.T) {
	in, size, err := new(app).openSource(t.Context(), "/proc/self/status")
	if err != nil {
		t.Skipf("no /proc here: %v", err)
	}
	defer in.Close()
	if size != -1 {
		t.Errorf("size: got %d, want -1 for unknown", size)
	}
}

// A named pipe that nobody writes to can be left.
func TestSourceOfPipeCanBeLeft(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("no named pipes here: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := new(app).openSource(ctx, pipe); !errors.Is(err, context.Canceled) {
		t.Errorf("openSource: got %v, want Canceled", err)
	}
	// The open that was given up must not outlive the test.
	if w, err := os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
		w.Close()
	}
}

func TestReadFURL(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	got, err := new(app).readFURL(write("good", " pb://x \n"))
	if err != nil || got != "pb://x" {
		t.Errorf("readFURL: got %q, %v, want the line", got, err)
	}
	for name, text := range map[string]string{"empty": "\n", "long": strings.Repeat("x", maxFURL+1)} {
		if _, err := new(app).readFURL(write(name, text)); err == nil {
			t.Errorf("readFURL of a file that is %s: no error", name)
		}
	}
	if _, err := new(app).readFURL(filepath.Join(dir, "absent")); err == nil {
		t.Error("readFURL of no file: no error")
	}
}
