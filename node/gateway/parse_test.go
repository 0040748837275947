package gateway

import (
	"encoding/json"
	"net/url"
	"slices"
	"testing"

	"lafs/node/dirnode"
)

func FuzzTarget(f *testing.F) {
	f.Add("/uri/URI%3ACHK")
	f.Add("/cap/x/")
	f.Add("/uri//")
	f.Add("/uri/x/a/b%20c/")
	f.Add("/uri/x/a%2Fb")
	f.Add("/named/x/@@named=/y")
	f.Fuzz(func(t *testing.T, escaped string) {
		got, ok, err := parseTarget(escaped)
		if !ok && err != nil || !ok && got.cap != "" {
			t.Errorf("parseTarget(%q) = %v, %v", escaped, ok, err)
		}
		if !ok || err != nil {
			return
		}
		again := "/uri/" + url.PathEscape(got.cap)
		for _, name := range got.names {
			if checkName(name) != nil {
				t.Errorf("parseTarget(%q): a name that is none", escaped)
			}
			again += "/" + url.PathEscape(name)
		}
		twice, ok, err := parseTarget(again)
		if !ok || err != nil || twice.cap != got.cap || !slices.Equal(twice.names, got.names) {
			t.Errorf("parseTarget(%q): other than of %q", again, escaped)
		}
	})
}

func FuzzChildren(f *testing.F) {
	f.Add([]byte(`{"a":["filenode",{"ro_uri":"URI:LIT:","metadata":{"x":1}}]}`))
	f.Add([]byte(`{"a":["unknown",{"rw_uri":"future","ro_uri":"ro.future"}]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		links, err := parseChildren(text, false)
		if err != nil {
			return
		}
		all := map[string]described{}
		for _, l := range links {
			kind, d := describe(l.Child)
			d.Metadata = json.RawMessage(l.Metadata)
			all[l.Name] = described{kind, d}
		}
		out, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseChildren(out, false)
		if err != nil || len(again) != len(links) {
			t.Fatalf("of what describe wrote: %v", err)
		}
		for _, l := range again {
			i := slices.IndexFunc(links, func(o dirnode.Link) bool { return o.Name == l.Name })
			if i < 0 || !links[i].Child.Equal(l.Child) {
				t.Errorf("a child is another once described")
			}
		}
	})
}
