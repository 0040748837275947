package caps_test

import (
	"errors"
	"testing"

	"lafs/shares/caps"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"URI:CHK:" + b16 + ":" + b32 + ":3:10:1000", "URI:CHK-Verifier:" + b16 + ":" + b32 + ":1:256:1",
		"URI:LIT:", "URI:LIT:ae", "URI:SSK:" + b16 + ":" + b32, "URI:MDMF-RO:" + b16 + ":" + b32 + ":3:131073",
		"URI:DIR2:" + b16 + ":" + b32, "URI:DIR2-CHK:" + b16 + ":" + b32 + ":3:10:1000", "URI:DIR2-LIT:",
		"ro.URI:SSK-RO:" + b16 + ":" + b32, "imm.x", "URI:", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := caps.Parse(text)
		if err != nil {
			if !errors.Is(err, caps.ErrSyntax) {
				t.Fatalf("Parse: %v is no ErrSyntax", err)
			}
			return
		}
		again, err := caps.Parse(c.Reveal())
		if err != nil || again.Reveal() != c.Reveal() || again.Kind() != c.Kind() {
			t.Fatalf("Parse of what Reveal wrote: %v", err)
		}
		for _, less := range []caps.Cap{c.ReadOnly(), c.Verifier()} {
			if less == nil {
				continue
			}
			if less.Kind().Writable() {
				t.Fatalf("attenuated to a %s cap, which can write", less.Kind())
			}
			if _, err := caps.Parse(less.Reveal()); err != nil {
				t.Fatalf("Parse of an attenuated cap: %v", err)
			}
		}
	})
}
