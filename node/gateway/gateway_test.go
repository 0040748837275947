package gateway_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lafs/node/gateway"
	"lafs/shares/caps"
)

func TestPutAndGet(t *testing.T) {
	n := start(t, nil)
	data := bytes.Repeat([]byte("lafs"), 30000)
	for _, target := range []string{"/uri", "/uri/", "/uri?format=CHK", "/uri?mutable=false"} {
		resp, text := n.ask("PUT", target, bytes.NewReader(data))
		if resp.StatusCode != 200 || text != capOf(data).Reveal() {
			t.Fatalf("PUT %s: got %d %q, want 200 and the cap", target, resp.StatusCode, text)
		}
		if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain") {
			t.Errorf("PUT: Content-Type %q, want text/plain", got)
		}
	}
	if n.grid.closed != 4 {
		t.Errorf("%d of 4 sources were closed", n.grid.closed)
	}
	cap := capOf(data).Reveal()
	for _, target := range []string{"/uri/" + cap, "/uri/" + url.PathEscape(cap), "/uri/" + strings.ReplaceAll(cap, ":", "%3A") + "/", "/cap/" + cap} {
		resp, text := n.ask("GET", target, nil)
		if resp.StatusCode != 200 || text != string(data) || resp.ContentLength != int64(len(data)) {
			t.Errorf("GET: got %d and %d bytes, want the file", resp.StatusCode, len(text))
		}
	}
	lit := caps.NewLIT([]byte("hello")).Reveal()
	if resp, text := n.ask("GET", "/uri/"+lit, nil); resp.StatusCode != 200 || text != "hello" {
		t.Errorf("GET of a LIT: got %d %q", resp.StatusCode, text)
	}
	if resp, text := n.ask("GET", "/uri/"+caps.NewLIT(nil).Reveal(), nil, "Range: bytes=0-"); resp.StatusCode != 200 || text != "" || resp.ContentLength != 0 {
		t.Errorf("GET of nothing: got %d %q, length %d", resp.StatusCode, text, resp.ContentLength)
	}
}

func TestHeadReachesNoServer(t *testing.T) {
	n := start(t, nil)
	path := n.put([]byte("0123456789"))
	resp, _ := n.ask("HEAD", path, nil)
	if resp.StatusCode != 200 || resp.ContentLength != 10 || resp.Header.Get("ETag") == "" {
		t.Errorf("HEAD: got %d, length %d, %v", resp.StatusCode, resp.ContentLength, resp.Header)
	}
	part, _ := n.ask("HEAD", path, nil, "Range: bytes=2-3")
	if part.StatusCode != 206 || part.ContentLength != 2 || part.Header.Get("Content-Range") != "bytes 2-3/10" {
		t.Errorf("HEAD of a range: got %d %v", part.StatusCode, part.Header)
	}
	same, _ := n.ask("GET", path, nil, "If-None-Match: "+resp.Header.Get("ETag"))
	if same.StatusCode != 304 {
		t.Errorf("If-None-Match: got %d, want 304", same.StatusCode)
	}
	if n.grid.opened != 0 {
		t.Errorf("the grid was asked %d times", n.grid.opened)
	}
}

