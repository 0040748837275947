package gateway_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"mime/multipart"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/gateway"
	"lafs/shares/caps"
	"lafs/shares/mutable"
)

// form writes a form: pairs of names and values, of which "file" is a file
// called filename.
func form(filename string, pairs ...string) (body, header string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == "file" {
			part, _ := w.CreateFormFile("file", filename)
			io.WriteString(part, pairs[i+1])
			continue
		}
		w.WriteField(pairs[i], pairs[i+1])
	}
	w.Close()
	return b.String(), "Content-Type: " + w.FormDataContentType()
}

func TestPostUpload(t *testing.T) {
	tr := plant(t, nil)
	long := strings.Repeat("a file in a form ", 10000)
	post := func(status int, target, filename string, pairs ...string) string {
		t.Helper()
		body, header := form(filename, pairs...)
		return tr.want(status, "POST", target, body, header)
	}
	if got := post(200, "/uri?t=upload", "f", "file", long); got != capOf([]byte(long)).Reveal() {
		t.Errorf("unlinked: got %q", got)
	}
	// t= and all else may stand in the form too, before or behind the file.
	if got := post(200, "/uri", "f", "file", "small", "t", "upload", "format", "sdmf"); !strings.HasPrefix(got, "URI:SSK:") {
		t.Errorf("unlinked and mutable: got %q", got)
	}
	if got := post(200, tr.root+"?t=upload", "own name", "file", long); got != capOf([]byte(long)).Reveal() {
		t.Errorf("into a directory: got %q", got)
	}
	m := post(200, tr.root, "f", "t", "upload", "name", "given", "mutable", "true", "file", "one")
	post(200, tr.root+"/given?t=upload", "f", "file", "two") // The path of a file.
	if got := tr.want(200, "GET", "/uri/"+m, ""); got != "two" {
		t.Errorf("over a mutable file: got %q", got)
	}
	post(200, "/uri/"+m+"?t=upload", "f", "file", "three")
	if got := tr.want(200, "GET", tr.root+"/given", ""); got != "three" {
		t.Errorf("to a mutable file's cap: got %q", got)
	}
	post(200, tr.root+"/new/path?t=upload", "f", "file", "x")
	post(200, tr.root+"/new?t=upload", "g", "file", "y") // The path of a directory.
	if got := tr.names(tr.root + "/new"); len(got) != 2 || !got["path"] || !got["g"] {
		t.Errorf("new holds %v", got)
	}
	post(409, tr.root+"?t=upload&replace=false", "own name", "file", "x")
	post(409, tr.root+"?t=upload&name=new", "f", "file", "x")
	post(409, tr.root+"/given/below/it?t=upload", "f", "file", "x")
	post(400, tr.root+"?t=upload&name=a%2Fb", "f", "file", "x")
	post(400, tr.root+"?t=upload", "", "file", "x")
	post(400, tr.root+"?t=upload", "f", "nothing", "x")
	post(400, tr.root+"?t=upload", "f")
	post(400, tr.root+"?t=upload", "f", "file", "x", "file", "y")
	post(400, tr.root+"?t=upload", "f", "name", "x", "name", "y", "file", "y")
	post(400, tr.root+"?t=upload", "f", "file", "x", "unknown", "x")
	post(400, tr.root+"?t=upload", "f", "file", "x", "when_done", "http://example.com/")
	post(400, tr.root+"?t=unlink&name=given", "f", "file", "x")
	post(400, "/uri/"+capOf([]byte(long)).Reveal()+"?t=upload", "f", "file", "x")
	post(413, tr.root+"?t=upload", "f", "name", strings.Repeat("x", 2<<20), "file", "x")

	body, header := form("f", "file", "found", "when_done", "/uri/%(uri)s?save=true")
	resp, _ := tr.ask("POST", "/uri?t=upload", strings.NewReader(body), header)
	want := "/uri/" + url.QueryEscape(capOf([]byte("found")).Reveal()) + "?save=true"
	if to := resp.Header.Get("Location"); resp.StatusCode != 303 || to != want {
		t.Errorf("when_done: got %d %q, want %q", resp.StatusCode, to, want)
	}
	// A form that ends in the middle stores nothing.
	before := len(tr.grid.files)
	body, header = form("f", "file", long)
	for _, cut := range []int{50, 500, len(body) - 10} {
		tr.want(400, "POST", "/uri?t=upload", body[:cut], header)
	}
	tr.want(400, "POST", "/uri?t=upload", body, "Content-Type: multipart/form-data")
	if len(tr.grid.files) != before {
		t.Error("half a file was stored")
	}
	if tr.grid.closed != tr.grid.spooled {
		t.Errorf("%d of %d sources were closed", tr.grid.closed, tr.grid.spooled)
	}
}

