package gateway_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"lafs/node/gateway"
	"lafs/shares/caps"
	"lafs/shares/mutable"
)

func TestPutIntoDirectory(t *testing.T) {
	tr := plant(t, nil)
	long := strings.Repeat("long ", 100)
	if got := tr.want(201, "PUT", tr.root+"/file", long); got != capOf([]byte(long)).Reveal() {
		t.Errorf("PUT: got %q, want the cap of the file", got)
	}
	for _, path := range []string{"/file", "/file/"} {
		if got := tr.want(200, "GET", tr.root+path, ""); got != long {
			t.Errorf("GET: got %q", got)
		}
	}
	if got := tr.want(200, "PUT", tr.root+"/file", "other "+long); got != capOf([]byte("other "+long)).Reveal() {
		t.Errorf("PUT again: got %q", got)
	}
	tr.want(409, "PUT", tr.root+"/file?replace=false", "third")
	tr.want(200, "PUT", tr.root+"/file?replace=only-files", long)

	// Directories on the way are made, of which two may be there.
	tr.want(201, "PUT", tr.root+"/a/b/c/deep", "x")
	tr.want(201, "PUT", tr.root+"/a/b/c/deeper", "y")
	tr.want(201, "PUT", tr.root+"/a/other", "z")
	if got := tr.names(tr.root + "/a/b/c/"); !maps.Equal(got, map[string]bool{"deep": true, "deeper": true}) {
		t.Errorf("a/b/c holds %v", got)
	}
	for _, target := range []string{"/a", "/a?replace=only-files", "/a?replace=true"} {
		tr.want(409, "PUT", tr.root+target, "a file over a directory")
	}
	tr.want(409, "PUT", tr.root+"/file/below", "below a file")
	tr.want(409, "PUT", tr.root+"/a/other/below/there", "below a file")
	tr.want(400, "PUT", tr.root, "a directory has no bytes")
	tr.want(400, "PUT", tr.root+"/new?offset=1", "nothing is there to be patched")
	tr.want(400, "PUT", tr.root+"/file?offset=1", "it can't change")
	tr.want(400, "PUT", tr.root+"/file?offset=-1", "x")
	tr.want(400, "PUT", tr.root+"/file?replace=perhaps", "x")
	if got := tr.want(200, "GET", tr.root+"/a/b/c/deep", ""); got != "x" {
		t.Errorf("a/b/c/deep: got %q", got)
	}

	// Of a large file nothing is stored before its place is known.
	before := len(tr.grid.files)
	tr.want(409, "PUT", tr.root+"/file?replace=false", strings.Repeat("x", 100000))
	if len(tr.grid.files) != before {
		t.Error("a large file was stored that has no place")
	}
}

// A directory that somebody makes while a file is being put in its place is
// not thrown away.
func TestDirectoryComesFirst(t *testing.T) {
	tr := plant(t, nil)
	tr.grid.during = func() { tr.want(201, "PUT", tr.root+"/name/in/it", "x") }
	tr.want(409, "PUT", tr.root+"/name", strings.Repeat("x", 100000))
	if got := tr.want(200, "GET", tr.root+"/name/in/it", ""); got != "x" {
		t.Errorf("the directory's file: got %q", got)
	}
	// Another file is replaced: nobody asked to keep it.
	tr.grid.during = func() { tr.want(201, "PUT", tr.root+"/file", "x") }
	tr.want(200, "PUT", tr.root+"/file", strings.Repeat("y", 100000))
	tr.grid.during = func() { tr.want(201, "PUT", tr.root+"/third", "x") }
	tr.want(409, "PUT", tr.root+"/third?replace=false", strings.Repeat("y", 100000))
}

