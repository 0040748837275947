package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"lafs/scripts/realgrid"
	"lafs/scripts/tahoe"
)

// onOurs lets Tahoe-LAFS's client and ours work on the same five servers of
// ours.
func (w *world) onOurs(ctx context.Context) error {
	dir := filepath.Join(w.dir, "ours")
	grid, err := realgrid.Start(ctx, realgrid.Options{Dir: dir, Lafs: w.lafs, Servers: servers, Clients: 1,
		ServiceTors: []string{"control=" + w.service.Control}, ClientTor: "control=" + w.client.Control,
		Needed: needed, Happy: happy, Total: total})
	if err != nil {
		return err
	}
	defer grid.Close()
	var files [][]byte
	for _, s := range grid.Servers {
		text, err := s.Lafs(ctx, nil, "storage", "tahoe-servers-yaml")
		if err != nil {
			return err
		}
		files = append(files, text)
	}
	list, err := tahoe.Merge(files...)
	if err != nil {
		return err
	}
	c, err := tahoe.NewClient(tahoe.ClientOptions{Program: w.tahoe, Dir: filepath.Join(dir, "tahoe"),
		Control: w.foreign.Control, Socks: w.foreign.Socks, Servers: list, Needed: needed, Happy: happy, Total: total})
	if err != nil {
		return err
	}
	defer c.Kill()
	v := &visit{world: w, grid: grid, ours: grid.Clients[0], theirs: c}
	if !w.step(ctx, "a Tahoe-LAFS client starts", c.Start) ||
		!w.step(ctx, "it is connected to five servers of ours: each answered /version within 5 s", func(ctx context.Context) error {
			return c.AwaitServers(ctx, servers)
		}) {
		fmt.Println(c.Log())
		return errFailed
	}
	v.files(ctx)
	v.directory(ctx)
	v.mutables(ctx)
	v.fromOurs(ctx)
	v.repairs(ctx)
	return nil
}

