package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The systemd unit of `lafs help service` is one that systemd takes.
func TestUnit(t *testing.T) {
	text, err := topicFiles.ReadFile("topics/service.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, unit, ok := strings.Cut(string(text), "  [Unit]\n")
	unit, _, ok2 := strings.Cut(unit, "\nIt leaves the network alone")
	if !ok || !ok2 {
		t.Fatal("the topic has no unit")
	}
	// Neither the program nor its user need be here.
	unit = strings.NewReplacer("/usr/local/bin/lafs", "/bin/true", "User=lafs", "User=root").Replace(unit)
	var b strings.Builder
	b.WriteString("[Unit]\n")
	for line := range strings.Lines(unit) {
		b.WriteString(strings.TrimPrefix(line, "  "))
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here")
	}
	path := filepath.Join(t.TempDir(), "lafs.service")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", path).CombinedOutput()
	// It tells of other units of the machine too.
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "lafs.service") {
			t.Error(strings.TrimSpace(line))
		}
	}
	if err != nil {
		t.Logf("systemd-analyze: %v, %s", err, out)
	}
}