func TestRange(t *testing.T) {
	data := "0123456789"
	for _, tt := range []struct {
		name, header string
		status       int
		body         string
		contentRange string
	}{
		{"none", "", 200, data, ""},
		{"first", "bytes=0-0", 206, "0", "bytes 0-0/10"},
		{"middle", "bytes=3-5", 206, "345", "bytes 3-5/10"},
		{"to the end", "bytes=7-", 206, "789", "bytes 7-9/10"},
		{"beyond the end", "bytes=7-100", 206, "789", "bytes 7-9/10"},
		{"suffix", "bytes=-4", 206, "6789", "bytes 6-9/10"},
		{"suffix larger than the file", "bytes=-400", 206, data, "bytes 0-9/10"},
		{"whole", "bytes=0-9", 206, data, "bytes 0-9/10"},
		{"huge end", "bytes=0-99999999999999999999999", 206, data, "bytes 0-9/10"},
		{"starts at the end", "bytes=10-", 416, "", "bytes */10"},
		{"huge start", "bytes=99999999999999999999999-", 416, "", "bytes */10"},
		{"empty suffix", "bytes=-0", 416, "", "bytes */10"},
		{"several", "bytes=0-1,3-4", 200, data, ""},
		{"backwards", "bytes=5-3", 200, data, ""},
		{"negative", "bytes=--1", 200, data, ""},
		{"sign", "bytes=+1-2", 200, data, ""},
		{"another unit", "lines=0-1", 200, data, ""},
		{"garbage", "bytes=x", 200, data, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := start(t, nil)
			path := n.put([]byte(data))
			var header []string
			if tt.header != "" {
				header = []string{"Range: " + tt.header}
			}
			resp, body := n.ask("GET", path, nil, header...)
			if resp.StatusCode != tt.status || resp.Header.Get("Content-Range") != tt.contentRange {
				t.Fatalf("got %d %q, want %d %q", resp.StatusCode, resp.Header.Get("Content-Range"), tt.status, tt.contentRange)
			}
			if tt.status == 416 {
				if n.grid.opened != 0 {
					t.Error("the grid was asked for nothing")
				}
				return
			}
			if body != tt.body || n.grid.copied != int64(len(tt.body)) {
				t.Errorf("got %q and %d bytes fetched, want %q and no byte more", body, n.grid.copied, tt.body)
			}
		})
	}
}

func TestIfRange(t *testing.T) {
	n := start(t, nil)
	path := n.put([]byte("0123456789"))
	resp, _ := n.ask("HEAD", path, nil)
	if part, _ := n.ask("GET", path, nil, "Range: bytes=0-1", "If-Range: "+resp.Header.Get("ETag")); part.StatusCode != 206 {
		t.Errorf("If-Range with our ETag: got %d, want 206", part.StatusCode)
	}
	if whole, _ := n.ask("GET", path, nil, "Range: bytes=0-1", `If-Range: "other"`); whole.StatusCode != 200 {
		t.Errorf("If-Range with another: got %d, want 200", whole.StatusCode)
	}
}

// Every answer, good or bad, carries what keeps a page in its place.
func TestHeaders(t *testing.T) {
	n := start(t, nil)
	path := n.put([]byte("<script>alert(1)</script>"))
	for _, tt := range []struct {
		method, target string
		header         []string
	}{
		{"GET", path, nil}, {"HEAD", path, nil}, {"GET", path, []string{"Range: bytes=99-"}},
		{"GET", "/", nil}, {"GET", "/?t=json", nil}, {"GET", "/nothing", nil}, {"PUT", "/uri", nil},
		{"GET", "/uri/garbage", nil}, {"GET", path, []string{"Host: example.com"}}, {"DELETE", "/uri", nil},
	} {
		resp, _ := n.ask(tt.method, tt.target, strings.NewReader("x"), tt.header...)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
			"Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "X-DNS-Prefetch-Control": "off",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", tt.method, name, got, want)
			}
		}
		csp := resp.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "sandbox;") || strings.Contains(csp, "allow-") || !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%s: Content-Security-Policy is %q", tt.method, csp)
		}
		for name := range resp.Header {
			if strings.HasPrefix(name, "Access-Control") {
				t.Errorf("%s: answers with %s", tt.method, name)
			}
		}
	}
}

func TestForeignCallers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header []string
		ok     bool
	}{
		{"a program", nil, true},
		{"our own page", []string{"Origin: http://" + host, "Sec-Fetch-Site: same-origin"}, true},
		{"typed by the user", []string{"Sec-Fetch-Site: none"}, true},
		{"another name", []string{"Host: example.com"}, false},
		{"rebound name with our port", []string{"Host: evil.example:3456"}, false},
		{"no port", []string{"Host: 127.0.0.1"}, false},
		{"another case", []string{"Host: LOCALHOST:3456"}, false},
		{"another page", []string{"Origin: http://example.com"}, false},
		{"https of us", []string{"Origin: https://" + host}, false},
		{"another port", []string{"Origin: http://127.0.0.1:3457"}, false},
		{"sandboxed page", []string{"Origin: null"}, false},
		{"cross-site", []string{"Sec-Fetch-Site: cross-site"}, false},
		{"same-site", []string{"Sec-Fetch-Site: same-site"}, false},
		{"two origins", []string{"Origin: http://" + host, "Origin: http://example.com"}, false},
		{"two sites", []string{"Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := start(t, nil)
			path := n.put([]byte("data"))
			for _, r := range []struct{ method, target string }{{"GET", path}, {"HEAD", path}, {"PUT", "/uri"}, {"GET", "/?t=json"}} {
				resp, body := n.ask(r.method, r.target, strings.NewReader("x"), tt.header...)
				if tt.ok != (resp.StatusCode == 200) {
					t.Errorf("%s %d, want ok = %v", r.method, resp.StatusCode, tt.ok)
				}
				if !tt.ok && (resp.StatusCode != 403 || body == "data") {
					t.Errorf("%s: got %d %q, want 403", r.method, resp.StatusCode, body)
				}
			}
			if !tt.ok && n.grid.opened+len(n.grid.files) != 1 {
				t.Error("a foreign caller reached the grid")
			}
		})
	}
}