func TestMutableFiles(t *testing.T) {
	tr := plant(t, nil)
	for _, tt := range []struct{ query, kind string }{
		{"?format=SDMF", "URI:SSK:"}, {"?format=mdmf", "URI:MDMF:"}, {"?mutable=true", "URI:SSK:"}, {"?format=MDMF&mutable=true", "URI:MDMF:"},
	} {
		unlinked := tr.want(200, "PUT", "/uri"+tt.query, "content")
		linked := tr.want(201, "PUT", tr.root+"/"+url.PathEscape(tt.query)+tt.query, "content")
		for _, c := range []string{unlinked, linked} {
			if !strings.HasPrefix(c, tt.kind) {
				t.Fatalf("%s: got %q, want %s", tt.query, c, tt.kind)
			}
			file := "/uri/" + c
			if got := tr.want(200, "PUT", file, "0123456789"); got != c {
				t.Errorf("overwrite: got %q, want the same cap", got)
			}
			tr.want(200, "PUT", file+"?offset=3", "xyz")
			tr.want(200, "PUT", file+"?offset=10", "+")
			tr.want(400, "PUT", file+"?offset=12", "a gap")
			tr.want(409, "PUT", file+"?replace=false", "no")
			if got := tr.want(200, "GET", file, ""); got != "012xyz6789+" {
				t.Errorf("GET: got %q", got)
			}
			read := tr.want(200, "GET", file+"?t=readonly-uri", "")
			if got := tr.want(200, "GET", "/uri/"+read, ""); got != "012xyz6789+" {
				t.Errorf("GET with the read cap: got %q", got)
			}
			tr.want(400, "PUT", "/uri/"+read, "no right")
		}
	}
	// One in a directory is written where it is, whatever format is asked for.
	c := tr.want(201, "PUT", tr.root+"/m?format=SDMF", "old")
	if got := tr.want(200, "PUT", tr.root+"/m", "new"); got != c {
		t.Errorf("PUT over a mutable file: got %q, want its cap", got)
	}
	tr.want(200, "PUT", tr.root+"/m?offset=3", "er")
	if got := tr.want(200, "GET", "/uri/"+c, ""); got != "newer" {
		t.Errorf("got %q, want what was put through the directory", got)
	}
	readRoot := "/uri/" + tr.want(200, "GET", tr.root+"?t=readonly-uri", "")
	tr.want(400, "PUT", readRoot+"/m", "no right")
	tr.want(400, "PUT", readRoot+"/n", "no right")
	tr.want(400, "PUT", "/uri/"+capOf([]byte("x")).Reveal(), "immutable")
	tr.want(400, "PUT", "/uri?format=SSK", "no such format")
	tr.want(400, "PUT", "/uri/"+c+"/child", "files have none")
}

func TestMutableRange(t *testing.T) {
	tr := plant(t, func(c *gateway.Config) { c.MaxMutable = 16 })
	file := "/uri/" + tr.want(200, "PUT", "/uri?format=MDMF", "0123456789")
	for _, tt := range []struct {
		header string
		status int
		body   string
	}{
		{"bytes=0-0", 206, "0"}, {"bytes=3-5", 206, "345"}, {"bytes=7-", 206, "789"}, {"bytes=7-100", 206, "789"},
		{"bytes=-4", 206, "6789"}, {"bytes=-400", 206, "0123456789"}, {"bytes=0-0,2-3", 200, "0123456789"}, {"bytes=x", 200, "0123456789"},
		{"bytes=10-", 416, ""}, {"bytes=-0", 416, ""}, {"bytes=99999999999999999999999-", 416, ""},
	} {
		resp, body := tr.ask("GET", file, nil, "Range: "+tt.header)
		if resp.StatusCode != tt.status || tt.status != 416 && body != tt.body {
			t.Errorf("%s: got %d %q, want %d %q", tt.header, resp.StatusCode, body, tt.status, tt.body)
		}
		head, _ := tr.ask("HEAD", file, nil, "Range: "+tt.header)
		if head.StatusCode != tt.status || tt.status != 416 && head.ContentLength != int64(len(tt.body)) {
			t.Errorf("HEAD, %s: got %d, %d bytes", tt.header, head.StatusCode, head.ContentLength)
		}
	}
	if resp, _ := tr.ask("GET", file, nil); resp.Header.Get("ETag") != "" {
		t.Error("a mutable file has an ETag")
	}
	// What does not fit into memory.
	tr.want(413, "PUT", "/uri?format=SDMF", strings.Repeat("x", 17))
	tr.want(413, "PUT", file, strings.Repeat("x", 17))
	tr.want(413, "PUT", file+"?offset=10", strings.Repeat("x", 7))
	tr.want(200, "PUT", file+"?offset=10", strings.Repeat("x", 6))
	c, err := caps.Parse(strings.TrimPrefix(file, "/uri/"))
	if err != nil {
		t.Fatal(err)
	}
	tr.objects.contents[index(c)] = []byte("01234567890123456789")
	tr.want(413, "GET", file, "")
	if got := tr.want(206, "GET", file, "", "Range: bytes=18-"); got != "89" {
		t.Errorf("a range of a large file: got %q", got)
	}
}

