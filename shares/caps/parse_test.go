package caps_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lafs/shares/caps"
	"lafs/shares/hashes"
)

const (
	b16 = "yzxcoagbetwet65ltjpbqyli3m"
	b32 = "6b7inuiha2xdtgqzd55i6aeggutnxzr6qfwpv2ep5xlln6pgef7a"
)

func mustParse(t *testing.T, text string) caps.Cap {
	t.Helper()
	c, err := caps.Parse(text)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return c
}

func reveal(c caps.Cap) string {
	if c == nil {
		return "-"
	}
	return c.Reveal()
}

func TestKinds(t *testing.T) {
	for _, tc := range []struct {
		kind              caps.Kind
		fields            string
		readOnly          caps.Kind
		verifier          caps.Kind
		writable, mutable bool
	}{
		{caps.KindCHK, b16 + ":" + b32 + ":3:10:1000", caps.KindCHK, caps.KindCHKVerifier, false, false},
		{caps.KindCHKVerifier, b16 + ":" + b32 + ":3:10:1000", caps.KindCHKVerifier, caps.KindCHKVerifier, false, false},
		{caps.KindLIT, "guds4m6xq2dzweeqh2k6e7mxb3vmggyc", caps.KindLIT, "", false, false},
		{caps.KindLIT, "", caps.KindLIT, "", false, false},
		{caps.KindSSK, b16 + ":" + b32, caps.KindSSKReader, caps.KindSSKVerifier, true, true},
		{caps.KindSSKReader, b16 + ":" + b32, caps.KindSSKReader, caps.KindSSKVerifier, false, true},
		{caps.KindSSKVerifier, b16 + ":" + b32, caps.KindSSKVerifier, caps.KindSSKVerifier, false, true},
		{caps.KindMDMF, b16 + ":" + b32, caps.KindMDMFReader, caps.KindMDMFVerifier, true, true},
		{caps.KindMDMFReader, b16 + ":" + b32, caps.KindMDMFReader, caps.KindMDMFVerifier, false, true},
		{caps.KindMDMFVerifier, b16 + ":" + b32, caps.KindMDMFVerifier, caps.KindMDMFVerifier, false, true},
		{caps.KindDir, b16 + ":" + b32, caps.KindDirReader, caps.KindDirVerifier, true, true},
		{caps.KindDirReader, b16 + ":" + b32, caps.KindDirReader, caps.KindDirVerifier, false, true},
		{caps.KindDirVerifier, b16 + ":" + b32, caps.KindDirVerifier, caps.KindDirVerifier, false, true},
		{caps.KindDirMDMF, b16 + ":" + b32, caps.KindDirMDMFReader, caps.KindDirMDMFVerifier, true, true},
		{caps.KindDirMDMFReader, b16 + ":" + b32, caps.KindDirMDMFReader, caps.KindDirMDMFVerifier, false, true},
		{caps.KindDirMDMFVerifier, b16 + ":" + b32, caps.KindDirMDMFVerifier, caps.KindDirMDMFVerifier, false, true},
		{caps.KindDirCHK, b16 + ":" + b32 + ":1:1:1", caps.KindDirCHK, caps.KindDirCHKVerifier, false, false},
		{caps.KindDirCHKVerifier, b16 + ":" + b32 + ":256:256:1", caps.KindDirCHKVerifier, caps.KindDirCHKVerifier, false, false},
		{caps.KindDirLIT, "giztumj2mewdqosvkjetutcjkq5cymb2fqzdu635fqwa", caps.KindDirLIT, "", false, false},
	} {
		t.Run(string(tc.kind), func(t *testing.T) {
			text := "URI:" + string(tc.kind) + ":" + tc.fields
			c := mustParse(t, text)
			if c.Kind() != tc.kind || c.Reveal() != text {
				t.Errorf("Parse: got kind %s and text %q", c.Kind(), c.Reveal())
			}
			if c.Kind().Writable() != tc.writable || c.Kind().Mutable() != tc.mutable {
				t.Errorf("Kind: writable %v, mutable %v", c.Kind().Writable(), c.Kind().Mutable())
			}
			if got := c.ReadOnly(); got.Kind() != tc.readOnly {
				t.Errorf("ReadOnly: got %s, want %s", got.Kind(), tc.readOnly)
			}
			v := c.Verifier()
			if (v == nil) != (tc.verifier == "") || v != nil && v.Kind() != tc.verifier {
				t.Errorf("Verifier: got %v, want %q", v, tc.verifier)
			}
			testPromises(t, text, tc.writable, tc.mutable)
		})
	}
}

