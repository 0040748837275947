package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"lafs/scripts/realgrid"
	"lafs/scripts/tahoe"
)

// onTheirs lets our client and Tahoe-LAFS's work on the same five servers of
// Tahoe-LAFS's.
func (w *world) onTheirs(ctx context.Context) error {
	if !w.step(ctx, "five Tahoe-LAFS servers start, each an onion service", w.startTheirs) {
		return errFailed
	}
	list, err := w.theirList()
	if err != nil {
		return err
	}
	ours, err := w.clientOf(ctx, "client", list)
	if err != nil {
		return err
	}
	defer ours.Kill()
	other, err := w.clientOf(ctx, "client2", list)
	if err != nil {
		return err
	}
	defer other.Kill()
	theirs, err := tahoe.NewClient(tahoe.ClientOptions{Program: w.tahoe, Dir: filepath.Join(w.dir, "theirs", "tahoe"),
		Control: w.foreign.Control, Socks: w.foreign.Socks, Servers: list, Needed: needed, Happy: happy, Total: total})
	if err != nil {
		return err
	}
	defer theirs.Kill()
	if !w.step(ctx, "two clients of ours start, with their NURLs in private/servers.yaml", func(ctx context.Context) error {
		for _, p := range []*realgrid.Process{ours, other} {
			if err := p.Start(ctx); err != nil {
				return err
			}
		}
		return errors.Join(ours.AwaitServers(ctx, servers), other.AwaitServers(ctx, servers))
	}) || !w.step(ctx, "a Tahoe-LAFS client starts and is connected to them", func(ctx context.Context) error {
		if err := theirs.Start(ctx); err != nil {
			return err
		}
		return theirs.AwaitServers(ctx, servers)
	}) {
		return errFailed
	}
	v := &visit{world: w, ours: ours, theirs: theirs}
	v.filesOnTheirs(ctx)
	v.changesOnTheirs(ctx)
	v.together(ctx, other, "on Tahoe-LAFS's servers", "x")
	w.theirs[0].Kill()
	v.together(ctx, other, "when a server is dead", "y")
	w.step(ctx, "lafs reads without that server, and mends a file", func(ctx context.Context) error {
		if err := v.wantOurs(ctx, ours, v.large, v.data); err != nil {
			return err
		}
		out, err := ours.Lafs(ctx, strings.NewReader(v.large+"\n"), "check", "--repair", "--add-lease", "--raw", "-")
		return wantHealth(out, err, "post-repair-results", total)
	})
	if err := w.theirs[0].Start(ctx); err != nil {
		return fmt.Errorf("the server does not come back: %w", err)
	}
	return nil
}

// clientOf makes a client of ours that knows the servers of a servers.yaml.
func (w *world) clientOf(ctx context.Context, name string, list []byte) (*realgrid.Process, error) {
	p := realgrid.New(w.lafs, filepath.Join(w.dir, "theirs", name))
	if _, err := p.Lafs(ctx, nil, "create-client", "--tor", "control="+w.client.Control, "--webport", "none",
		"--shares-needed", strconv.Itoa(needed), "--shares-happy", strconv.Itoa(happy), "--shares-total", strconv.Itoa(total)); err != nil {
		return nil, err
	}
	return p, os.WriteFile(filepath.Join(p.Dir, "private", "servers.yaml"), list, 0o600)
}

// startTheirs runs the servers, once.
func (w *world) startTheirs(ctx context.Context) error {
	if w.theirs != nil {
		return nil
	}
	for i := range servers {
		s, err := tahoe.NewServer(tahoe.ServerOptions{Program: w.tahoe, Dir: filepath.Join(w.dir, "theirs", fmt.Sprintf("server%d", i)),
			Control: w.service.Control})
		if err != nil {
			return err
		}
		w.theirs = append(w.theirs, s)
	}
	return tahoe.StartAll(ctx, w.theirs)
}

func (w *world) stopTheirs() {
	for _, s := range w.theirs {
		s.Kill()
	}
}

func (w *world) theirList() ([]byte, error) {
	var files [][]byte
	for _, s := range w.theirs {
		text, err := s.ServersYAML()
		if err != nil {
			return nil, err
		}
		files = append(files, text)
	}
	return tahoe.Merge(files...)
}

func (v *visit) filesOnTheirs(ctx context.Context) {
	for _, size := range sizes {
		data := random(size.n)
		var cap string
		v.step(ctx, "lafs puts "+size.name+" on Tahoe-LAFS's servers", func(ctx context.Context) error {
			out, err := v.ours.Lafs(ctx, bytes.NewReader(data), "put")
			cap = strings.TrimSpace(string(out))
			return err
		})
		if cap == "" {
			continue
		}
		v.step(ctx, "lafs gets "+size.name, func(ctx context.Context) error { return v.wantOurs(ctx, v.ours, cap, data) })
		v.step(ctx, "Tahoe-LAFS gets the same "+size.name, func(ctx context.Context) error { return wantSame(ctx, v.theirs, uri(cap), data) })
		if size.n == 1<<20 {
			v.large, v.data = cap, data
		}
	}
	v.step(ctx, "lafs checks a file, every byte, and Tahoe-LAFS too", func(ctx context.Context) error {
		out, err := v.ours.Lafs(ctx, strings.NewReader(v.large+"\n"), "check", "--verify", "--add-lease", "--raw", "-")
		if err := wantHealth(out, err, "results", total); err != nil {
			return err
		}
		out, err = v.theirs.Do(ctx, http.MethodPost, uri(v.large)+"?t=check&verify=true&output=JSON", nil)
		return wantHealth(out, err, "results", total)
	})
}