func TestMkdir(t *testing.T) {
	for _, preferred := range []mutable.Format{mutable.SDMF, mutable.MDMF} {
		tr := plant(t, func(c *gateway.Config) { c.Format = preferred })
		kind := map[mutable.Format]string{mutable.SDMF: "URI:DIR2:", mutable.MDMF: "URI:DIR2-MDMF:"}[preferred]
		for _, tt := range []struct{ method, target, want string }{
			{"POST", "/uri?t=mkdir", kind}, {"PUT", "/uri?t=mkdir", kind}, {"POST", "/uri/?t=mkdir", kind},
			{"POST", "/uri?t=mkdir&format=mdmf", "URI:DIR2-MDMF:"}, {"POST", "/uri?t=mkdir&format=SDMF", "URI:DIR2:"},
			{"POST", tr.root + "?t=mkdir&name=a", kind}, {"POST", tr.root + "/b?t=mkdir", kind}, {"PUT", tr.root + "/c?t=mkdir&format=MDMF", "URI:DIR2-MDMF:"},
			{"POST", tr.root + "/x/y/?t=mkdir&name=z", kind}, {"PUT", tr.root + "/p/q/r?t=mkdir", kind},
		} {
			if got := tr.want(200, tt.method, tt.target, ""); !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s: got %q, want %s…", tail(tt.target), got, tt.want)
			}
		}
		if got := tr.names(tr.root); !maps.Equal(got, map[string]bool{"a": true, "b": true, "c": true, "x": true, "p": true}) {
			t.Errorf("the root holds %v", got)
		}
	}
	tr := plant(t, nil)
	// A directory that is there stays, unless the request says otherwise.
	a := tr.want(200, "POST", tr.root+"?t=mkdir&name=a", "")
	tr.want(201, "PUT", tr.root+"/a/file", "x")
	for _, target := range []string{"?t=mkdir&name=a", "/a?t=mkdir"} {
		if got := tr.want(200, "POST", tr.root+target, ""); got != a {
			t.Errorf("%s: got %q, want the directory that is there", target, got)
		}
	}
	tr.want(409, "POST", tr.root+"?t=mkdir&name=a&replace=false", "")
	tr.want(409, "POST", tr.root+"/a?t=mkdir-with-children", "{}")
	tr.want(409, "POST", tr.root+"/a/file?t=mkdir", "")
	tr.want(409, "POST", tr.root+"/a/file/b?t=mkdir", "")
	if got := tr.want(200, "POST", tr.root+"?t=mkdir&name=a&replace=true", ""); got == a {
		t.Error("replace=true: the old directory is still there")
	}
	tr.want(400, "POST", "/uri?t=mkdir&format=CHK", "")
	tr.want(400, "POST", "/uri?t=mkdir", "{}", "Content-Type: application/json")
	tr.want(400, "PUT", "/uri?t=mkdir", "{}")
	tr.want(400, "POST", tr.root+"?t=mkdir&name=x%2Fy", "")
	tr.want(400, "POST", "/uri/"+capOf([]byte("x")).Reveal()+"?t=mkdir&name=x", "")

	resp, _ := tr.ask("POST", "/uri?t=mkdir&redirect_to_result=true", nil)
	if to := resp.Header.Get("Location"); resp.StatusCode != 303 || !strings.HasPrefix(to, "/uri/URI:DIR2:") {
		t.Errorf("redirect_to_result: got %d %q", resp.StatusCode, to)
	}
	resp, _ = tr.ask("POST", tr.root+"?t=mkdir&name=b&when_done=/uri/x?save=true", nil)
	if to := resp.Header.Get("Location"); resp.StatusCode != 303 || to != "/uri/x?save=true" {
		t.Errorf("when_done: got %d %q", resp.StatusCode, to)
	}
	for _, away := range []string{"http://example.com/", "//example.com/", `/\example.com`, `\\example.com`, "javascript:x", "/%09/example.com", "https:x"} {
		tr.want(400, "POST", tr.root+"?t=mkdir&name=c&when_done="+away, "")
	}
	if tr.names(tr.root)["c"] {
		t.Error("a request that was refused made a directory")
	}
}

