package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestReadEntry(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		kind, cap  string
		children   string
		err        error
	}{
		{"a file", `["filenode",{"ro_uri":"x","size":3}]` + "\n", kindFile, "x", "", nil},
		{"a directory", `["dirnode",{"children":{"a":["filenode",{"ro_uri":"1"}],"b":["unknown",{}]},"rw_uri":"y"}]`, kindDirectory, "y", "a=1 b= ", nil},
		{"children last", `["dirnode",{"rw_uri":"y","children":{"b":["filenode",{"ro_uri":"1"}]}}]`, kindDirectory, "y", "b=1 ", nil},
		{"empty", `["dirnode",{"children":{},"ro_uri":"y"}]`, kindDirectory, "y", "", nil},
		{"cut in a child", `["dirnode",{"children":{"a":["filenode",{"ro_u`, "", "", "", errBrokeOff},
		{"cut behind a child", `["dirnode",{"children":{"a":["filenode",{}]`, "", "", "a= ", errBrokeOff},
		{"cut before the end", `["dirnode",{"children":{},"ro_uri":"y"}`, "", "", "", errBrokeOff},
		{"nothing", ``, "", "", "", errBrokeOff},
		{"no list", `{"children":{}}`, "", "", "", errNotJSON},
		{"no JSON", `<html>`, "", "", "", errNotJSON},
		{"a child that is none", `["dirnode",{"children":{"a":7}}]`, "", "", "", errNotJSON},
		{"another shape", `["dirnode",{"children":[]}]`, "", "", "", errNotJSON},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			e, err := readEntry(json.NewDecoder(strings.NewReader(tt.text)), 2, func(name string, child entry) error {
				got += name + "=" + child.cap() + " "
				return nil
			})
			if !errors.Is(err, tt.err) || got != tt.children {
				t.Fatalf("got %q, %v, want %q, %v", got, err, tt.children, tt.err)
			}
			if err == nil && (e.kind != tt.kind || e.cap() != tt.cap) {
				t.Errorf("got %s %s", e.kind, e.cap())
			}
		})
	}
}

// A directory without an end is not read to its end.
func TestReadEntryBounds(t *testing.T) {
	forever := func(some string) io.Reader {
		r, w := io.Pipe()
		t.Cleanup(func() { r.Close() })
		go func() {
			for _, err := io.WriteString(w, `["dirnode",{"children":{"":[]`); err == nil; {
				_, err = io.WriteString(w, some)
			}
		}()
		return r
	}
	n := 0
	const many = 10000
	_, err := readEntry(json.NewDecoder(forever(strings.Repeat(`,"":[]`, 1000))), many, func(string, entry) error { n++; return nil })
	if !errors.Is(err, errTooMany) || n != many {
		t.Errorf("after %d entries: %v", n, err)
	}
	const most = 1 << 20
	body := &bounded{io.NopCloser(forever(`,"a":["filenode",{"size":` + strings.Repeat(" ", 1<<16) + `1}]`)), most}
	if _, err := readEntry(json.NewDecoder(body), maxEntries, func(string, entry) error { return nil }); !errors.Is(err, errTooLong) {
		t.Errorf("without an end: %v", err)
	}
	body = &bounded{io.NopCloser(forever(strings.Repeat("ä", 1<<16))), most}
	if err := copyJSON(io.Discard, body, false); !errors.Is(err, errTooLong) {
		t.Errorf("copied without an end: %v", err)
	}
	body = &bounded{io.NopCloser(strings.NewReader(strings.Repeat("a", most))), most}
	if got, err := io.ReadAll(body); err != nil || len(got) != most {
		t.Errorf("just as much as may be: %d, %v", len(got), err)
	}
}

func TestCopyJSON(t *testing.T) {
	for _, tt := range []struct{ text, plain, ascii string }{
		{`["a"]`, "[\"a\"]\n", "[\"a\"]\n"},
		{"[\"ä\U0001F600\"]\n", "[\"ä\U0001F600\"]\n", `["\u00e4\ud83d\ude00"]` + "\n"},
		{"\x1b[2J\u009b\x7f", "\x1b[2J\u009b\x7f\n", `\u001b[2J\u009b\u007f` + "\n"},
		{"\xff\ufffd", "\xff\ufffd\n", `\ufffd\ufffd` + "\n"},
	} {
		for _, ascii := range []bool{false, true} {
			want := tt.plain
			if ascii {
				want = tt.ascii
			}
			var got bytes.Buffer
			if err := copyJSON(&got, strings.NewReader(tt.text), ascii); err != nil || got.String() != want {
				t.Errorf("copyJSON %q: got %q, %v, want %q", tt.text, got.String(), err, want)
			}
		}
	}
}

// What is read entry by entry is what is read at once.
func FuzzReadEntry(f *testing.F) {
	f.Add([]byte(`["dirnode",{"children":{"a":["filenode",{"ro_uri":"x","size":3}],"b":["unknown",{}]},"rw_uri":"y","mutable":true}]`))
	f.Add([]byte(`["filenode",{"size":-1,"Children":{}}]`))
	f.Add([]byte(`["dirnode",{"children":{},"children":null}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		children := map[string]entry{}
		e, err := readEntry(json.NewDecoder(bytes.NewReader(text)), 100, func(name string, child entry) error {
			children[name] = child
			return nil
		})
		if err != nil {
			return
		}
		e.Children = children
		readsAgain(t, e)
	})
}