// testPromises: a promise that the cap breaks is refused, one that it keeps
// is dropped.
func testPromises(t *testing.T, text string, writable, mutable bool) {
	for prefix, broken := range map[string]bool{"ro.": writable, "imm.": mutable && !strings.Contains(text, "-Verifier:")} {
		c, err := caps.Parse(prefix + text)
		switch {
		case broken && !errors.Is(err, caps.ErrSyntax):
			t.Errorf("Parse: %s is accepted before a cap that does not keep it", prefix)
		case !broken && (err != nil || c.Reveal() != text):
			t.Errorf("Parse: %s before a cap that keeps it: %v", prefix, err)
		}
	}
}

func TestHintsAreDropped(t *testing.T) {
	for _, kind := range []string{"MDMF", "MDMF-RO", "MDMF-Verifier", "DIR2-MDMF", "DIR2-MDMF-RO", "DIR2-MDMF-Verifier"} {
		text := "URI:" + kind + ":" + b16 + ":" + b32
		for _, hint := range []string{":", ":3:131073", ":anything at all::"} {
			if got := mustParse(t, text+hint).Reveal(); got != text {
				t.Errorf("Parse %s with hint %q: got %q", kind, hint, got)
			}
		}
	}
}

func TestUnknown(t *testing.T) {
	for text, readOnly := range map[string]bool{
		"lafs://from_the_future_\u263a": false, "URI:CHK": false, "URI:chk:x": false, "x": false,
		"URI:SSK-RW:" + b16 + ":" + b32: false,
		"URI:NEW:" + b16:                false,
		"URI:unknown:x":                 false,
		"ro.lafs://future":              true,
		"imm.URI:NEW:x":                 true,
		"ro.imm.URI:LIT:":               true,
		"imm.":                          true,
	} {
		c := mustParse(t, text)
		if c.Kind() != caps.KindUnknown || c.Reveal() != text || c.Verifier() != nil {
			t.Errorf("Parse %q: got %s %q", text, c.Kind(), c.Reveal())
		}
		if got := c.ReadOnly() != nil; got != readOnly {
			t.Errorf("ReadOnly of %q: %v, want %v", text, got, readOnly)
		}
	}
}

func TestRefused(t *testing.T) {
	chk := "URI:CHK:" + b16 + ":" + b32
	for name, text := range map[string]string{
		"empty":                   "",
		"long":                    strings.Repeat("x", caps.MaxLength+1),
		"k is zero":               chk + ":0:10:1000",
		"k above N":               chk + ":11:10:1000",
		"N above 256":             chk + ":3:257:1000",
		"leading zero":            chk + ":03:10:1000",
		"leading zero in size":    chk + ":3:10:01000",
		"sign":                    chk + ":+3:10:1000",
		"negative":                chk + ":3:10:-1",
		"no bytes":                chk + ":3:10:0",
		"too large":               fmt.Sprintf("%s:3:10:%d", chk, int64(caps.MaxSize)+1),
		"beyond 64 bits":          chk + ":3:10:18446744073709551617",
		"trailing field":          chk + ":3:10:1000:",
		"trailing space":          chk + ":3:10:1000 ",
		"trailing newline":        chk + ":3:10:1000\n",
		"missing field":           chk + ":3:10",
		"upper case key":          strings.Replace(chk, b16, strings.ToUpper(b16), 1) + ":3:10:1000",
		"short key":               strings.Replace(chk, b16, b16[:25], 1) + ":3:10:1000",
		"long key":                strings.Replace(chk, b16, b16+"aa", 1) + ":3:10:1000",
		"unused bits":             strings.Replace(chk, b16, b16[:25]+"n", 1) + ":3:10:1000",
		"short hash":              strings.Replace(chk, b32, b32[:50], 1) + ":3:10:1000",
		"newline in key":          strings.Replace(chk, b16, b16[:9]+"\n"+b16[9:], 1) + ":3:10:1000",
		"LIT with unused bits":    "URI:LIT:ab",
		"LIT with trailing field": "URI:LIT:ae:",
		"SSK with hint":           "URI:SSK:" + b16 + ":" + b32 + ":3",
		"SSK with one field":      "URI:SSK:" + b16,
		"DIR2 with hint":          "URI:DIR2:" + b16 + ":" + b32 + ":",
		"MDMF, short fingerprint": "URI:MDMF:" + b16 + ":" + b32[:51] + ":",
		"directory of nothing":    "URI:DIR2-CHK:",
		"bad LIT in directory":    "URI:DIR2-LIT:1",
		"promised and bad":        "imm." + chk,
	} {
		c, err := caps.Parse(text)
		if !errors.Is(err, caps.ErrSyntax) || c != nil {
			t.Errorf("Parse, %s: got %v, %v, want ErrSyntax", name, c, err)
		} else if strings.Contains(err.Error(), b16[:8]) || strings.Contains(err.Error(), b32[:8]) {
			t.Errorf("Parse, %s: the error quotes the cap", name)
		}
	}
}