func TestMkdirWithChildren(t *testing.T) {
	tr := plant(t, nil)
	file := capOf([]byte("file"))
	lit := caps.NewLIT([]byte("small")).Reveal()
	body := fmt.Sprintf(`{"f": ["filenode", {"ro_uri": %q, "size": 4, "metadata": {"mtime": 5, "mine": [1, 2]}}], "é": ["filenode", {"rw_uri": null, "ro_uri": %q}]}`,
		file.Reveal(), lit)
	for _, target := range []string{"/uri?t=mkdir-with-children", "/uri?t=mkdir-immutable", tr.root + "/d?t=mkdir-with-children",
		tr.root + "/x?t=mkdir-immutable&name=i", tr.root + "/?t=mkdir-with-children&name=w&format=MDMF"} {
		for _, header := range []string{urlencoded, "Content-Type: application/json", "Content-Type: text/plain"} {
			if strings.HasPrefix(target, tr.root) && header == urlencoded {
				continue // Only once, where there may be only one.
			}
			if strings.HasPrefix(target, tr.root) && header == "Content-Type: text/plain" {
				status := 409
				if strings.Contains(target, "mkdir-immutable") {
					status = 200 // It is the same one.
				}
				tr.want(status, "POST", target, body, header)
				continue
			}
			c := tr.want(200, "POST", target, body, header)
			d := tr.json("/uri/" + c)
			f := d.Children["f"]
			if len(d.Children) != 2 || f.RO != file.Reveal() || f.Metadata["mtime"] != 5.0 || d.Children["é"].RO != lit {
				t.Errorf("%s: got %+v", tail(target), d)
			}
			if f.Metadata["tahoe"] == nil || d.Children["é"].Metadata["tahoe"] == nil {
				t.Errorf("%s: metadata without tahoe", tail(target))
			}
			if immutable := strings.Contains(target, "immutable"); immutable != strings.HasPrefix(c, "URI:DIR2-CHK:") || immutable == (d.RW != "") || immutable == *d.Mutable {
				t.Errorf("%s: got %q, %+v", tail(target), c, d)
			}
		}
	}
	if got := tr.want(200, "POST", "/uri?t=mkdir-immutable", "{}"); got != "URI:DIR2-LIT:" {
		t.Errorf("an empty immutable directory: got %q", got)
	}
	if d := tr.json("/uri/URI:DIR2-LIT:"); d.Kind != "dirnode" || d.Children == nil || len(d.Children) != 0 || *d.Mutable || d.Verify != "" {
		t.Errorf("an empty immutable directory: got %+v", d)
	}
	// A cap of the future is taken for immutable there.
	c := tr.want(200, "POST", "/uri?t=mkdir-immutable", `{"f": ["unknown", {"ro_uri": "ro.future"}]}`)
	if d := tr.json("/uri/" + c); d.Children["f"].Kind != "unknown" || d.Children["f"].RO != "imm.future" {
		t.Errorf("a cap of the future: got %+v", d)
	}
	for _, tt := range []struct{ name, t, body string }{
		{"writable", "mkdir-immutable", fmt.Sprintf(`{"f": ["dirnode", {"rw_uri": %q}]}`, tr.cap)},
		{"mutable", "mkdir-immutable", fmt.Sprintf(`{"f": ["dirnode", {"ro_uri": %q}]}`, tr.json(tr.root).RO)},
		{"write cap in the wrong place", "mkdir-with-children", fmt.Sprintf(`{"f": ["dirnode", {"ro_uri": %q}]}`, tr.cap)},
		{"unknown write cap", "mkdir-with-children", `{"f": ["unknown", {"rw_uri": "future"}]}`},
		{"no JSON", "mkdir-with-children", `{`},
		{"a list", "mkdir-with-children", `[]`},
		{"no list", "mkdir-with-children", `{"f": {"ro_uri": "x"}}`},
		{"short list", "mkdir-with-children", `{"f": ["filenode"]}`},
		{"no object", "mkdir-with-children", `{"f": ["filenode", "x"]}`},
		{"no cap", "mkdir-with-children", `{"f": ["filenode", {}]}`},
		{"bad cap", "mkdir-with-children", `{"f": ["filenode", {"ro_uri": "URI:CHK:x"}]}`},
		{"bad metadata", "mkdir-with-children", fmt.Sprintf(`{"f": ["filenode", {"ro_uri": %q, "metadata": 5}]}`, lit)},
		{"slash", "mkdir-with-children", fmt.Sprintf(`{"a/b": ["filenode", {"ro_uri": %q}]}`, lit)},
		{"no name", "mkdir-with-children", fmt.Sprintf(`{"": ["filenode", {"ro_uri": %q}]}`, lit)},
		{"not UTF-8", "mkdir-with-children", fmt.Sprintf("{\"\xff\": [\"filenode\", {\"ro_uri\": %q}]}", lit)},
		{"twice", "mkdir-with-children", fmt.Sprintf(`{"\u00e9": ["filenode", {"ro_uri": %q}], "e\u0301": ["filenode", {"ro_uri": %q}]}`, lit, lit)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr.t = t
			tr.want(400, "POST", "/uri?t="+tt.t, tt.body)
		})
	}
}