// Nothing of a form is written where it can be read.
func TestFormTouchesNoDisk(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	tr := plant(t, nil)
	body, header := form("f", "file", strings.Repeat("x", 50<<20))
	tr.want(200, "POST", "/uri?t=upload", body, header)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

func TestPrivateKey(t *testing.T) {
	tr := plant(t, nil)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	key, err := mutable.ParsePEM([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	file := key.WriteCap(mutable.SDMF).Reveal()
	mdmf := key.WriteCap(mutable.MDMF).Reveal()
	dir, _ := caps.NewDirectory(key.WriteCap(mutable.SDMF))
	padded, raw := base64.URLEncoding.EncodeToString(der), base64.RawURLEncoding.EncodeToString(der)
	for _, tt := range []struct{ name, method, target, body, want string }{
		{"query, as Tahoe sends it", "PUT", "/uri?format=SDMF&private-key=" + esc(padded), "x", file},
		{"without padding", "PUT", "/uri?format=MDMF&private-key=" + esc(raw), "x", mdmf},
		{"PKCS #1", "PUT", "/uri?format=SDMF&private-key=" + esc(base64.URLEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(rsaKey))), "x", file},
		{"PEM", "PUT", "/uri?mutable=true&private-key=" + esc(text), "x", file},
		{"into a directory", "PUT", tr.root + "/k?format=SDMF&private-key=" + esc(padded), "x", file},
		{"of a directory", "POST", "/uri?t=mkdir&private-key=" + esc(padded), "", dir.Reveal()},
		{"of a directory, in a form", "POST", "/uri?t=mkdir", "private-key=" + esc(text), dir.Reveal()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var header []string
			if strings.HasPrefix(tt.body, "private-key") {
				header = []string{urlencoded}
			}
			var body io.Reader
			if tt.body != "" {
				body = strings.NewReader(tt.body)
			}
			if resp, got := tr.ask(tt.method, tt.target, body, header...); got != tt.want {
				t.Errorf("got %d %q, want the cap of the key", resp.StatusCode, got)
			}
		})
	}
	body, header := form("f", "private-key", text, "format", "SDMF", "file", "x")
	if got := tr.want(200, "POST", "/uri?t=upload", body, header); got != file {
		t.Errorf("in a form: got %q", got)
	}
	for _, bad := range []string{"&private-key=" + esc(padded), "&format=CHK&private-key=" + esc(padded), "&format=SDMF&private-key=" + esc(padded[:200]), "&format=SDMF&private-key=%25%25"} {
		got := tr.want(400, "PUT", "/uri?"+bad[1:], "x")
		if strings.Contains(got, padded[20:100]) || strings.Contains(tr.log.String(), padded[20:100]) {
			t.Error("the key shows")
		}
	}
}

// No web page of another origin changes anything, in any way that a browser
// can send.
func TestForeignChanges(t *testing.T) {
	for _, header := range []string{"Host: example.com", "Host: evil.example:3456", "Origin: http://example.com", "Origin: null",
		"Origin: https://" + host, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"} {
		tr := plant(t, nil)
		tr.want(201, "PUT", tr.root+"/f", "x")
		m := tr.want(201, "PUT", tr.root+"/m?format=SDMF", "x")
		before := tr.want(200, "GET", tr.root+"?t=json", "")
		count := len(tr.objects.contents) + len(tr.grid.files)
		formBody, multi := form("f", "file", "evil", "t", "upload", "name", "evil")
		for _, r := range []struct{ method, target, body, kind string }{
			{"POST", "/uri?t=mkdir", "", ""}, {"PUT", "/uri?t=mkdir", "", ""}, {"POST", "/uri", formBody, multi},
			{"POST", tr.root, formBody, multi}, {"POST", tr.root, "t=unlink&name=f", urlencoded}, {"POST", tr.root + "?t=unlink&name=f", "", ""},
			{"POST", tr.root, "t=rename&from_name=f&to_name=g", urlencoded}, {"POST", tr.root + "?t=relink&from_name=f&to_name=g", "", ""},
			{"POST", tr.root + "?t=set_children", `{"e":["filenode",{"ro_uri":"URI:LIT:"}]}`, "Content-Type: text/plain"},
			{"POST", tr.root + "?t=mkdir-with-children&name=e", "{}", "Content-Type: text/plain"}, {"POST", "/uri?t=mkdir-immutable", "{}", "Content-Type: text/plain"},
			{"POST", tr.root, "t=uri&name=e&uri=URI:LIT:", urlencoded}, {"PUT", tr.root + "/e", "evil", ""}, {"PUT", tr.root + "/e?t=uri", "URI:LIT:", ""},
			{"PUT", "/uri/" + m, "evil", ""}, {"PUT", "/uri/" + m + "?offset=0", "evil", ""}, {"DELETE", tr.root + "/f", "", ""}, {"POST", tr.root + "?t=check&repair=true", "", ""},
		} {
			headers := []string{header}
			if r.kind != "" {
				headers = append(headers, r.kind)
			}
			tr.want(403, r.method, r.target, r.body, headers...)
		}
		if after := tr.want(200, "GET", tr.root+"?t=json", ""); after != before || len(tr.objects.contents)+len(tr.grid.files) != count || tr.want(200, "GET", "/uri/"+m, "") != "x" {
			t.Errorf("%s: something changed", header)
		}
	}
}

func TestPage(t *testing.T) {
	tr := plant(t, nil)
	for _, name := range []string{`<img src=x onerror=alert(1)>`, "a b", "xx", "d%2Fe", "javascript:x", "ä\"'"} {
		tr.want(201, "PUT", tr.root+"/"+url.PathEscape(name), "four")
	}
	tr.nameDots("xx")
	tr.want(200, "POST", tr.root+"/sub?t=mkdir", "")
	tr.want(201, "PUT", tr.root+"/sub/m?format=SDMF", "x")
	tr.want(200, "PUT", tr.root+"/sub/u?t=uri", "imm.future")
	for _, path := range []string{tr.root, tr.root + "/", "/cap/" + tr.cap, "/uri/" + esc(tr.cap)} {
		resp, page := tr.ask("GET", path, nil)
		if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
			t.Fatalf("got %d %v", resp.StatusCode, resp.Header)
		}
		csp := resp.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "form-action 'none'") || strings.Contains(csp, "script") || strings.Contains(csp, "allow") {
			t.Errorf("Content-Security-Policy is %q", csp)
		}
		if strings.Contains(page, "<img") || strings.Contains(page, "URI:LIT") || strings.Contains(page, "href=\"javascript") {
			t.Errorf("the page has what it should not have: %s", page)
		}
		links := 0
		for _, part := range strings.Split(page, `href="`)[1:] {
			links++
			href, _, _ := strings.Cut(part, `"`)
			if resp, _ := tr.ask("GET", strings.ReplaceAll(href, "&#39;", "'"), nil, "Origin: http://"+host, "Sec-Fetch-Site: same-origin"); resp.StatusCode != 200 {
				t.Errorf("the link %q: got %d", href, resp.StatusCode)
			}
		}
		if links != 6 {
			t.Errorf("the page has %d links, want all but of the dots: %s", links, page)
		}
	}
	if page := tr.want(200, "GET", "/uri/"+tr.json(tr.root).RO+"/sub", ""); strings.Contains(page, tr.cap) || !strings.Contains(page, "read-only") || !strings.Contains(page, "mutable file") || !strings.Contains(page, "unknown") {
		t.Errorf("got %s", page)
	}
	// The bytes of a file stay in the sandbox, whatever way leads there.
	resp, _ := tr.ask("GET", tr.root+"/a%20b?filename=a.html", nil)
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "sandbox") {
		t.Errorf("a file: Content-Security-Policy is %q", csp)
	}
}

