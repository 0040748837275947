package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestPartOfTwoNames: in a directory where others write too, somebody puts a
// link to another file of this user's in the place of a part.
func TestPartOfTwoNames(t *testing.T) {
	for _, name := range []string{"as it was left", "the part", "the state"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			target, victim := filepath.Join(dir, "film"), filepath.Join(dir, "thesis")
			p, err := openPart(target, false)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.restart("tag"); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Write([]byte("the first bytes")); err != nil {
				t.Fatal(err)
			}
			if kept := p.leave(); kept == 0 {
				t.Fatal("leave: nothing was kept")
			}
			const text = "years of work"
			if err := os.WriteFile(victim, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			place := map[string]string{"the part": partPath(target), "the state": p.statePath()}[name]
			if place != "" {
				if err := errors.Join(os.Remove(place), os.Link(victim, place)); err != nil {
					t.Fatal(err)
				}
			}
			p, err = openPart(target, false)
			switch {
			case err == nil:
				p.leave()
				if place != "" {
					t.Error("openPart: a file of two names was taken for a part")
				}
			case place == "":
				t.Errorf("openPart: %v", err)
			case !errors.Is(err, errForeign):
				t.Errorf("openPart: got %v, want errForeign", err)
			}
			// Who asks for it loses the link, and not the file.
			if p, err = openPart(target, true); err != nil {
				t.Fatalf("openPart, fresh: %v", err)
			}
			p.leave()
			if got, err := os.ReadFile(victim); err != nil || string(got) != text {
				t.Errorf("the other file: got %q, %v, want %q", got, err, text)
			}
		})
	}
}