func TestJSON(t *testing.T) {
	tr := plant(t, nil)
	file := capOf([]byte("0123"))
	m := tr.want(201, "PUT", tr.root+"/m?format=MDMF", "12345")
	tr.want(200, "PUT", tr.root+"/f?t=uri", file.Reveal())
	sub := tr.want(200, "POST", tr.root+"?t=mkdir&name=d", "")
	tr.want(200, "POST", tr.root+"?t=set_children", `{"u": ["unknown", {"rw_uri": "future-rw", "ro_uri": "future-ro"}]}`)
	root, mr := tr.json(tr.root), tr.json("/uri/"+m)

	link := `"metadata":{"tahoe":{"linkcrtime":1000000000.0,"linkmotime":1000000000.0}}`
	fileText := fmt.Sprintf(`"ro_uri":%q,"verify_uri":%q,"size":4,"mutable":false,"format":"CHK"`, file.Reveal(), file.Verifier().Reveal())
	mText := fmt.Sprintf(`"ro_uri":%q,"rw_uri":%q,"verify_uri":%q,`, mr.RO, m, mr.Verify)
	subText := fmt.Sprintf(`"ro_uri":%q,"rw_uri":%q,"verify_uri":%q,"mutable":true`, tr.json(tr.root+"/d").RO, sub, tr.json(tr.root+"/d").Verify)
	for _, tt := range []struct{ name, target, want string }{
		{"file", "/uri/" + file.Reveal(), `["filenode",{` + fileText + `}]`},
		{"linked file", tr.root + "/f", `["filenode",{` + fileText + `,` + link + `}]`},
		{"mutable", "/uri/" + m, `["filenode",{` + mText + `"size":5,"mutable":true,"format":"MDMF"}]`},
		{"linked mutable", tr.root + "/m", `["filenode",{` + mText + `"size":5,"mutable":true,"format":"MDMF",` + link + `}]`},
		{"literal", "/uri/URI:LIT:", `["filenode",{"ro_uri":"URI:LIT:","size":0,"mutable":false,"format":"CHK"}]`},
		{"unknown", tr.root + "/u", `["unknown",{"ro_uri":"ro.future-ro","rw_uri":"future-rw",` + link + `}]`},
		{"verify cap", "/uri/" + file.Verifier().Reveal(), `["filenode",{"verify_uri":"` + file.Verifier().Reveal() + `","size":4,"mutable":false,"format":"CHK"}]`},
		{"unknown alone", "/uri/imm.future", `["unknown",{"ro_uri":"imm.future"}]`},
		{"directory", tr.root + "/d/", `["dirnode",{"children":{},` + subText + `}]`},
		{"root", tr.root + "/", `["dirnode",{"children":{` +
			`"d":["dirnode",{` + subText + `,` + link + `}],` +
			`"f":["filenode",{` + fileText + `,` + link + `}],` +
			`"m":["filenode",{` + mText + `"mutable":true,"format":"MDMF",` + link + `}],` +
			`"u":["unknown",{"ro_uri":"ro.future-ro","rw_uri":"future-rw",` + link + `}]},` +
			fmt.Sprintf(`"ro_uri":%q,"rw_uri":%q,"verify_uri":%q,"mutable":true}]`, root.RO, tr.cap, root.Verify)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr.t = t
			resp, text := tr.ask("GET", tt.target+"?t=json", nil)
			if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" || strings.TrimSpace(text) != tt.want {
				t.Errorf("got %d\n%s, want\n%s", resp.StatusCode, text, tt.want)
			}
		})
	}
	tr.t = t
	// Without the right to write there are no write caps, neither here nor below.
	text := tr.want(200, "GET", "/uri/"+root.RO+"?t=json", "")
	if strings.Contains(text, "rw_uri") || strings.Contains(text, tr.cap) || strings.Contains(text, m) {
		t.Errorf("through a read cap: got %s", text)
	}
	if got := tr.want(200, "GET", "/uri/"+root.RO+"/d?t=uri", ""); got != tr.json(tr.root+"/d").RO {
		t.Errorf("t=uri through a read cap: got %q", got)
	}
	if got := tr.want(200, "GET", tr.root+"/d?t=uri", ""); got != sub {
		t.Errorf("t=uri: got %q", got)
	}
	tr.want(404, "GET", "/uri/future?t=readonly-uri", "")
	// What cannot be had is told in JSON where JSON was asked for.
	for target, status := range map[string]int{
		tr.root + "/none?t=json": 404, tr.root + "/none/f?t=json": 404, tr.root + "/f/below?t=json": 400, "/uri/" + gone() + "?t=json": 410,
		"/uri/" + root.Verify + "?t=json": 400,
	} {
		var v struct{ Error string }
		if text := tr.want(status, "GET", target, ""); json.Unmarshal([]byte(text), &v) != nil || v.Error == "" {
			t.Errorf("%s: got %q", tail(target), text)
		}
	}
}