func TestInfoPage(t *testing.T) {
	tr := plant(t, nil)
	m := tr.want(201, "PUT", tr.root+"/m?format=MDMF", "12345")
	d := tr.json("/uri/" + m)
	want := "kind: filenode\nformat: MDMF\nsize: 5\nstorage index: " + strings.Split(d.Verify, ":")[2] +
		"\nwrite cap: " + m + "\nread cap: " + d.RO + "\nverify cap: " + d.Verify + "\n"
	if got := tr.want(200, "GET", tr.root+"/m?t=info", ""); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := tr.want(200, "GET", tr.root+"/?t=info", ""); !strings.Contains(got, "kind: dirnode\nformat: SDMF\n") {
		t.Errorf("of a directory: got %s", got)
	}
	if got := tr.want(200, "GET", "/uri/imm.future?t=info", ""); got != "kind: unknown\nread cap: imm.future\n" {
		t.Errorf("of an unknown cap: got %s", got)
	}
}

func TestNamed(t *testing.T) {
	tr := plant(t, nil)
	path := strings.TrimPrefix(tr.put([]byte("data")), "/uri/")
	for target, kind := range map[string]string{
		"/named/" + path + "/a.png": "image/png", "/file/" + path + "/@@named=/a.png": "image/png", "/file/" + path + "/b%2Fc.html": "text/html; charset=utf-8",
		"/file/" + path: "application/octet-stream", "/named/" + path + "/a.png?filename=a.gif": "image/gif",
	} {
		resp, got := tr.ask("GET", target, nil)
		if resp.StatusCode != 200 || got != "data" || resp.Header.Get("Content-Type") != kind {
			t.Errorf("%s: got %d %q %q", tail(target), resp.StatusCode, got, resp.Header.Get("Content-Type"))
		}
	}
	tr.want(400, "GET", "/named/"+tr.cap+"/x", "")
	tr.want(201, "PUT", tr.root+"/a.png", "data")
	if resp, _ := tr.ask("GET", tr.root+"/a.png", nil); resp.Header.Get("Content-Type") != "image/png" {
		t.Errorf("the name in a path: got %q", resp.Header.Get("Content-Type"))
	}
}

