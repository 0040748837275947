package node_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"lafs/node"
	"lafs/onion/local"
	"lafs/onion/oniontest"
)

// A user is a program at one node's web API.
type user struct {
	t    *testing.T
	rt   http.RoundTripper
	host string
}

// do sends one request to target, which is escaped.
func (u *user) do(method, target, body string) (int, string) {
	u.t.Helper()
	to, err := url.Parse("http://" + u.host + target)
	if err != nil {
		u.t.Fatal(err)
	}
	resp, err := u.rt.RoundTrip(&http.Request{Method: method, URL: to, Host: u.host, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))})
	if err != nil {
		u.t.Errorf("%s: %v", method, err)
		return 0, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		u.t.Errorf("%s: read answer: %v", method, err)
	}
	return resp.StatusCode, string(text)
}

// want is do that must have a status.
func (u *user) want(status int, method, target, body string) string {
	u.t.Helper()
	got, text := u.do(method, target, body)
	if got != status {
		u.t.Errorf("%s: got %d %q, want %d", method, got, text, status)
	}
	return text
}

// names lists a directory.
func (u *user) names(target string) map[string]bool {
	u.t.Helper()
	var d []json.RawMessage
	var of struct {
		Children map[string]json.RawMessage
	}
	text := u.want(200, "GET", target+"?t=json", "")
	if err := json.Unmarshal([]byte(text), &d); err != nil || len(d) != 2 || json.Unmarshal(d[1], &of) != nil {
		u.t.Fatalf("list: got %q", text)
	}
	out := map[string]bool{}
	for name := range of.Children {
		out[name] = true
	}
	return out
}

// startGrid runs an introducer, storage servers and clients, and returns a
// user of each client.
func startGrid(t *testing.T, servers, clients int) []*user {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) }) // the last of all
	net := oniontest.New(oniontest.Options{})
	t.Cleanup(func() { net.Close() })
	intro := create(t, node.CreateOptions{Introducer: true})
	start(t, intro, net.Host("intro"))
	o := node.CreateOptions{Introducers: []string{read(t, intro.Dir.IntroducerFURLFile())}, Needed: 2, Happy: 3, Total: 4}
	for i := range servers {
		o.Storage = true
		start(t, create(t, o), net.Host(fmt.Sprintf("server%d", i)))
	}
	o.Storage = false
	var users []*user
	for i := range clients {
		cfg := create(t, o)
		start(t, cfg, net.Host(fmt.Sprintf("client%d", i)))
		users = append(users, &user{t, local.UnixClient(cfg.Dir.Socket()), node.SocketHost})
	}
	return users
}

// Directories and mutable files, from the web API of one node to that of
// another.
func TestDirectories(t *testing.T) {
	users := startGrid(t, 4, 2)
	a, b := users[0], users[1]
	root := "/uri/" + a.want(200, "POST", "/uri?t=mkdir", "")
	big := strings.Repeat("a file of some size ", 20000)
	a.want(201, "PUT", root+"/small", "small")
	a.want(201, "PUT", root+"/sub/dir/big", big)
	m := a.want(201, "PUT", root+"/sub/m?format=MDMF", big)
	a.want(400, "PUT", root+"/%2E%2E", "a name that means another place")
	a.want(201, "PUT", root+"/%2E%2E%2E", "a name of dots")
	if got := b.names(root); len(got) != 3 || !got["small"] || !got["sub"] || !got["..."] {
		t.Errorf("the other node lists %v", got)
	}
	if b.want(200, "GET", root+"/sub/dir/big", "") != big || b.want(200, "GET", "/uri/"+m, "") != big || b.want(200, "GET", root+"/%2E%2E%2E", "") != "a name of dots" {
		t.Error("the other node reads other bytes")
	}
	// The new content is what both see from then on.
	b.want(200, "PUT", root+"/sub/m?offset=5", "patch")
	if got := a.want(200, "GET", root+"/sub/m", ""); got != big[:5]+"patch"+big[10:] {
		t.Error("the first node reads other bytes than the other wrote")
	}
	b.want(200, "POST", root+"?t=rename&from_name=small&to_name=renamed", "")
	a.want(404, "GET", root+"/small", "")
	a.want(200, "POST", root+"?t=relink&from_name=renamed&to_dir="+url.QueryEscape(strings.TrimPrefix(root, "/uri/")+"/sub"), "")
	if got := b.names(root + "/sub"); len(got) != 3 || !got["renamed"] {
		t.Errorf("after rename and relink: %v", got)
	}
	b.want(200, "DELETE", root+"/sub/dir", "")
	a.want(404, "GET", root+"/sub/dir/big", "")
	frozen := a.want(200, "POST", "/uri?t=mkdir-immutable", `{"f": ["filenode", {"ro_uri": "URI:LIT:mfra"}], "g": ["filenode", {"ro_uri": "`+
		a.want(200, "PUT", "/uri", big)+`"}]}`)
	if got := b.want(200, "GET", "/uri/"+frozen+"/g", ""); got != big {
		t.Error("a child of an immutable directory: other bytes")
	}
	for _, target := range []string{"/uri/" + frozen, root, root + "/sub/m", "/uri/" + m} {
		for _, how := range []string{"", "&verify=true", "&add-lease=true", "&repair=true"} {
			got := b.want(200, "POST", target+"?t=check&output=JSON"+how, "")
			if !strings.Contains(got, `"healthy":true`) || strings.Contains(got, `"repair-attempted":true`) || strings.Contains(got, `"sharemap":{}`) {
				t.Errorf("check%s: got %s", how, got)
			}
		}
	}
	read := a.want(200, "GET", root+"?t=readonly-uri", "")
	b.want(400, "POST", "/uri/"+read+"?t=check&repair=true", "")
	b.want(200, "POST", "/uri/"+read+"?t=check&verify=true", "")
	none := "/uri/URI:DIR2:" + strings.Repeat("a", 26) + ":" + strings.Repeat("a", 52)
	if got := b.want(200, "POST", none+"?t=check&output=JSON", ""); !strings.Contains(got, `"recoverable":false`) {
		t.Errorf("check of nothing: got %s", got)
	}
	b.want(410, "GET", none+"?t=json", "")
}

// Two nodes link into one directory at the same time, and into directories
// that neither has made yet: nothing that was acknowledged is missing.
func TestLinkAtOnce(t *testing.T) {
	users := startGrid(t, 4, 2)
	root := "/uri/" + users[0].want(200, "POST", "/uri?t=mkdir", "")
	const each = 15
	var all sync.WaitGroup
	for i, u := range users {
		for j := range each {
			all.Go(func() { u.want(201, "PUT", fmt.Sprintf("%s/new/way/f%d-%d", root, i, j), "x") })
			all.Go(func() { u.want(200, "PUT", fmt.Sprintf("%s/g%d-%d?t=uri", root, i, j), "URI:LIT:me") })
		}
	}
	all.Wait()
	for _, u := range users {
		here, there := u.names(root), u.names(root+"/new/way")
		if len(here) != 2*each+1 || len(there) != 2*each {
			t.Errorf("of %d links there are %d, and of %d files %d", 2*each+1, len(here), 2*each, len(there))
		}
	}
}