// gone is a directory that no server holds.
func gone() string {
	return "URI:DIR2:" + strings.Repeat("a", 26) + ":" + strings.Repeat("a", 52)
}

func TestLinks(t *testing.T) {
	tr := plant(t, nil)
	lit, other := caps.NewLIT([]byte("a")).Reveal(), caps.NewLIT([]byte("b")).Reveal()
	d := tr.want(200, "POST", tr.root+"?t=mkdir&name=d", "")
	if got := tr.want(200, "PUT", tr.root+"/f?t=uri", lit+"\n"); got != lit {
		t.Errorf("PUT t=uri: got %q", got)
	}
	tr.want(200, "PUT", tr.root+"/new/way/f?t=uri", lit)
	tr.want(409, "PUT", tr.root+"/f?t=uri&replace=false", other)
	tr.want(200, "PUT", tr.root+"/f?t=uri&replace=only-files", other)
	tr.want(409, "PUT", tr.root+"/d?t=uri&replace=only-files", lit)
	tr.want(409, "PUT", tr.root+"/f/g?t=uri", lit)
	tr.want(400, "PUT", tr.root+"?t=uri", lit)
	tr.want(400, "PUT", tr.root+"/f?t=uri", "URI:CHK:x")
	tr.want(400, "PUT", tr.root+"/f?t=uri", "")
	tr.want(400, "PUT", tr.root+"/f?t=uri", "a cap of the future")
	tr.want(200, "PUT", tr.root+"/u?t=uri", "ro.future")
	tr.want(413, "PUT", tr.root+"/f?t=uri", strings.Repeat("x", 1<<17))
	tr.want(200, "POST", tr.root+"/?t=uri&name=g&uri="+esc(lit), "")
	tr.want(200, "POST", tr.root+"/new/?t=uri", "name=h%20i&uri="+esc(lit), urlencoded)
	tr.want(409, "POST", tr.root+"/?t=uri&name=g&replace=false&uri="+esc(other), "")
	tr.want(400, "POST", tr.root+"/?t=uri&uri="+esc(other), "")
	tr.want(400, "POST", tr.root+"/?t=uri&name=x", "")
	if got := tr.want(200, "GET", tr.root+"/new/h%20i", ""); got != "a" {
		t.Errorf("the child of a form: got %q", got)
	}

	// Away with them.
	if got := tr.want(200, "DELETE", tr.root+"/new/way/f", ""); got != lit {
		t.Errorf("DELETE: got %q", got)
	}
	if got := tr.want(200, "DELETE", tr.root+"/d/", ""); got != d {
		t.Errorf("DELETE of a directory: got %q", got)
	}
	tr.want(404, "DELETE", tr.root+"/d", "")
	tr.want(404, "DELETE", tr.root+"/none/at/all", "")
	tr.want(400, "DELETE", tr.root, "")
	tr.want(400, "DELETE", tr.root+"/g/x", "")
	for _, how := range []string{"delete", "unlink"} {
		tr.want(200, "PUT", tr.root+"/victim?t=uri", lit)
		tr.want(200, "POST", tr.root+"/?t="+how+"&name=victim", "")
		tr.want(404, "POST", tr.root+"/?t="+how+"&name=victim", "")
		tr.want(404, "POST", tr.root+"/?t="+how, "")
	}
	read := "/uri/" + tr.json(tr.root).RO
	for _, r := range []struct{ method, target string }{
		{"DELETE", "/g"}, {"POST", "?t=unlink&name=g"}, {"PUT", "/x?t=uri"}, {"POST", "?t=mkdir&name=x"}, {"POST", "?t=rename&from_name=g&to_name=x"},
	} {
		body := ""
		if r.method == "PUT" {
			body = lit
		}
		tr.want(400, r.method, read+r.target, body)
	}
	if got := tr.names(tr.root); !maps.Equal(got, map[string]bool{"f": true, "g": true, "u": true, "new": true}) {
		t.Errorf("left are %v", got)
	}
}