// A visit is both clients on one grid.
type visit struct {
	*world
	grid   *realgrid.Grid
	ours   *realgrid.Process
	theirs *tahoe.Client
	dir    string // a directory that Tahoe-LAFS made
	large  string // a file of 1 MiB that it put
	data   []byte // what is in it
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func uri(cap string) string { return "/uri/" + url.PathEscape(cap) }

// put stores with Tahoe-LAFS's client and returns the cap.
func put(ctx context.Context, c *tahoe.Client, path string, data []byte) (string, error) {
	out, err := c.Do(ctx, http.MethodPut, path, data)
	return strings.TrimSpace(string(out)), err
}

// wantSame reads with Tahoe-LAFS's client.
func wantSame(ctx context.Context, c *tahoe.Client, path string, data []byte) error {
	got, err := c.Do(ctx, http.MethodGet, path, nil)
	if err == nil && !bytes.Equal(got, data) {
		err = fmt.Errorf("got %d bytes that are not the %d put", len(got), len(data))
	}
	return err
}

// wantOurs reads with our client.
func (v *visit) wantOurs(ctx context.Context, p *realgrid.Process, cap string, data []byte) error {
	got, err := p.Lafs(ctx, strings.NewReader(cap+"\n"), "get", "-")
	if err == nil && !bytes.Equal(got, data) {
		err = fmt.Errorf("got %d bytes that are not the %d put", len(got), len(data))
	}
	return err
}

var sizes = []struct {
	name string
	n    int
}{{"1 KiB", 1 << 10}, {"100 KiB", 100 << 10}, {"1 MiB", 1 << 20}, {"10 MiB", 10 << 20}}

// files are put and read by Tahoe-LAFS, and read by us.
func (v *visit) files(ctx context.Context) {
	for _, size := range sizes {
		data := random(size.n)
		var cap string
		v.step(ctx, "Tahoe-LAFS puts "+size.name, func(ctx context.Context) (err error) {
			cap, err = put(ctx, v.theirs, "/uri", data)
			return err
		})
		if cap == "" {
			continue
		}
		v.step(ctx, "Tahoe-LAFS gets "+size.name, func(ctx context.Context) error { return wantSame(ctx, v.theirs, uri(cap), data) })
		v.step(ctx, "lafs gets the same "+size.name, func(ctx context.Context) error { return v.wantOurs(ctx, v.ours, cap, data) })
		if size.n == 1<<20 {
			v.large, v.data = cap, data
		}
	}
}

// directory makes one, links into it, and lists it on both sides.
func (v *visit) directory(ctx context.Context) {
	v.step(ctx, "Tahoe-LAFS makes a directory", func(ctx context.Context) error {
		out, err := v.theirs.Do(ctx, http.MethodPost, "/uri?t=mkdir", nil)
		v.dir = strings.TrimSpace(string(out))
		return err
	})
	if v.dir == "" {
		return
	}
	small := []byte(strings.Repeat("into the directory ", 10))
	v.step(ctx, "Tahoe-LAFS puts a file into it", func(ctx context.Context) error {
		_, err := put(ctx, v.theirs, uri(v.dir)+"/small.txt", small)
		return err
	})
	v.step(ctx, "Tahoe-LAFS links another into it", func(ctx context.Context) error {
		_, err := put(ctx, v.theirs, uri(v.dir)+"/linked?t=uri", []byte(v.large))
		return err
	})
	v.step(ctx, "Tahoe-LAFS makes a directory in it", func(ctx context.Context) error {
		_, err := v.theirs.Do(ctx, http.MethodPost, uri(v.dir)+"/below?t=mkdir", nil)
		return err
	})
	want := []string{"below", "linked", "small.txt"}
	v.step(ctx, "Tahoe-LAFS lists it", func(ctx context.Context) error {
		out, err := v.theirs.Do(ctx, http.MethodGet, uri(v.dir)+"?t=json", nil)
		return wantChildren(out, err, want)
	})
	v.step(ctx, "tahoe ls lists it", func(ctx context.Context) error {
		out, err := v.theirs.Tahoe(ctx, nil, "ls", v.dir)
		return wantLines(out, err, want)
	})
	v.step(ctx, "lafs lists it", func(ctx context.Context) error {
		if _, err := v.ours.Lafs(ctx, strings.NewReader(v.dir+"\n"), "add-alias", "theirs", "-"); err != nil {
			return err
		}
		out, err := v.ours.Lafs(ctx, nil, "ls", "theirs:")
		return wantLines(out, err, want)
	})
	v.step(ctx, "lafs gets a file by its path", func(ctx context.Context) error {
		got, err := v.ours.Lafs(ctx, nil, "get", "theirs:small.txt")
		if err == nil && !bytes.Equal(got, small) {
			err = errors.New("another content")
		}
		return err
	})
	v.step(ctx, "lafs puts a file into it, and Tahoe-LAFS gets it", func(ctx context.Context) error {
		if _, err := v.ours.Lafs(ctx, bytes.NewReader(small), "put", "-", "theirs:by-lafs.txt"); err != nil {
			return err
		}
		return wantSame(ctx, v.theirs, uri(v.dir)+"/by-lafs.txt", small)
	})
	v.step(ctx, "Tahoe-LAFS unlinks it, and lafs sees that", func(ctx context.Context) error {
		if _, err := v.theirs.Do(ctx, http.MethodDelete, uri(v.dir)+"/by-lafs.txt", nil); err != nil {
			return err
		}
		out, err := v.ours.Lafs(ctx, nil, "ls", "theirs:")
		return wantLines(out, err, want)
	})
}

func wantChildren(out []byte, err error, want []string) error {
	if err != nil {
		return err
	}
	var pair []json.RawMessage
	var node struct{ Children map[string]any }
	if err := json.Unmarshal(out, &pair); err != nil || len(pair) != 2 {
		return fmt.Errorf("not a directory: %.200s", out)
	}
	if err := json.Unmarshal(pair[1], &node); err != nil {
		return err
	}
	for _, name := range want {
		if _, ok := node.Children[name]; !ok || len(node.Children) != len(want) {
			return fmt.Errorf("%d children, want %v", len(node.Children), want)
		}
	}
	return nil
}

func wantLines(out []byte, err error, want []string) error {
	if got := strings.Fields(string(out)); err == nil && strings.Join(got, " ") != strings.Join(want, " ") {
		err = fmt.Errorf("got %v, want %v", got, want)
	}
	return err
}

// mutables are overwritten by each side and read by the other.
func (v *visit) mutables(ctx context.Context) {
	for _, format := range []string{"SDMF", "MDMF"} {
		first, second, third := random(3000), random(200_000), random(5000)
		var cap string
		v.step(ctx, "Tahoe-LAFS makes a file that can be changed ("+format+")", func(ctx context.Context) (err error) {
			cap, err = put(ctx, v.theirs, "/uri?format="+format, first)
			return err
		})
		if cap == "" {
			continue
		}
		v.step(ctx, "lafs gets it ("+format+")", func(ctx context.Context) error { return v.wantOurs(ctx, v.ours, cap, first) })
		v.step(ctx, "Tahoe-LAFS overwrites it and gets it ("+format+")", func(ctx context.Context) error {
			if _, err := put(ctx, v.theirs, uri(cap), second); err != nil {
				return err
			}
			return wantSame(ctx, v.theirs, uri(cap), second)
		})
		v.step(ctx, "lafs gets the new content ("+format+")", func(ctx context.Context) error { return v.wantOurs(ctx, v.ours, cap, second) })
		v.step(ctx, "lafs overwrites it, and Tahoe-LAFS gets that ("+format+")", func(ctx context.Context) error {
			if _, err := v.ours.Lafs(ctx, bytes.NewReader(third), "put", "-", cap); err != nil {
				return err
			}
			return wantSame(ctx, v.theirs, uri(cap), third)
		})
		v.step(ctx, "Tahoe-LAFS overwrites what lafs wrote ("+format+")", func(ctx context.Context) error {
			if _, err := put(ctx, v.theirs, uri(cap), first); err != nil {
				return err
			}
			return v.wantOurs(ctx, v.ours, cap, first)
		})
	}
}

// fromOurs: Tahoe-LAFS reads what our client stored.
func (v *visit) fromOurs(ctx context.Context) {
	for _, size := range sizes {
		data := random(size.n)
		v.step(ctx, "lafs puts "+size.name+", and Tahoe-LAFS gets it", func(ctx context.Context) error {
			out, err := v.ours.Lafs(ctx, bytes.NewReader(data), "put")
			if err != nil {
				return err
			}
			return wantSame(ctx, v.theirs, uri(strings.TrimSpace(string(out))), data)
		})
	}
	v.step(ctx, "lafs makes a directory with a file, and Tahoe-LAFS walks to it", func(ctx context.Context) error {
		if _, err := v.ours.Lafs(ctx, nil, "create-alias", "ours"); err != nil {
			return err
		}
		for _, args := range [][]string{{"mkdir", "ours:a"}, {"mkdir", "ours:a/b"}, {"put", "-", "ours:a/b/file"}} {
			if _, err := v.ours.Lafs(ctx, strings.NewReader(strings.Repeat("a file ", 20)), args...); err != nil {
				return err
			}
		}
		cap, err := v.alias(ctx, "ours")
		if err != nil {
			return err
		}
		return wantSame(ctx, v.theirs, uri(cap)+"/a/b/file", []byte(strings.Repeat("a file ", 20)))
	})
}

func (v *visit) alias(ctx context.Context, name string) (string, error) {
	out, err := v.ours.Lafs(ctx, nil, "list-aliases", "--json")
	if err != nil {
		return "", err
	}
	var aliases map[string]struct{ ReadWrite string }
	if err := json.Unmarshal(out, &aliases); err != nil {
		return "", err
	}
	return aliases[name].ReadWrite, nil
}