// changesOnTheirs: mutable files and directories, without votes.
func (v *visit) changesOnTheirs(ctx context.Context) {
	for _, format := range []string{"SDMF", "MDMF"} {
		first, second, third := random(3000), random(200_000), random(5000)
		var cap string
		v.step(ctx, "lafs makes a file that can be changed on Tahoe-LAFS's servers, and both get it ("+format+")", func(ctx context.Context) error {
			out, err := v.ours.Lafs(ctx, bytes.NewReader(first), "put", "--format", format)
			if cap = strings.TrimSpace(string(out)); err != nil {
				return err
			}
			return errors.Join(v.wantOurs(ctx, v.ours, cap, first), wantSame(ctx, v.theirs, uri(cap), first))
		})
		if cap == "" {
			continue
		}
		v.step(ctx, "lafs overwrites it, and both get that ("+format+")", func(ctx context.Context) error {
			if _, err := v.ours.Lafs(ctx, bytes.NewReader(second), "put", "-", cap); err != nil {
				return err
			}
			return errors.Join(v.wantOurs(ctx, v.ours, cap, second), wantSame(ctx, v.theirs, uri(cap), second))
		})
		v.step(ctx, "Tahoe-LAFS overwrites it, and both get that ("+format+")", func(ctx context.Context) error {
			if _, err := put(ctx, v.theirs, uri(cap), third); err != nil {
				return err
			}
			return errors.Join(v.wantOurs(ctx, v.ours, cap, third), wantSame(ctx, v.theirs, uri(cap), third))
		})
		v.step(ctx, "lafs overwrites what Tahoe-LAFS wrote, and both get that ("+format+")", func(ctx context.Context) error {
			if _, err := v.ours.Lafs(ctx, bytes.NewReader(first), "put", "-", cap); err != nil {
				return err
			}
			return errors.Join(v.wantOurs(ctx, v.ours, cap, first), wantSame(ctx, v.theirs, uri(cap), first))
		})
	}
	content := []byte(strings.Repeat("a file ", 20))
	v.step(ctx, "lafs makes directories with a file on Tahoe-LAFS's servers, and Tahoe-LAFS walks to it", func(ctx context.Context) error {
		if _, err := v.ours.Lafs(ctx, nil, "create-alias", "ours"); err != nil {
			return err
		}
		for _, args := range [][]string{{"mkdir", "ours:a"}, {"put", "-", "ours:a/file"}} {
			if _, err := v.ours.Lafs(ctx, bytes.NewReader(content), args...); err != nil {
				return err
			}
		}
		var err error
		if v.dir, err = v.alias(ctx, "ours"); err != nil {
			return err
		}
		return wantSame(ctx, v.theirs, uri(v.dir)+"/a/file", content)
	})
	v.step(ctx, "Tahoe-LAFS puts a file into it, and lafs lists and gets it", func(ctx context.Context) error {
		if _, err := put(ctx, v.theirs, uri(v.dir)+"/a/theirs", content); err != nil {
			return err
		}
		out, err := v.ours.Lafs(ctx, nil, "ls", "ours:a")
		if err := wantLines(out, err, []string{"file", "theirs"}); err != nil {
			return err
		}
		got, err := v.ours.Lafs(ctx, nil, "get", "ours:a/theirs")
		if err == nil && !bytes.Equal(got, content) {
			err = errors.New("another content")
		}
		return err
	})
}

// together: two clients of ours change one directory at once, whose votes
// they keep behind the shares themselves.
func (v *visit) together(ctx context.Context, other *realgrid.Process, when, prefix string) {
	const each = 5
	v.step(ctx, fmt.Sprintf("two lafs clients put %d files each into one directory at once %s, and all are there", each, when), func(ctx context.Context) error {
		cap, err := v.alias(ctx, "ours")
		if err != nil {
			return err
		}
		if aliases, err := other.Lafs(ctx, nil, "list-aliases"); err != nil || len(bytes.TrimSpace(aliases)) == 0 {
			if _, err := other.Lafs(ctx, strings.NewReader(cap+"\n"), "add-alias", "ours", "-"); err != nil {
				return err
			}
		}
		if _, err := v.ours.Lafs(ctx, nil, "mkdir", "ours:"+prefix); err != nil {
			return err
		}
		var want []string
		var puts errgroup.Group
		for i, p := range []*realgrid.Process{v.ours, other} {
			for n := range each {
				name := fmt.Sprintf("%d-%d", i, n)
				want = append(want, name)
				puts.Go(func() error {
					_, err := p.Lafs(ctx, strings.NewReader(strings.Repeat(name, 30)), "put", "-", "ours:"+prefix+"/"+name)
					return err
				})
			}
		}
		if err := puts.Wait(); err != nil {
			return err
		}
		for _, p := range []*realgrid.Process{v.ours, other} {
			out, err := p.Lafs(ctx, nil, "ls", "ours:"+prefix)
			if err := wantLines(out, err, want); err != nil {
				return err
			}
		}
		out, err := v.theirs.Do(ctx, http.MethodGet, uri(cap)+"/"+prefix+"?t=json", nil)
		if n := bytes.Count(out, []byte("filenode")); err == nil && n != len(want) {
			err = fmt.Errorf("Tahoe-LAFS lists %d files of %d", n, len(want))
		}
		return err
	})
}