func TestMoves(t *testing.T) {
	tr := plant(t, nil)
	put := func(name, content string) {
		tr.want(200, "PUT", tr.root+"/"+name+"?t=uri", caps.NewLIT([]byte(content)).Reveal())
	}
	put("a", "A")
	put("b", "B")
	d := tr.want(200, "POST", tr.root+"?t=mkdir&name=d", "")
	tr.want(200, "POST", tr.root+"/d/e?t=mkdir", "")
	far := tr.want(200, "POST", "/uri?t=mkdir", "")

	tr.want(200, "POST", tr.root+"?t=rename&from_name=a&to_name=a2", "")
	tr.want(409, "POST", tr.root+"?t=rename&from_name=a2&to_name=b&replace=false", "")
	tr.want(409, "POST", tr.root+"?t=rename&from_name=a2&to_name=d&replace=only-files", "")
	tr.want(200, "POST", tr.root+"/", "t=rename&from_name=a2&to_name=b", urlencoded)
	tr.want(404, "POST", tr.root+"?t=rename&from_name=a2&to_name=c", "")
	tr.want(400, "POST", tr.root+"?t=rename&from_name=b", "")
	tr.want(400, "POST", tr.root+"?t=rename&to_name=b", "")
	tr.want(400, "POST", tr.root+"?t=rename&from_name=b&to_name=x%2Fy", "")
	tr.want(400, "POST", tr.root+"?t=rename&from_name=b&to_name=c&to_dir="+esc(far), "")
	if got := tr.want(200, "GET", tr.root+"/b", ""); got != "A" {
		t.Errorf("after the renames: got %q", got)
	}

	tr.want(200, "POST", tr.root+"?t=relink&from_name=b&to_dir="+esc(far), "")
	tr.want(200, "POST", "/uri/"+far+"?t=relink&from_name=b&to_name=c&to_dir="+esc(d+"/e/"), "")
	if got := tr.want(200, "GET", tr.root+"/d/e/c", ""); got != "A" {
		t.Errorf("after the relinks: got %q", got)
	}
	tr.want(200, "POST", tr.root+"/d/e?t=relink&from_name=c&to_name=c2", "")
	put("c2", "C")
	tr.want(409, "POST", tr.root+"/d/e?t=relink&from_name=c2&replace=false&to_dir="+esc(tr.cap), "")
	tr.want(404, "POST", tr.root+"?t=relink&from_name=c2&to_dir="+esc(tr.cap+"/none"), "")
	tr.want(400, "POST", tr.root+"?t=relink&from_name=c2&to_dir="+esc(tr.cap+"//none"), "")
	tr.want(400, "POST", tr.root+"?t=relink&from_name=c2&to_dir=nowhere", "")
	tr.want(400, "POST", tr.root+"?t=relink&from_name=c2&to_dir="+esc(tr.json(tr.root).RO), "")
	if len(tr.names("/uri/"+far)) != 0 || !tr.names(tr.root + "/d/e")["c2"] {
		t.Error("the child is not where it was moved to")
	}

	// A directory does not get into itself, by whatever path.
	for _, to := range []string{tr.cap + "/d", tr.cap + "/d/e", tr.cap + "/d/e/", d, d + "/e"} {
		tr.want(400, "POST", tr.root+"?t=relink&from_name=d&to_dir="+esc(to), "")
		tr.want(400, "POST", tr.root+"?t=relink&from_name=d&to_name=x&to_dir="+esc(to), "")
	}
	tr.want(200, "GET", tr.root+"/d/e?t=json", "")
	for _, name := range []string{".", ".."} {
		tr.want(400, "POST", tr.root+"?t=rename&from_name=b&to_name="+name, "")
		tr.want(400, "POST", tr.root+"/d?t=relink&from_name=e&to_name="+name+"&to_dir="+esc(tr.cap), "")
	}
}

