package caps_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"lafs/shares/caps"
)

// TestNothingLeaks prints every kind of cap in every way that code may fall
// into, and looks for any field of its text.
func TestNothingLeaks(t *testing.T) {
	for _, text := range []string{
		"URI:CHK:" + b16 + ":" + b32 + ":3:10:1000", "URI:CHK-Verifier:" + b16 + ":" + b32 + ":3:10:1000",
		"URI:LIT:" + b32, "URI:SSK:" + b16 + ":" + b32, "URI:SSK-RO:" + b16 + ":" + b32, "URI:SSK-Verifier:" + b16 + ":" + b32,
		"URI:DIR2:" + b16 + ":" + b32, "URI:DIR2-LIT:" + b32, "URI:DIR2-MDMF-Verifier:" + b16 + ":" + b32,
		"URI:FUTURE:" + b16 + ":" + b32,
	} {
		c := mustParse(t, text)
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", c)
			fmt.Fprintf(&out, verb+"\n", struct{ C caps.Cap }{c})
			fmt.Fprintf(&out, verb+"\n", []caps.Cap{c})
			fmt.Fprintf(&out, verb+"\n", dereference(c))
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("a", "cap", c, "in", struct{ C caps.Cap }{c})
		slog.New(slog.NewJSONHandler(&out, nil)).Info("a", "cap", c)
		raw, err := json.Marshal(c)
		fmt.Fprintln(&out, string(raw), err)
		for _, part := range []string{b16[4:], b32, strings.TrimPrefix(text, "URI:"), hexOf(b16), hexOf(b32)} {
			if !strings.Contains(text, "-Verifier:") || part == b16[4:] || part == hexOf(b16) {
				if strings.Contains(out.String(), part) {
					t.Errorf("%s: printed as %s", c.Kind(), out.String())
					break
				}
			}
		}
	}
}

func hexOf(s string) string {
	raw, _ := caps.Decode(s)
	return fmt.Sprintf("%x", raw[2:])
}

func dereference(c caps.Cap) any {
	switch c := c.(type) {
	case *caps.CHK:
		return *c
	case *caps.CHKVerifier:
		return *c
	case *caps.LIT:
		return *c
	case *caps.MutableWriter:
		return *c
	case *caps.MutableReader:
		return *c
	case *caps.MutableVerifier:
		return *c
	case *caps.Directory:
		return *c
	case *caps.Unknown:
		return *c
	}
	return nil
}

func TestKeysDoNotPrint(t *testing.T) {
	for _, k := range []any{caps.NewReadKey([16]byte{0xab, 0xcd}), caps.NewWriteKey([16]byte{0xab, 0xcd})} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d"} {
			if got := fmt.Sprintf(verb, k); got != "[secret]" {
				t.Errorf("%s: got %q", verb, got)
			}
		}
		if got := k.(slog.LogValuer).LogValue().String(); got != "[secret]" {
			t.Errorf("LogValue: got %q", got)
		}
	}
	if got := caps.StorageIndex([16]byte{1}).LogValue().String(); got != "aeaa…" {
		t.Errorf("LogValue of a storage index: got %q", got)
	}
}