// secretCap is one whose text must show up nowhere.
func secretCap() string { return capOf([]byte("never stored")).Reveal() }

func TestErrors(t *testing.T) {
	secret := secretCap()
	key := strings.Split(secret, ":")[2]
	verify := capOf([]byte("x")).Verifier().Reveal()
	// A directory whose cap is known beforehand.
	w := &caps.MutableWriter{Key: caps.NewWriteKey([16]byte{1}), Fingerprint: [32]byte{2}}
	root := strings.Replace(w.Reveal(), "URI:SSK:", "URI:DIR2:", 1)
	for _, tt := range []struct {
		name, method, target string
		status               int
	}{
		{"not enough shares", "GET", "/uri/" + secret, 410},
		{"directory that is gone", "GET", "/uri/URI:DIR2:" + key + ":" + strings.Repeat("a", 52), 410},
		{"put into one", "PUT", "/uri/URI:DIR2:" + key + ":" + strings.Repeat("a", 52) + "/x", 410},
		{"cut cap", "GET", "/uri/" + secret[:len(secret)-20], 400},
		{"garbage", "GET", "/uri/garbage" + key, 400},
		{"verify cap", "GET", "/uri/" + verify, 400},
		{"verify cap of a directory", "GET", "/uri/URI:DIR2-Verifier:" + key + ":" + strings.Repeat("a", 52), 400},
		{"bad escape", "GET", "/uri?uri=%zz", 400},
		{"said twice", "GET", "/uri/" + secret + "?t=json&t=uri", 400},
		{"child of a file", "GET", "/uri/" + secret + "/child", 400},
		{"child of an unknown cap", "GET", "/uri/garbage" + key + "/child", 400},
		{"empty name", "GET", "/uri/" + root + "//child", 400},
		{"two slashes at the end", "GET", "/uri/" + root + "//", 400},
		{"slash in a name", "GET", "/uri/" + root + "/a%2Fb", 400},
		{"slash in a name to be put", "PUT", "/uri/" + root + "/a%2Fb", 400},
		{"name that is not UTF-8", "PUT", "/uri/" + root + "/%ff", 400},
		{"no such child", "GET", "/uri/" + root + "/none", 404},
		{"no such child on the way", "GET", "/uri/" + root + "/none/none", 404},
		{"unknown t", "GET", "/uri/" + secret + "?t=frobnicate", 400},
		{"unknown t of a directory", "GET", "/uri/" + root + "?t=manifest", 400},
		{"walk through a tree", "POST", "/uri/" + root + "?t=stream-deep-check", 400},
		{"unknown t of PUT", "PUT", "/uri/" + root + "/x?t=frobnicate", 400},
		{"unknown t of PUT /uri", "PUT", "/uri?t=frobnicate", 400},
		{"unknown t of DELETE", "DELETE", "/uri/" + root + "/x?t=frobnicate", 400},
		{"unknown query", "GET", "/uri/" + secret + "?private-key=" + key, 400},
		{"key of no mutable file", "PUT", "/uri?private-key=" + key, 400},
		{"bad key", "PUT", "/uri?format=SDMF&private-key=" + key, 400},
		{"bad yes or no", "GET", "/uri/" + secret + "?save=perhaps", 400},
		{"put to a file", "PUT", "/uri/" + secret, 400},
		{"put to an unknown cap", "PUT", "/uri/garbage" + key, 400},
		{"post without a form", "POST", "/uri?t=upload", 400},
		{"delete without a path", "DELETE", "/uri/" + secret, 400},
		{"delete /uri", "DELETE", "/uri", 405},
		{"patch", "PATCH", "/uri/" + secret, 405},
		{"put by name", "PUT", "/named/" + secret + "/x", 405},
		{"post to the root", "POST", "/", 405},
		{"nothing there", "GET", "/frobnicate/" + key, 404},
		{"redirect of a cut cap", "GET", "/uri?uri=URI:CHK:" + key, 400},
		{"redirect of nothing", "GET", "/uri", 400},
		{"dots", "GET", "/uri/../uri", 400},
		{"bad page", "GET", "/?t=html", 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := plant(t, nil)
			n.objects.contents[w.StorageIndex()] = nil
			resp, text := n.ask(tt.method, tt.target, strings.NewReader("x"))
			if resp.StatusCode != tt.status {
				t.Errorf("got %d %q, want %d", resp.StatusCode, text, tt.status)
			}
			if strings.Contains(text, key) || strings.Contains(n.log.String(), key) || strings.Contains(resp.Header.Get("Location"), key) {
				t.Errorf("the cap shows: %q, %q", text, n.log)
			}
			if text == "" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") || resp.Header.Get("ETag") != "" {
				t.Errorf("got %q, %v, want a plain text", text, resp.Header)
			}
		})
	}
}

