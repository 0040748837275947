package onion_test

import (
	"errors"
	"strings"
	"testing"

	"lafs/onion"
)

func TestPin(t *testing.T) {
	p := onion.PinOf([]byte("a key"))
	if got, err := onion.ParsePin(p.String()); err != nil || got != p || len(p.String()) != 43 {
		t.Errorf("ParsePin(%q): got %v, %v", p, got, err)
	}
	for _, text := range []string{
		"", p.String()[1:], p.String() + "=", p.String() + "A", "+" + p.String()[1:], p.String()[:42] + "B", p.String() + "\n",
		strings.Repeat("!", 43),
	} {
		if _, err := onion.ParsePin(text); !errors.Is(err, onion.ErrBadPin) {
			t.Errorf("ParsePin(%q): got %v, want ErrBadPin", text, err)
		}
	}
}

// FuzzParsePin: what is read is written the same.
func FuzzParsePin(f *testing.F) {
	f.Add(onion.PinOf(nil).String())
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := onion.ParsePin(text); err == nil && p.String() != text {
			t.Errorf("ParsePin(%q) is %q", text, p)
		}
	})
}