// A file of some size tells how far it is, also on its way into a directory.
func TestProgressIntoDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := plant(t, nil)
		tr.grid.steps = make(chan struct{})
		go func() {
			for range 3 {
				tr.grid.steps <- struct{}{}
				time.Sleep(time.Second)
			}
			close(tr.grid.steps)
		}()
		text := tr.want(200, "PUT", tr.root+"/f", strings.Repeat("x", 1<<20), "Accept: "+gateway.ProgressType)
		lines := strings.Split(strings.TrimSpace(text), "\n")
		var u gateway.Update
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &u); err != nil || u.Cap == "" || len(lines) != 4 {
			t.Errorf("got %q, %v", text, err)
		}
		text = tr.want(200, "PUT", tr.root+"/f?replace=false", "x", "Accept: "+gateway.ProgressType)
		if err := json.Unmarshal([]byte(text), &u); err != nil || u.Status != 409 || u.Error == "" {
			t.Errorf("got %q, %v", text, err)
		}
	})
}

// A failure of the grid below is the node's, and holds no cap.
func TestFailuresBelow(t *testing.T) {
	tr := plant(t, nil)
	m := tr.want(201, "PUT", tr.root+"/m?format=SDMF", "x")
	tr.objects.fail = errors.New("the change was not done (too few servers)")
	for _, r := range []struct{ method, target, body string }{
		{"GET", "/uri/" + m, ""}, {"GET", tr.root, ""}, {"GET", tr.root + "?t=json", ""}, {"GET", tr.root + "/m", ""}, {"PUT", tr.root + "/m", "x"}, {"PUT", tr.root + "/x/y/z", "x"},
		{"PUT", "/uri/" + m, "x"}, {"DELETE", tr.root + "/m", ""}, {"POST", "/uri?t=mkdir", ""}, {"POST", tr.root + "?t=set_children", `{"e":["filenode",{"ro_uri":"URI:LIT:"}]}`},
	} {
		if got := tr.want(500, r.method, r.target, r.body); !strings.Contains(got, "not done") || strings.Contains(got, m) {
			t.Errorf("%s: got %q", r.method, got)
		}
	}
	if log := tr.log.String(); strings.Contains(log, "URI:") || strings.Contains(log, m) || !strings.Contains(log, "not done") {
		t.Errorf("the log: %s", log)
	}
	// What a cap tells is told without a server.
	tr.want(200, "GET", "/uri/"+m+"?t=json", "")
	tr.objects.fail = nil
	tr.objects.contents = map[caps.StorageIndex][]byte{}
	tr.want(410, "GET", "/uri/"+m, "")
}