func TestSetChildren(t *testing.T) {
	tr := plant(t, nil)
	lit, other := caps.NewLIT([]byte("a")).Reveal(), caps.NewLIT([]byte("b")).Reveal()
	child := func(c, metadata string) string { return fmt.Sprintf(`["filenode", {"ro_uri": %q%s}]`, c, metadata) }
	tr.want(200, "POST", tr.root+"?t=set_children", `{"x": `+child(lit, `, "metadata": {"k": 1, "tahoe": {"linkcrtime": 7}}`)+`, "y": `+child(lit, "")+`}`, urlencoded)
	tr.want(200, "POST", tr.root+"?t=set-children&overwrite=true", `{"x": `+child(other, "")+`}`)
	d := tr.json(tr.root)
	if x := d.Children["x"]; x.RO != other || x.Metadata["k"] != 1.0 || x.Metadata["tahoe"].(map[string]any)["linkcrtime"] == 7.0 || len(d.Children) != 2 {
		t.Errorf("got %+v", d)
	}
	for _, q := range []string{"&overwrite=false", "&replace=false"} {
		tr.want(409, "POST", tr.root+"?t=set_children"+q, `{"x": `+child(lit, "")+`, "z": `+child(lit, "")+`}`)
	}
	if got := slices.Sorted(maps.Keys(tr.names(tr.root))); !slices.Equal(got, []string{"x", "y"}) {
		t.Errorf("a refused request left %v", got)
	}
	// What is read can be written.
	copied := tr.want(200, "POST", "/uri?t=mkdir", "")
	var whole []json.RawMessage
	var parts struct{ Children json.RawMessage }
	json.Unmarshal([]byte(tr.want(200, "GET", tr.root+"?t=json", "")), &whole)
	json.Unmarshal(whole[1], &parts)
	tr.want(200, "POST", "/uri/"+copied+"?t=set_children", string(parts.Children))
	if got := tr.json("/uri/" + copied).Children["x"]; got.RO != other || got.Metadata["k"] != 1.0 {
		t.Errorf("the copy has %+v", got)
	}
	tr.want(200, "POST", tr.root+"?t=set_children", "{}")
	tr.want(400, "POST", tr.root+"?t=set_children", "{")
	tr.want(400, "POST", "/uri?t=set_children", "{}")
	tr.want(400, "POST", tr.root+"?t=set_children", `{"x": `+child(tr.cap, "")+`}`)
}