// What a person did wrong is said, so that he can put it right.
func TestRefusedSaysWhatToDo(t *testing.T) {
	chk := "URI:CHK:" + b16 + ":" + b32 + ":3:10:1000"
	for name, c := range map[string]struct{ text, want string }{
		"cut in the key":    {chk[:12], "cut off or mistyped"},
		"cut before N":      {"URI:CHK:" + b16 + ":" + b32 + ":3", "cut off or mistyped"},
		"slot cut":          {"URI:SSK:" + b16, "cut off or mistyped"},
		"directory cut":     {"URI:DIR2:" + b16, "cut off or mistyped"},
		"something follows": {chk + ":x", "something follows"},
		"double quotes":     {`"` + chk + `"`, "remove them"},
		"one quote":         {chk + `"`, "remove them"},
		"single quotes":     {"'" + chk + "'", "remove them"},
		"curly quotes":      {"\u201c" + chk + "\u201d", "remove them"},
		"byte order mark":   {"\ufeff" + chk, "remove them"},
		"newline":           {chk + "\n", "remove them"},
		"quoted promise":    {`"ro.` + chk + `"`, "remove them"},
	} {
		if _, err := caps.Parse(c.text); !errors.Is(err, caps.ErrSyntax) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Parse, %s: got %v, want ErrSyntax that says %q", name, err, c.want)
		}
	}
	if c := mustParse(t, `"from the future"`); c.Kind() != caps.KindUnknown {
		t.Errorf("a quoted text of no known kind is a %s cap", c.Kind())
	}
}

func TestNewDirectory(t *testing.T) {
	for _, text := range []string{"URI:DIR2-LIT:", "some.thing"} {
		if _, err := caps.NewDirectory(mustParse(t, text)); !errors.Is(err, caps.ErrSyntax) {
			t.Errorf("NewDirectory: got %v, want ErrSyntax", err)
		}
	}
	d, err := caps.NewDirectory(caps.NewLIT(nil))
	if err != nil || d.Reveal() != "URI:DIR2-LIT:" || d.File().Reveal() != "URI:LIT:" {
		t.Errorf("NewDirectory: got %q, %v", reveal(d), err)
	}
}

// TestAttenuation compares with what Tahoe-LAFS gives for the same things.
func TestAttenuation(t *testing.T) {
	f, err := os.Open("testdata/attenuation.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), "#") {
			continue
		}
		lines++
		w := strings.Fields(s.Text())
		for i, text := range w {
			if text == "-" {
				continue
			}
			c := mustParse(t, text)
			if i < 2 && reveal(c.ReadOnly()) != w[1] {
				t.Errorf("ReadOnly of %q: got %q, want %q", text, reveal(c.ReadOnly()), w[1])
			}
			if reveal(c.Verifier()) != w[2] {
				t.Errorf("Verifier of %q: got %q, want %q", text, reveal(c.Verifier()), w[2])
			}
		}
	}
	if lines < 5 {
		t.Errorf("only %d lines in testdata", lines)
	}
}

func TestVectors(t *testing.T) {
	var file struct {
		Vector []struct{ Expected string }
	}
	raw, err := os.ReadFile(filepath.Join(vectors(t), "capabilities.json"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no capabilities.json among the vectors")
	} else if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	for i, v := range file.Vector {
		if got := mustParse(t, v.Expected).Reveal(); got != v.Expected {
			t.Errorf("vector %d: got %q, want %q", i, got, v.Expected)
		}
	}
}

// vectors finds the shared test vectors, or skips the test.
func vectors(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("LAFS_VECTORS")
	if dir == "" {
		dir = "../../../shared/vectors"
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no shared vectors: set LAFS_VECTORS to their folder")
	}
	return dir
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 256).Draw(t, "N")
		c := &caps.CHK{
			Key:     caps.NewReadKey([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key"))),
			UEBHash: hashes.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash")),
			Needed:  rapid.IntRange(1, n).Draw(t, "k"),
			Total:   n,
			Size:    rapid.Int64Range(1, caps.MaxSize).Draw(t, "size"),
		}
		for _, want := range []caps.Cap{c, c.Verifier(), caps.NewLIT(rapid.SliceOf(rapid.Byte()).Draw(t, "literal"))} {
			got, err := caps.Parse(want.Reveal())
			if err != nil || got.Reveal() != want.Reveal() || got.Kind() != want.Kind() {
				t.Fatalf("Parse of what Reveal wrote: %v", err)
			}
		}
		parsed, _ := caps.Parse(c.Reveal())
		if got := parsed.(*caps.CHK); got.Size != c.Size || got.Needed != c.Needed || got.Total != c.Total || got.UEBHash != c.UEBHash || got.StorageIndex() != c.StorageIndex() {
			t.Fatal("Parse: fields differ")
		}
	})
}