func TestRedirect(t *testing.T) {
	n := start(t, nil)
	data := []byte("found")
	path := n.put(data)
	resp, _ := n.ask("GET", "/uri?uri="+url.QueryEscape(capOf(data).Reveal()), nil)
	if resp.StatusCode != 302 {
		t.Fatalf("got %d, want 302", resp.StatusCode)
	}
	to := resp.Header.Get("Location")
	if u, err := url.Parse(to); err != nil || u.Host != "" || u.Path != path {
		t.Errorf("Location: got %q, want %q", to, path)
	}
	if _, text := n.ask("GET", to, nil); text != "found" {
		t.Errorf("there: got %q", text)
	}
}

// What fails before the first byte has a status; after it the connection
// breaks, and the caller does not take a part for the whole.
func TestCopyFails(t *testing.T) {
	n := start(t, nil)
	data := bytes.Repeat([]byte("x"), 100000)
	path := n.put(data)
	n.grid.copyAs = &gateway.Error{Status: 410, Err: errors.New("too few")}
	if resp, text := n.ask("GET", path, nil, "Range: bytes=1-"); resp.StatusCode != 410 || text != "too few\n" || resp.Header.Get("Content-Range") != "" {
		t.Errorf("at once: got %d %q %v", resp.StatusCode, text, resp.Header)
	}
	n.grid.cutAfter = 50000
	resp := n.begin("GET", path, nil)
	got, err := io.ReadAll(resp.Body)
	if err == nil {
		t.Errorf("in the middle: %d bytes and no error", len(got))
	}
}

func TestUploadFails(t *testing.T) {
	n := start(t, nil)
	n.grid.uploadAs = errors.New("happiness 3, and shares.happy asks for 7")
	resp, text := n.ask("PUT", "/uri", strings.NewReader("data"))
	if resp.StatusCode != 500 || !strings.Contains(text, "shares.happy") {
		t.Errorf("got %d %q, want 500 and the reason", resp.StatusCode, text)
	}
	if n.grid.closed != 1 {
		t.Error("the source was not closed")
	}
}

// Who goes away in mid-upload stores nothing.
func TestUploadCut(t *testing.T) {
	n := start(t, nil)
	c, err := n.wire.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "PUT /uri HTTP/1.1\r\nHost: "+host+"\r\nContent-Length: 100\r\n\r\nhalf")
	c.Close()
	n.ask("GET", "/", nil)
	if len(n.grid.files) != 0 {
		t.Error("half a file was stored")
	}
}

func TestUploadProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, nil)
		n.grid.steps = make(chan struct{})
		go func() {
			for range 10 {
				n.grid.steps <- struct{}{}
				time.Sleep(200 * time.Millisecond)
			}
			close(n.grid.steps)
		}()
		resp := n.begin("PUT", "/uri", strings.NewReader("data"), "Accept: "+gateway.ProgressType)
		var updates []gateway.Update
		for dec := json.NewDecoder(resp.Body); ; {
			var u gateway.Update
			if err := dec.Decode(&u); err != nil {
				break
			}
			updates = append(updates, u)
		}
		if len(updates) != 5 { // 2 s, each half second, and the end
			t.Fatalf("got %d updates: %+v", len(updates), updates)
		}
		for i, u := range updates[:4] {
			if u.Progress == nil || u.Phase != "sending" || u.Total != 10 || u.Cap != "" || i > 0 && u.Done <= updates[i-1].Done {
				t.Errorf("update %d: got %+v", i, u)
			}
		}
		if last := updates[4]; last.Cap != capOf([]byte("data")).Reveal() || last.Error != "" || last.Progress != nil {
			t.Errorf("the last: got %+v, want the cap", last)
		}
	})
}

func TestUploadProgressOfFailure(t *testing.T) {
	n := start(t, nil)
	n.grid.uploadAs = &gateway.Error{Status: 507, Err: errors.New("no space")}
	resp, text := n.ask("PUT", "/uri", strings.NewReader("data"), "Accept: "+gateway.ProgressType)
	var u gateway.Update
	if err := json.Unmarshal([]byte(text), &u); err != nil || resp.StatusCode != 200 || u.Error != "no space" || u.Status != 507 {
		t.Errorf("got %d %q, %v", resp.StatusCode, text, err)
	}
}

// A caller that falls asleep in the middle loses its connection; one that is
// merely slow does not.
func TestSlowCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, func(c *gateway.Config) { c.Idle = time.Minute; c.MaxRequests = 1 })
		send := func(pause time.Duration) string {
			c, err := n.wire.dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, "PUT /uri HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\nContent-Length: 5\r\n\r\n")
			go func() {
				for range 5 {
					time.Sleep(pause)
					if _, err := c.Write([]byte("x")); err != nil {
						return
					}
				}
			}()
			answer, _ := io.ReadAll(c)
			return string(answer)
		}
		if got := send(50 * time.Second); !strings.HasPrefix(got, "HTTP/1.1 200") {
			t.Errorf("a slow one: got %q", got)
		}
		if got := send(2 * time.Minute); strings.HasPrefix(got, "HTTP/1.1 200") {
			t.Errorf("a sleeping one: got %q", got)
		}
		// Nor may a caller sleep whose request is refused.
		c, err := n.wire.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "PUT /uri HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\n")
		began := time.Now()
		if answer, err := io.ReadAll(c); err != nil || time.Since(began) > 2*time.Minute {
			t.Errorf("a refused one that sleeps: %q, %v after %v", answer, err, time.Since(began))
		}
		c.Close()
		// A slow answer of the grid is not the caller's sleep.
		n.grid.steps = make(chan struct{})
		go func() { time.Sleep(time.Hour); close(n.grid.steps) }()
		resp, _ := n.ask("PUT", "/uri", strings.NewReader("data"), "Accept: "+gateway.ProgressType)
		if resp.StatusCode != 200 {
			t.Errorf("after an hour of uploading: got %d", resp.StatusCode)
		}
		// Who does not read a large answer frees its place, too.
		path := n.put(make([]byte, 1<<20))
		n.begin("GET", path, nil)
		if resp, _ := n.ask("GET", "/", nil); resp.StatusCode != 503 {
			t.Errorf("one too many: got %d, want 503", resp.StatusCode)
		}
		time.Sleep(2 * time.Minute)
		if resp, _ := n.ask("GET", "/", nil); resp.StatusCode != 200 {
			t.Errorf("two minutes later: got %d, want 200", resp.StatusCode)
		}
	})
}

