package node_test

import (
	"os"
	"strings"
	"testing"

	"lafs/node"
)

// TestAddServers: what is in the file stays, and a server is put in its own
// place.
func TestAddServers(t *testing.T) {
	server := create(t, node.CreateOptions{Storage: true})
	grant := func() string {
		t.Helper()
		a, err := server.Grant(node.GrantRequest{Name: "alice", Renew: true})
		if err != nil {
			t.Fatal(err)
		}
		return a.Client
	}
	client := create(t, node.CreateOptions{})
	path := string(client.Dir) + "/private/servers.yaml"
	mine := "# mine\nstorage:\n  v0-other: # stays\n    ann: {nickname: other}\n"
	for _, before := range []string{"", "storage:\n", mine, "# nothing yet\n"} {
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			line := grant()
			ids, err := node.AddServers(string(client.Dir), []byte(line))
			if err != nil || len(ids) != 1 {
				t.Fatalf("AddServers to %q: got %v, %v", before, ids, err)
			}
			c, err := node.Load(string(client.Dir))
			if err != nil || len(c.Servers) != 1 || !strings.Contains(line, c.Servers[0].Swissnum.Reveal()) {
				t.Fatalf("Load after AddServers to %q: got %d servers, %v", before, len(c.Servers), err)
			}
		}
		if text := read(t, path); before == mine && (!strings.HasPrefix(text, "# mine\n") || !strings.Contains(text, "v0-other: # stays")) {
			t.Errorf("the file lost what was there:\n%s", text)
		}
	}
	for _, tt := range []struct{ name, file, line string }{
		{"no line", mine, "hello"},
		{"nothing", mine, "{}"},
		{"a server without an address", mine, `{"storage":{"v0-x":{"ann":{}}}}`},
		{"a broken file", "storage: [", grant()},
		{"a list of servers", "storage: [1]\n", grant()},
		{"no mapping", "- 1\n", grant()},
	} {
		if err := os.WriteFile(path, []byte(tt.file), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := node.AddServers(string(client.Dir), []byte(tt.line)); err == nil || read(t, path) != strings.TrimSpace(tt.file) {
			t.Errorf("%s: got %v, file %q", tt.name, err, read(t, path))
		}
	}
}
