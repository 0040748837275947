package authority

import (
	"bytes"
	"strings"
	"testing"

	"lafs/node/store"
)

func aBook() *Book {
	return &Book{next: 9, entries: []Entry{
		{Number: store.Default, Name: DefaultName, Quota: 7},
		{Number: 2, Name: "alice", Quota: NoQuota, hash: [32]byte{1}},
		{Number: 8, Name: "bob", Quota: 0, Off: true, hash: [32]byte{2}},
	}}
}

func TestFile(t *testing.T) {
	good := string(aBook().marshal())
	if b, err := parse([]byte(good)); err != nil || string(b.marshal()) != good {
		t.Fatalf("parse: got %v", err)
	}
	for _, tt := range []struct{ name, old, new string }{
		{"a newer format", `"format": 1`, `"format": 2`},
		{"no format", `"format": 1`, `"format": 0`},
		{"a number twice", `"number": 8`, `"number": 2`},
		{"a number to come", `"number": 8`, `"number": 9`},
		{"the node's own number", `"number": 1`, `"number": 0`},
		{"a name twice", `"bob"`, `"alice"`},
		{"another default", `"bob"`, `"default"`},
		{"no default", `"default"`, `"carol"`},
		{"a short hash", `"swissnum_blake2b": "01`, `"swissnum_blake2b": "`},
		{"no hash", `"swissnum_blake2b": "0100`, `"swissnum": "0100`},
		{"a negative quota", `"quota": 7`, `"quota": -7`},
		{"no end", "}\n", ""},
	} {
		bad := strings.Replace(good, tt.old, tt.new, 1)
		if tt.name == "no end" {
			bad = good[:len(good)-3]
		}
		if bad == good {
			t.Fatalf("%s: nothing was changed", tt.name)
		}
		if _, err := parse([]byte(bad)); err == nil {
			t.Errorf("%s: no error", tt.name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(aBook().marshal())
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := parse(text)
		if err != nil {
			return
		}
		again, err := parse(b.marshal())
		if err != nil || !bytes.Equal(again.marshal(), b.marshal()) {
			t.Fatalf("a round trip: %v", err)
		}
	})
}