func TestInfo(t *testing.T) {
	space := uint64(1000)
	n := start(t, func(c *gateway.Config) {
		c.Info = func() gateway.Info {
			return gateway.Info{Introducers: []string{"Connected"}, Servers: []gateway.ServerInfo{
				{NodeID: "v0-a", ConnectionStatus: "Connected", AvailableSpace: &space, Nickname: "n", Version: "1", LastReceived: time.Unix(5, 0)},
				{NodeID: "v0-b", ConnectionStatus: "Idle"},
			}}
		}
	})
	resp, text := n.ask("GET", "/?t=json", nil)
	want := `{"introducers":{"statuses":["Connected"]},"servers":[` +
		`{"nodeid":"v0-a","connection_status":"Connected","available_space":1000,"nickname":"n","version":"1","last_received_data":5},` +
		`{"nodeid":"v0-b","connection_status":"Idle","available_space":null,"nickname":"","version":"","last_received_data":null}]}` + "\n"
	if resp.StatusCode != 200 || text != want {
		t.Errorf("got %d %s, want %s", resp.StatusCode, text, want)
	}
	if _, text := start(t, nil).ask("GET", "/?t=json", nil); text != `{"introducers":{"statuses":[]},"servers":[]}`+"\n" {
		t.Errorf("of nothing: got %s", text)
	}
	if _, text := n.ask("GET", "/", nil); !strings.Contains(text, "/uri/CAP ") || !strings.Contains(text, "lafs help tahoe") {
		t.Errorf("front page: got %s", text)
	}
	if _, text := n.ask("GET", "/statistics", nil); !strings.Contains(text, "/ says what there is") {
		t.Errorf("elsewhere: got %s", text)
	}
	if _, text := n.ask("POST", "/uri/"+secretCap()+"?t=start-deep-check", nil); !strings.Contains(text, "does not walk through trees") {
		t.Errorf("through a tree: got %s", text)
	}
}

func TestNames(t *testing.T) {
	n := start(t, nil)
	path := n.put([]byte("data"))
	for _, tt := range []struct{ query, kind, disposition string }{
		{"", "application/octet-stream", ""},
		{"?filename=a.html", "text/html; charset=utf-8", ""},
		{"?save=true", "application/octet-stream", "attachment"},
		{"?save=true&filename=a%22b.png", "image/png", `attachment; filename="a\"b.png"`},
		{"?save=true&filename=a%0d%0aX:y", "application/octet-stream", "attachment; filename*=utf-8''a%0D%0AX%3Ay"},
	} {
		resp, _ := n.ask("GET", path+tt.query, nil)
		if got := resp.Header.Get("Content-Type"); got != tt.kind {
			t.Errorf("%s: Content-Type %q, want %q", tt.query, got, tt.kind)
		}
		if got := resp.Header.Get("Content-Disposition"); got != tt.disposition {
			t.Errorf("%s: Content-Disposition %q, want %q", tt.query, got, tt.disposition)
		}
	}
}

// A browser does not get a document that could make it connect to somebody
// past Tor: it shows the text. Programs get the type.
func TestActiveDocuments(t *testing.T) {
	n := start(t, nil)
	path := n.put([]byte(`<link rel="preconnect" href="http://example.net/">`))
	const text = "text/plain; charset=utf-8"
	for _, tt := range []struct{ file, header, kind string }{
		{"a.html", "Sec-Fetch-Dest: document", text},
		{"a.html", "Sec-Fetch-Dest: iframe", text},
		{"a.html", "Sec-Fetch-Mode: navigate", text},
		{"a.html", "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101", text},
		{"a.xhtml", "Sec-Fetch-Dest: document", text},
		{"a.svg", "Sec-Fetch-Dest: document", text},
		{"a.xml", "Sec-Fetch-Dest: document", text},
		{"a.svg", "Sec-Fetch-Dest: image", "image/svg+xml"},
		{"a.png", "Sec-Fetch-Dest: document", "image/png"},
		{"a.html", "User-Agent: tahoe/1.20", "text/html; charset=utf-8"},
	} {
		resp, _ := n.ask("GET", path+"?filename="+tt.file, nil, tt.header)
		if got := resp.Header.Get("Content-Type"); got != tt.kind {
			t.Errorf("%s, %s: got %q, want %q", tt.file, tt.header, got, tt.kind)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, cfg := range []gateway.Config{
		{}, {Grid: &fake{}}, {Hosts: []string{host}}, {Grid: &fake{}, Hosts: []string{""}},
		{Grid: &fake{}, Hosts: []string{host}, Idle: -1}, {Grid: &fake{}, Hosts: []string{host}, MaxRequests: -1},
	} {
		if _, err := gateway.New(cfg); err == nil {
			t.Errorf("New(%+v): no error", cfg)
		}
	}
}
