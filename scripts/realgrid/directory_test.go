package realgrid_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// Four clients put ten files each into one directory at once. All forty are
// acknowledged, and all forty are there, for every client.
func TestWritersOfOneDirectory(t *testing.T) {
	w := real(t)
	const each = 10
	out, err := w.grid.Clients[0].Lafs(t.Context(), nil, "mkdir")
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSpace(string(out))
	for _, c := range w.grid.Clients {
		if _, err := c.Lafs(t.Context(), strings.NewReader(dir+"\n"), "add-alias", "shared", "-"); err != nil {
			t.Fatal(err)
		}
	}
	var group errgroup.Group
	for i, c := range w.grid.Clients {
		for j := range each {
			group.Go(func() error {
				name := fmt.Sprintf("client%d-file%d", i, j)
				_, err := c.Lafs(t.Context(), bytes.NewReader([]byte(strings.Repeat(name, 10))), "put", "-", "shared:"+name)
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatalf("a put was not acknowledged: %v", err)
	}
	for i, c := range w.grid.Clients {
		out, err := c.Lafs(t.Context(), nil, "ls", "--json", "shared:")
		if err != nil {
			t.Fatal(err)
		}
		var listing []json.RawMessage
		var node struct{ Children map[string]json.RawMessage }
		if err := json.Unmarshal(out, &listing); err != nil || len(listing) != 2 {
			t.Fatalf("ls --json: %v: %s", err, out)
		}
		if err := json.Unmarshal(listing[1], &node); err != nil {
			t.Fatal(err)
		}
		if want := each * len(w.grid.Clients); len(node.Children) != want {
			t.Errorf("client %d sees %d entries, want %d", i, len(node.Children), want)
		}
	}
	got, err := w.grid.Clients[1].Lafs(t.Context(), nil, "get", "shared:client3-file7")
	if want := strings.Repeat("client3-file7", 10); err != nil || string(got) != want {
		t.Errorf("get: %q, %v, want %q", got, err, want)
	}
}
